// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Published data that nobody can open: demands for model and chunk.
/// @dev Plan:
/// demandModel, demandChunk: given another caller about private data | a closed window | too many windows | another
///   order | other models | a wrong shard proof | no such row | an open demand | an answered model: reverts
///   given open data: anyone may; given an open demand for the receipt: it ends
/// answerModel, answerModelFromParts: given no demand | a late hour | other bytes: reverts; else deposit, window anew
/// answerChunk: given another chunk | another length | no width | a wrong proof: reverts; else deposit, window anew
/// expire: given silence: revoked, punished, deposit back; given a revoked order: deposit back
contract DemandDataTest is RowMarket {
    /// @dev A tenth of what the 300 rows of shard 1 cost.
    uint256 private constant PAWN = 30 ether;
    bytes32 private _order;
    uint256 private _id;

    function setUp() public override {
        super.setUp();
        address[3] memory payers = [buyer, broker, stranger];
        token.mint(stranger, 1_000 ether);
        for (uint256 k = 0; k < 3; ++k) {
            vm.prank(payers[k]);
            token.approve(address(demands), type(uint256).max);
        }
        (_order, _id) = _publishRows(_terms());
    }

    function _demandModel(address caller, bytes memory reason) private {
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(caller);
        demands.demandModel(_terms(), _participants(), _id, 1, _models());
    }

    function _demandChunk(address caller, uint64 row, bytes memory reason) private {
        _demandChunkUnder(_terms(), caller, row, reason);
    }

    function _demandChunkUnder(OrderTerms memory terms, address caller, uint64 row, bytes memory reason) private {
        bytes32 root = _shardRoot(1);
        (bytes32[] memory proof, ) = _path(_shardLeaves(), 1);
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(caller);
        demands.demandChunk(terms, _participants(), _id, 1, root, proof, row);
    }

    function _answerChunk(uint256 index, bytes memory reason) private {
        bytes memory chunk = _chunk(1, index);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), index);
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(_node(1));
        demands.answerChunk(_order, 1, ROW_WIDTH, uint64(index), chunk, path, sides);
    }

    function _openTerms() private view returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.salt, terms.deliveryKey) = (bytes32(uint256(2)), bytes32(0));
    }

    // -- denied demands -----------------------------------------------------------------------------------------

    function test_OnlyTheBuyerMayHavePrivateDataLaidOpen() public {
        bytes4 cause = IDemands.Demands_Unauthorized.selector;
        _demandModel(broker, abi.encodeWithSelector(cause, _order, broker));
        _demandChunk(stranger, 0, abi.encodeWithSelector(cause, _order, stranger));
    }

    function test_AnyoneMayDemandOpenData() public {
        vm.warp(START);
        (_order, _id) = _publishRows(_openTerms());
        _demandChunkUnder(_openTerms(), stranger, 0, "");
        IDemands.Demand memory found = demands.demandOf(_order, 1);
        assertTrue(found.kind == IDemands.Kind.Chunk, "kind");
        assertEq(found.demander, stranger, "demander");
        assertEq(found.deposit, PAWN, "deposit");
        assertEq(found.row, 0, "row");
    }

    function test_RejectsDemandAfterTheWindow() public {
        uint256 endsAt = escrow.windowOf(_terms());
        vm.warp(endsAt + 1);
        bytes4 cause = IDisputes.Disputes_WindowClosed.selector;
        _demandModel(buyer, abi.encodeWithSelector(cause, _order, endsAt));
        _demandChunk(buyer, 0, abi.encodeWithSelector(cause, _order, endsAt));
    }

    function test_RejectsDemandAboutAnotherOrder() public {
        OrderTerms memory terms = _openTerms();
        bytes32 other = escrow.hashTerms(terms);
        bytes4 cause = IDisputes.Disputes_OtherOrder.selector;
        _demandChunkUnder(terms, stranger, 0, abi.encodeWithSelector(cause, _id, _order, other));
    }

    function test_RejectsOtherModels() public {
        bytes32[] memory models = _models();
        models[2] = models[0];
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongModels.selector, _order));
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), _id, 1, models);
    }

    function test_RejectsWrongShardProof() public {
        (bytes32[] memory proof, ) = _path(_shardLeaves(), 0);
        bytes32 root = _shardRoot(1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongShardProof.selector, _id, 1));
        vm.prank(buyer);
        demands.demandChunk(_terms(), _participants(), _id, 1, root, proof, 0);
    }

    function test_RejectsUnknownRow() public {
        _demandChunk(buyer, 300, abi.encodeWithSelector(IDemands.Demands_UnknownRow.selector, 300, 300));
    }

    function test_RejectsSecondDemandAboutAShard() public {
        _demandModel(buyer, "");
        _demandChunk(buyer, 0, abi.encodeWithSelector(IDemands.Demands_AlreadyOpen.selector, _order, 1));
    }

    function test_RejectsDemandForAModelThatWasShown() public {
        _demandModel(buyer, "");
        demands.answerModel(_order, 1, "model 1");
        bytes4 cause = IDemands.Demands_AlreadyAnswered.selector;
        _demandModel(buyer, abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.Model));
    }

    function test_DemandsAndAnswersCannotPutOffTheSettlementForEver() public {
        uint256 publishedAt = escrow.windowOf(_terms()) - 1 hours;
        uint256 last = publishedAt + 2 hours + 2 * uint256(ANSWER);
        for (uint256 round = 0; vm.getBlockTimestamp() <= last; ++round) {
            _demandChunk(buyer, 0, "");
            // Each time as late as can be.
            _warn(_terms(), 1);
            vm.warp(vm.getBlockTimestamp() + ANSWER);
            _answerChunk(0, "");
        }
        _demandChunk(buyer, 0, abi.encodeWithSelector(IDemands.Demands_TooLateToDemand.selector, _order, last));
        uint256 endsAt = escrow.windowOf(_terms());
        assertAtMost(endsAt, publishedAt + 3 hours + 4 * uint256(ANSWER) + 1, "last end of the window");
        vm.warp(endsAt + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertState(_order, IOrderEscrow.State.Settled);
    }

    // -- answers with a model -----------------------------------------------------------------------------------

    function test_RejectsModelNobodyAskedFor() public {
        bytes4 cause = IDemands.Demands_NotOpen.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.Model));
        demands.answerModel(_order, 1, "model 1");
    }

    function test_RejectsModelForADemandOfAChunk() public {
        _demandChunk(buyer, 0, "");
        bytes4 cause = IDemands.Demands_NotOpen.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.Model));
        demands.answerModel(_order, 1, "model 1");
    }

    function test_RejectsOtherModelBytes() public {
        _demandModel(buyer, "");
        bytes memory reason = abi.encodeWithSelector(
            IDisputes.Disputes_WrongModel.selector,
            _models()[2],
            _models()[1]
        );
        vm.expectRevert(reason);
        demands.answerModel(_order, 1, "model 2");
        address[] memory parts = new address[](1);
        parts[0] = _storePart("model 2");
        vm.expectRevert(reason);
        demands.answerModelFromParts(_order, 1, parts);
    }

    function test_RejectsModelAfterItsSecondTime() public {
        _demandModel(buyer, "");
        _warn(_terms(), 1);
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(uint256(answerBy) + 1);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooLate.selector, _order, 1, answerBy));
        demands.answerModel(_order, 1, "model 1");
    }

    function test_TheModelBurnsTheDepositAndOpensTheWindowAnew() public {
        uint256 before = _allMoney();
        _demandModel(buyer, "");
        assertBalance(address(demands), PAWN);
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(answerBy);
        vm.expectEmit();
        emit IDemands.ModelAnswered(_order, 1, _node(1), "model 1");
        vm.prank(_node(1));
        demands.answerModel(_order, 1, "model 1");
        assertBalance(_node(1), 0);
        assertBalance(BURN, PAWN);
        assertBalance(address(demands), 0);
        assertEq(escrow.windowOf(_terms()), uint256(answerBy) + 1 hours, "window");
        assertEq(_allMoney(), before, "all money");
    }

    function test_TheModelIsTakenFromStoredParts() public {
        _demandModel(buyer, "");
        address[] memory parts = new address[](2);
        (parts[0], parts[1]) = (_storePart("mode"), _storePart("l 1"));
        vm.expectEmit();
        emit IDemands.ModelAnswered(_order, 1, _node(1), "model 1");
        vm.prank(_node(1));
        demands.answerModelFromParts(_order, 1, parts);
        assertBalance(BURN, PAWN);
    }

    // -- answers with a chunk -----------------------------------------------------------------------------------

    function test_RejectsChunkWithoutTheRow() public {
        _demandChunk(buyer, 128, "");
        _answerChunk(0, abi.encodeWithSelector(IDemands.Demands_WrongChunk.selector, 0, 1));
        _answerChunk(2, abi.encodeWithSelector(IDemands.Demands_WrongChunk.selector, 2, 1));
    }

    function test_RejectsChunkOfAnotherLength() public {
        _demandChunk(buyer, 299, "");
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), 2);
        bytes4 cause = IDemands.Demands_WrongLength.selector;
        // The last chunk has 44 rows.
        vm.expectRevert(abi.encodeWithSelector(cause, 43 * 32, 44 * 32));
        demands.answerChunk(_order, 1, ROW_WIDTH, 2, new bytes(43 * 32), path, sides);
        vm.expectRevert(abi.encodeWithSelector(cause, 0, 0));
        demands.answerChunk(_order, 1, 0, 0, "", path, sides);
    }

    function test_RejectsChunkThatWasNotPublished() public {
        _demandChunk(buyer, 0, "");
        bytes memory chunk = _chunk(1, 0);
        chunk[7] = 0x01;
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), 0);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_WrongChunkProof.selector, _order, 1, 0));
        demands.answerChunk(_order, 1, ROW_WIDTH, 0, chunk, path, sides);
    }

    function test_RejectsTrueChunkUnderATreeOfAnotherShape() public {
        // The signer put a tree of true chunks beside something else, under one root.
        OrderTerms memory terms = _openTerms();
        vm.warp(START);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        bytes32 beside = keccak256("beside");
        bytes32 root = sha256(abi.encodePacked(bytes1(0x01), _shardRoot(1), beside));
        record.shards[1].shardRoot = root;
        _signRecord(order, record);
        vm.prank(broker);
        uint256 id = datasets.publish(terms, _participants(), record);
        bytes32[] memory leaves = _shardLeaves();
        leaves[1] = sha256(abi.encodePacked(bytes1(0), uint64(1), root));
        (bytes32[] memory proof, ) = _path(leaves, 1);
        vm.prank(buyer);
        demands.demandChunk(terms, _participants(), id, 1, root, proof, 0);

        bytes memory chunk = _chunk(1, 0);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), 0);
        bytes32[] memory longer = new bytes32[](path.length + 1);
        (longer[0], longer[1], longer[2]) = (path[0], path[1], beside);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_WrongChunkProof.selector, order, 1, 0));
        demands.answerChunk(order, 1, ROW_WIDTH, 0, chunk, longer, sides);
    }

    /// @dev They would say nothing, but two answers of one chunk must not look different.
    function testFuzz_RejectsBitsBehindThePath(uint256 bits) public {
        _demandChunk(buyer, 200, "");
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), 1);
        bits = bound(bits, 1, type(uint256).max) << path.length;
        vm.assume(bits != 0);
        bytes memory chunk = _chunk(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_WrongChunkProof.selector, _order, 1, 1));
        demands.answerChunk(_order, 1, ROW_WIDTH, 1, chunk, path, sides | bits);
    }

    function testFuzz_TheChunkOfAnyRowIsAnAnswer(uint256 row) public {
        uint256 before = _allMoney();
        row = bound(row, 0, 299);
        _demandChunk(buyer, uint64(row), "");
        uint256 index = row / ROWS_PER_CHUNK;
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), index);
        vm.expectEmit();
        emit IDemands.ChunkAnswered(_order, 1, _node(1), ROW_WIDTH, uint64(index), _chunk(1, index), path, sides);
        _answerChunk(index, "");
        assertBalance(_node(1), 0);
        assertBalance(BURN, PAWN);
        assertBalance(address(demands), 0);
        assertEq(_allMoney(), before, "all money");
        _demandChunk(buyer, uint64(row), "");
    }

    // -- silence ------------------------------------------------------------------------------------------------

    function test_RejectsExpiryBeforeItsTime() public {
        _demandModel(buyer, "");
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooEarly.selector, _order, 1, answerBy));
        demands.expire(_terms(), _participants(), 1);
    }

    function test_SettlementWaitsForTheDemandWhateverTheHour() public {
        _demandModel(buyer, "");
        vm.warp(START + 30 days);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, _order, 1));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_TheFirstSilenceWarnsAndTheSecondConvicts() public {
        uint256 before = _allMoney();
        uint256 buyerBefore = token.balanceOf(buyer);
        _demandModel(buyer, "");
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        uint64 answerBy = uint64(vm.getBlockTimestamp() + ANSWER);
        vm.expectEmit();
        emit IDemands.DemandWarned(_order, 1, IDemands.Kind.Model, answerBy);
        demands.expire(_terms(), _participants(), 1);
        assertTrue(demands.isWarned(_order, 1), "warned");
        assertEq(demands.demandOf(_order, 1).answerBy, answerBy, "second time");
        assertStake(_node(1), DEPOSIT - 1_200 ether, 1_200 ether);
        vm.warp(uint256(answerBy) + 1);
        vm.expectEmit();
        emit IDemands.DemandExpired(_order, 1, IDemands.Kind.Model, true);
        // Nobody is rewarded for another's silence.
        vm.expectEmit();
        emit IOrderEscrow.ShardConvicted(_order, 1, _node(1), 1_200 ether, 0, 300 ether, 900 ether);
        vm.expectEmit();
        emit IDatasetRegistry.ShardRevoked(_id, 1, address(demands));
        vm.prank(stranger);
        demands.expire(_terms(), _participants(), 1);
        assertState(_order, IOrderEscrow.State.Published);
        assertOut(_order, 1);
        assertEq(token.balanceOf(buyer), buyerBefore, "deposit back, and nothing else");
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
        assertBalance(BURN, 900 ether);
        assertBalance(address(demands), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AnAnswerAfterTheWarningIsAsGood() public {
        _demandModel(buyer, "");
        _warn(_terms(), 1);
        vm.warp(demands.demandOf(_order, 1).answerBy);
        demands.answerModel(_order, 1, "model 1");
        assertStake(_node(1), DEPOSIT - 1_200 ether, 1_200 ether);
    }

    function test_AnAnswerBeforeAnybodyWarnedIsNotLate() public {
        _demandModel(buyer, "");
        vm.warp(vm.getBlockTimestamp() + 30 days);
        demands.answerModel(_order, 1, "model 1");
        assertEq(escrow.orderOf(_order).openDemands, 0, "answered");
    }

    function test_AShardThatIsOutReturnsTheDepositAtOnceAndIsNotPunishedTwice() public {
        uint256 before = _allMoney();
        _demandModel(buyer, "");
        vm.prank(address(challenges));
        escrow.convict(_terms(), _participants(), 1, stranger);
        vm.expectEmit();
        emit IDemands.DemandExpired(_order, 1, IDemands.Kind.Model, false);
        demands.expire(_terms(), _participants(), 1);
        assertBalance(address(demands), 0);
        _demandModel(buyer, abi.encodeWithSelector(IDemands.Demands_ShardOut.selector, _order, 1));
        _demandChunk(buyer, 0, abi.encodeWithSelector(IDemands.Demands_ShardOut.selector, _order, 1));
        assertEq(_allMoney(), before, "all money");
    }

    function test_ADemandAboutAnotherShardGoesOn() public {
        _demandModel(buyer, "");
        vm.prank(address(challenges));
        escrow.convict(_terms(), _participants(), 0, stranger);
        _silence(_terms(), 1);
        assertEq(escrow.shardsOf(_order).out, 3, "both are out");
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
    }

    // -- manifest -----------------------------------------------------------------------------------------------

    function _demandManifest(address caller, bytes memory reason) private {
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(caller);
        demands.demandManifest(_terms(), _participants(), _id);
    }

    function test_TheManifestIsShownToAll() public {
        _demandManifest(stranger, abi.encodeWithSelector(IDemands.Demands_Unauthorized.selector, _order, stranger));
        _demandManifest(buyer, "");
        assertEq(demands.demandOf(_order, type(uint32).max).deposit, PRICE / 10, "deposit");
        bytes32 other = sha256("another");
        bytes32 expected = sha256("manifest");
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_WrongManifest.selector, other, expected));
        demands.answerManifest(_order, "another");
        vm.expectEmit();
        emit IDemands.ManifestAnswered(_order, broker, "manifest");
        vm.prank(broker);
        demands.answerManifest(_order, "manifest");
        assertBalance(BURN, PRICE / 10);
        bytes4 cause = IDemands.Demands_AlreadyAnswered.selector;
        _demandManifest(buyer, abi.encodeWithSelector(cause, _order, type(uint32).max, IDemands.Kind.Manifest));
    }

    /// @dev Before: a manifest that nobody has settled as any other (B5).
    function test_B5_ABrokerWithoutAManifestLosesBondAndFee() public {
        uint256 before = _allMoney();
        uint256 buyerBefore = token.balanceOf(buyer);
        uint256 brokerBefore = token.balanceOf(broker);
        _demandManifest(buyer, "");
        _silence(_terms(), type(uint32).max);
        assertBalance(BURN, BOND);
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertEq(token.balanceOf(buyer) - buyerBefore, 50 ether, "the fee");
        assertEq(token.balanceOf(broker) + rewards.claimable(broker), brokerBefore, "no fee and no bond");
        assertEq(rewards.claimable(_node(0)), 475.095 ether, "a contributor");
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_ADemandForDataEndsTheOneForTheReceipt() public {
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(3));
        vm.warp(START);
        bytes32 order = _draw(terms);
        vm.prank(broker);
        demands.demandStep(terms, _participants(), 1, IDemands.Kind.Receipt, _models());
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        uint256 id = datasets.publish(terms, _participants(), record);
        uint256 brokerBefore = token.balanceOf(broker);

        vm.expectEmit();
        emit IDemands.DemandExpired(order, 1, IDemands.Kind.Receipt, false);
        vm.prank(buyer);
        demands.demandModel(terms, _participants(), id, 1, _models());
        assertEq(token.balanceOf(broker), brokerBefore, "the broker had no deposit");
        assertEq(escrow.orderOf(order).openDemands, 1, "open demands");
        assertEq(demands.demandOf(order, 1).demander, buyer, "demander");
        assertBalance(address(demands), PAWN);
    }
}

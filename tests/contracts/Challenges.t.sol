// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Rows on trial. Row 200 of shard 1 is false, every other row is true.
/// @dev Plan:
/// commit: keeps the first block of a value
/// challenge: given no commitment | one of this block | someone else's: reverts
///   given another data set's terms | other participants | an order that is matched, settled, revoked: reverts
///   given a closed window: reverts; a window that an answer extended: goes on
///   given other model digests | no such shard | a wrong shard proof | a wrong chunk proof: reverts
///   given other conditions | other model bytes: reverts
///   given a true row: reverts
///   given a false row: revokes, flags, refunds, slashes, rewards, all to the wei; from stored parts too
///   given a chunk of a wrong length, or model bytes that are none: the same
///   given the signer as challenger: it loses a quarter of its stake
contract ChallengesTest is RowMarket {
    bytes32 private _order;
    uint256 private _id;
    IChallenges.Claim private _false;

    function setUp() public override {
        super.setUp();
        (_order, _id) = _publishFalse(_terms(), 1, 200);
        _false = _claim(_id, 1, 200);
    }

    function _reveal(address challenger, IChallenges.Claim memory claim, bytes memory reason) private {
        _revealWith(challenger, claim, _evidence(claim), reason);
    }

    /// @dev Shows the claim, expecting `reason` unless it is empty.
    function _revealWith(
        address challenger,
        IChallenges.Claim memory claim,
        IChallenges.Evidence memory evidence,
        bytes memory reason
    ) private {
        OrderTerms memory terms = _terms();
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(challenger);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());
    }

    function _notCommitted(address challenger) private view returns (bytes memory) {
        bytes32 commitment_ = _commitment(_false, challenger);
        return abi.encodeWithSelector(IChallenges.Challenges_NotCommitted.selector, commitment_);
    }

    // -- commit-reveal ------------------------------------------------------------------------------------------

    function test_RejectsChallengeWithoutCommitment() public {
        _reveal(stranger, _false, _notCommitted(stranger));
    }

    function test_RejectsCommitmentOfTheSameBlock() public {
        challenges.commit(_commitment(_false, stranger));
        _reveal(stranger, _false, _notCommitted(stranger));
    }

    function test_RejectsCopiedRevealOfAnotherSender() public {
        _commitTo(_false, stranger);
        _reveal(_node(0), _false, _notCommitted(_node(0)));
    }

    function test_ACopierWhoCommitsUponTheRevealComesTooLate() public {
        _commitTo(_false, stranger);
        // The copier sees the reveal in the queue and commits in the block that takes it; its own reveal has to wait.
        challenges.commit(_commitment(_false, _node(0)));
        _reveal(_node(0), _false, _notCommitted(_node(0)));
        _reveal(stranger, _false, "");
        vm.roll(vm.getBlockNumber() + 1);
        bytes4 cause = IOrderEscrow.OrderEscrow_ShardOut.selector;
        _reveal(_node(0), _false, abi.encodeWithSelector(cause, _order, 1));
        assertBalance(stranger, _stakeOf(1) / 2);
        assertBalance(_node(0), 0);
    }

    function test_RejectsCommitmentToAnotherRow() public {
        _commitTo(_claim(_id, 1, 201), stranger);
        _reveal(stranger, _false, _notCommitted(stranger));
    }

    function test_ACommitmentSentAgainKeepsItsFirstBlock() public {
        bytes32 commitment_ = _commitment(_false, stranger);
        vm.expectEmit();
        emit IChallenges.ChallengeCommitted(commitment_);
        challenges.commit(commitment_);
        uint256 first = challenges.committedAt(commitment_);
        vm.roll(vm.getBlockNumber() + 5);
        challenges.commit(commitment_);
        assertEq(challenges.committedAt(commitment_), first, "block");
    }

    // -- which order, when --------------------------------------------------------------------------------------

    function test_RejectsTermsOfAnotherOrder() public {
        _commitTo(_false, stranger);
        OrderTerms memory other = _terms();
        other.salt = bytes32(uint256(2));
        bytes32 otherOrder = escrow.hashTerms(other);
        IChallenges.Evidence memory evidence = _evidence(_false);
        bytes4 cause = IDisputes.Disputes_OtherOrder.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _id, _order, otherOrder));
        vm.prank(stranger);
        challenges.challenge(other, _participants(), _false, evidence, SALT, _noParents());
    }

    function test_RejectsUnknownDataSet() public {
        IChallenges.Claim memory claim = _claim(99, 1, 200);
        _commitTo(claim, stranger);
        bytes4 cause = IDisputes.Disputes_OtherOrder.selector;
        _reveal(stranger, claim, abi.encodeWithSelector(cause, 99, bytes32(0), _order));
    }

    function test_RejectsOtherParticipants() public {
        _commitTo(_false, stranger);
        Participant[] memory participants = _participants();
        participants[0].rows = 499;
        IChallenges.Evidence memory evidence = _evidence(_false);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongParticipants.selector, _order));
        vm.prank(stranger);
        challenges.challenge(_terms(), participants, _false, evidence, SALT, _noParents());
    }

    function test_RejectsChallengeAfterTheWindow() public {
        _commitTo(_false, stranger);
        uint256 endsAt = escrow.windowOf(_terms());
        vm.warp(endsAt + 1);
        bytes4 cause = IDisputes.Disputes_WindowClosed.selector;
        _reveal(stranger, _false, abi.encodeWithSelector(cause, _order, endsAt));
    }

    function test_RejectsChallengeOfASettledOrder() public {
        _commitTo(_false, stranger);
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        bytes4 cause = IDisputes.Disputes_NotPublished.selector;
        _reveal(stranger, _false, abi.encodeWithSelector(cause, _order, IOrderEscrow.State.Settled));
    }

    function test_RejectsSecondChallenge() public {
        _commitTo(_false, stranger);
        _reveal(stranger, _false, "");
        bytes4 cause = IOrderEscrow.OrderEscrow_ShardOut.selector;
        _reveal(stranger, _false, abi.encodeWithSelector(cause, _order, 1));
        assertBalance(stranger, _stakeOf(1) / 2);
    }

    function test_TakesAChallengeInTheLastSecondOfTheWindow() public {
        _commitTo(_false, stranger);
        vm.warp(escrow.windowOf(_terms()));
        _reveal(stranger, _false, "");
        assertOut(_order, 1);
    }

    function test_TakesAChallengeInAWindowThatAnAnswerExtended() public {
        _commitTo(_false, stranger);
        uint256 endsAt = escrow.windowOf(_terms());
        vm.prank(address(demands));
        escrow.openDemand(_order);
        vm.prank(address(demands));
        escrow.closeDemand(_order, uint64(endsAt + 5 hours));
        vm.warp(endsAt + 5 hours);
        _reveal(stranger, _false, "");
        assertOut(_order, 1);
    }

    // -- evidence -----------------------------------------------------------------------------------------------

    function test_RejectsTrueRow() public {
        for (uint32 shard = 0; shard < 3; ++shard) {
            IChallenges.Claim memory claim = _claim(_id, shard, 199);
            _commitTo(claim, stranger);
            bytes4 cause = IChallenges.Challenges_RowAgrees.selector;
            _reveal(stranger, claim, abi.encodeWithSelector(cause, _id, shard, claim.chunk, claim.row));
        }
        assertState(_order, IOrderEscrow.State.Published);
    }

    function test_RejectsOtherModelDigests() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        evidence.modelDigests[1] = keccak256("another model");
        bytes4 cause = IDisputes.Disputes_WrongModels.selector;
        _revealWith(stranger, _false, evidence, abi.encodeWithSelector(cause, _order));
    }

    function test_RejectsUnknownShard() public {
        IChallenges.Claim memory claim = _false;
        IChallenges.Evidence memory evidence = _evidence(claim);
        claim.shard = 3;
        _commitTo(claim, stranger);
        bytes4 cause = IDisputes.Disputes_UnknownShard.selector;
        _revealWith(stranger, claim, evidence, abi.encodeWithSelector(cause, _order, 3));
    }

    function test_RejectsWrongModelBytes() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        evidence.model = "model 2";
        bytes4 cause = IRowVerifier.RowVerifier_WrongModel.selector;
        bytes memory reason = abi.encodeWithSelector(cause, _models()[2], _models()[1]);
        _revealWith(stranger, _false, evidence, reason);
    }

    function test_RejectsShardRootOfAnotherShard() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        evidence.shardRoot = _shardRoot(0);
        _revealWith(stranger, _false, evidence, _wrongShardProof());
    }

    function test_RejectsShardProofThatIsTooShort() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        bytes32[] memory shorter = new bytes32[](evidence.shardProof.length - 1);
        shorter[0] = evidence.shardProof[0];
        evidence.shardProof = shorter;
        _revealWith(stranger, _false, evidence, _wrongShardProof());
    }

    function test_RejectsShardProofThatIsTooLong() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        bytes32[] memory longer = new bytes32[](evidence.shardProof.length + 1);
        for (uint256 k = 0; k < evidence.shardProof.length; ++k) {
            longer[k] = evidence.shardProof[k];
        }
        evidence.shardProof = longer;
        _revealWith(stranger, _false, evidence, _wrongShardProof());
    }

    function _wrongShardProof() private view returns (bytes memory) {
        return abi.encodeWithSelector(IDisputes.Disputes_WrongShardProof.selector, _id, 1);
    }

    function test_RejectsChunkThatWasNotPublished() public {
        IChallenges.Claim memory claim = _claim(_id, 0, 5);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        // An invented false row under an honest root.
        evidence.chunkBytes[5 * 32] = 0xFF;
        bytes4 cause = IChallenges.Challenges_WrongChunkProof.selector;
        _revealWith(stranger, claim, evidence, abi.encodeWithSelector(cause, _id, 0, 0));
    }

    function test_RejectsTrueChunkInAnotherPlace() public {
        IChallenges.Claim memory claim = _claim(_id, 0, 5);
        IChallenges.Evidence memory evidence = _evidence(claim);
        claim.chunk = 1;
        _commitTo(claim, stranger);
        bytes4 cause = IChallenges.Challenges_WrongChunkProof.selector;
        _revealWith(stranger, claim, evidence, abi.encodeWithSelector(cause, _id, 0, 1));
    }

    function testFuzz_RejectsChunkProofWithAnotherPath(uint256 path) public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        uint256 read = (1 << evidence.chunkProof.length) - 1;
        vm.assume((path & read) != (evidence.chunkPath & read));
        evidence.chunkPath = path;
        bytes4 cause = IChallenges.Challenges_WrongChunkProof.selector;
        _revealWith(stranger, _false, evidence, abi.encodeWithSelector(cause, _id, 1, 1));
    }

    function test_RejectsConditionsThatWereNotOrdered() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        evidence.conditions = "conditions";
        bytes4 cause = IChallenges.Challenges_WrongConditions.selector;
        bytes memory reason = abi.encodeWithSelector(cause, sha256("conditions"), bytes32(0));
        _revealWith(stranger, _false, evidence, reason);
    }

    function test_AsksTheVerifierAboutTheRightRowUnderTheOrderedConditions() public {
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(2));
        terms.conditions = sha256(CONDITIONS);
        vm.warp(START);
        (bytes32 order, uint256 id) = _publishFalse(terms, 2, 130);
        IChallenges.Claim memory claim = _claim(id, 2, 130);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        bytes4 cause = IChallenges.Challenges_WrongConditions.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, bytes32(0), terms.conditions));
        vm.prank(stranger);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());

        evidence.conditions = CONDITIONS;
        bytes32 seed = commitment.commitmentOf(order).seed;
        // Shard 2 has 200 rows, and 800 of the request stand before it; row 130 is the third of chunk 1.
        verifier.expect(
            IRowVerifier.RowQuery(
                _models()[2],
                seed,
                _terms().schemaDigest,
                _terms().sizeClass,
                2,
                200,
                800,
                1,
                2,
                0
            ),
            CONDITIONS
        );
        vm.prank(stranger);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());
        assertOut(order, 2);
    }

    // -- convictions --------------------------------------------------------------------------------------------

    function test_FalseRowTakesItsShardOutSlashesAndRewardsToTheWei() public {
        _commitTo(_false, stranger);
        uint256 before = _allMoney();
        uint256 brokerBefore = token.balanceOf(broker);
        IChallenges.Evidence memory evidence = _evidence(_false);
        vm.expectEmit();
        emit IChallenges.FalseRow(_id, 1, 1, 72, stranger, IRowVerifier.Verdict.Differs);
        vm.expectEmit();
        emit IOrderEscrow.ShardConvicted(_order, 1, _node(1), 1_200 ether, 600 ether, 300 ether, 300 ether);
        vm.expectEmit();
        emit IDatasetRegistry.ShardRevoked(_id, 1, address(challenges));
        _revealWith(stranger, _false, evidence, "");

        IDatasetRegistry.Status status = datasets.datasetOf(_id).status;
        assertEq(uint256(status), uint256(IDatasetRegistry.Status.Reduced), "status");
        assertState(_order, IOrderEscrow.State.Published);
        assertOut(_order, 1);
        assertBalance(stranger, 600 ether);
        assertBalance(broker, brokerBefore);
        assertBalance(BURN, 300 ether);
        assertBalance(address(escrow), PRICE + BOND + 300 ether);
        assertStake(_node(0), DEPOSIT - 2_000 ether, 2_000 ether);
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
        assertStake(_node(2), DEPOSIT - 800 ether, 800 ether);
        assertEq(_allMoney(), before, "all money");
    }

    function test_FalseRowIsShownWithTheModelStoredInParts() public {
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        evidence.model = "";
        evidence.modelParts = new address[](3);
        evidence.modelParts[0] = _storePart("mod");
        evidence.modelParts[1] = _storePart("e");
        evidence.modelParts[2] = _storePart("l 1");
        _revealWith(stranger, _false, evidence, "");
        assertOut(_order, 1);
    }

    function test_TheSignerWhoConvictsItselfLoses() public {
        uint256 before = token.balanceOf(_node(1)) + DEPOSIT;
        _commitTo(_false, _node(1));
        _reveal(_node(1), _false, "");
        uint256 free = registry.stakeOf(_node(1)).free;
        assertEq(before - token.balanceOf(_node(1)) - free, _stakeOf(1) / 2, "lost");
    }

    function test_TheSignerLosesEvenAsBuyerAndChallenger() public {
        // Node 1 is the buyer here, its order is an honest broker's, and it shows its own false row.
        address signer = _node(1);
        OrderTerms memory terms = _terms();
        terms.buyer = signer;
        token.mint(signer, PRICE);
        vm.prank(signer);
        token.approve(address(escrow), PRICE);
        uint256 wealth = PRICE + DEPOSIT - _stakeOf(1);
        bytes32 order = escrow.place(terms, _signTerms(NODE_KEY + 1, terms), _noPermit());
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        uint256 id = datasets.publish(terms, _participants(), record);

        IChallenges.Claim memory claim = _claim(id, 1, 200);
        _commitTo(claim, signer);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(signer);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());
        vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        uint256 free = registry.stakeOf(signer).free;
        // The other order of setUp still binds one stake of the same signer.
        // It paid the price, got the share of its own shard back, and lost half of its stake.
        uint256 lost = PRICE - 316.635 ether + _stakeOf(1) / 2;
        assertEq(wealth - token.balanceOf(signer) - free, lost, "lost");
    }

    function test_ChunkOfAWrongLengthConvicts() public {
        // A shard of one chunk that is no rows.
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(2));
        vm.warp(START);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        bytes memory chunk = "no row has this length";
        record.shards[0].shardRoot = sha256(abi.encodePacked(bytes1(0), uint64(9), chunk));
        _signRecord(order, record);
        vm.prank(broker);
        uint256 id = datasets.publish(terms, _participants(), record);

        IChallenges.Claim memory claim = IChallenges.Claim(id, 0, 9, 0);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence;
        evidence.modelDigests = _models();
        evidence.model = _modelBytes(0);
        evidence.shardRoot = record.shards[0].shardRoot;
        evidence.chunkBytes = chunk;
        bytes32[] memory leaves = _shardLeaves();
        leaves[0] = sha256(abi.encodePacked(bytes1(0), uint64(0), evidence.shardRoot));
        (evidence.shardProof, ) = _path(leaves, 0);
        vm.prank(stranger);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());
        assertOut(order, 0);
    }

    function testFuzz_OnlyTheFalseRowConvicts(uint256 shard, uint256 row) public {
        shard = bound(shard, 0, 2);
        row = bound(row, 0, _rows(uint32(shard)) - 1);
        IChallenges.Claim memory claim = _claim(_id, uint32(shard), row);
        _commitTo(claim, stranger);
        bool isFalse = shard == 1 && row == 200;
        bytes4 cause = IChallenges.Challenges_RowAgrees.selector;
        bytes memory reason = abi.encodeWithSelector(cause, _id, shard, claim.chunk, claim.row);
        _reveal(stranger, claim, isFalse ? bytes("") : reason);
        assertEq(escrow.shardsOf(_order).out, isFalse ? 2 : 0, "shards that are out");
    }

    function test_FlagsTheDescendantsThatAreNamedWhenNothingIsLeft() public {
        _convictOthers();
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        uint256[] memory descendants = new uint256[](2);
        (descendants[0], descendants[1]) = (70, 71);
        for (uint256 k = 0; k < 2; ++k) {
            bytes memory call = abi.encodeCall(IDatasetRegistry.flag, (descendants[k]));
            vm.mockCall(address(datasets), call, "");
            vm.expectCall(address(datasets), call);
        }
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), _false, evidence, SALT, descendants);
        assertState(_order, IOrderEscrow.State.Revoked);
    }

    function _convictOthers() private {
        for (uint32 k = 0; k < 3; k += 2) {
            vm.prank(address(challenges));
            escrow.convict(_terms(), _participants(), k, stranger);
        }
    }

    function test_RejectsDescendantThatIsNone() public {
        _convictOthers();
        _commitTo(_false, stranger);
        IChallenges.Evidence memory evidence = _evidence(_false);
        uint256[] memory descendants = new uint256[](1);
        descendants[0] = 99;
        bytes4 cause = IDatasetRegistry.DatasetRegistry_WrongStatus.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 99, IDatasetRegistry.Status.None));
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), _false, evidence, SALT, descendants);
    }
}

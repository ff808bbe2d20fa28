// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice A contributor that falls silent once the seed is known.
/// @dev Plan:
/// demandReceipt: given another caller | an order not matched | no seed | no time left | other models or participants
///   | an open demand | an answered one: reverts
/// answerReceipt: given no demand | a late hour | a privacy outside the terms | a forged receipt: reverts
///   given the contributor's receipt: deposit back to the broker; the receipt can be published
/// expire: given no demand | time left: reverts
///   given silence: drop-out punished; given publication after all: deposit back, nobody punished
contract DemandReceiptTest is RowMarket {
    bytes32 private _order;
    address private _silent;

    function setUp() public override {
        super.setUp();
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
        _order = _draw(_terms());
        _silent = _node(1);
    }

    function _demand(bytes memory reason) private {
        _demandBy(broker, _terms(), reason);
    }

    function _demandBy(address caller, OrderTerms memory terms, bytes memory reason) private {
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(caller);
        demands.demandStep(terms, _participants(), 1, IDemands.Kind.Receipt, _models());
    }

    /// @dev What node 1 would have signed in time.
    function _receipt() private view returns (IDemands.Receipt memory receipt, bytes memory signature) {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        IDatasetRegistry.ShardRecord memory shard = record.shards[1];
        receipt = IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest);
        return (receipt, shard.receipt);
    }

    // -- denied demands -----------------------------------------------------------------------------------------

    function test_RejectsDemandOfOthersThanTheBroker() public {
        bytes4 cause = IDemands.Demands_Unauthorized.selector;
        _demandBy(buyer, _terms(), abi.encodeWithSelector(cause, _order, buyer));
    }

    function test_RejectsDemandBeforeTheSeed() public {
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(2));
        bytes32 order = _commit(terms);
        _demandBy(broker, terms, _wrongStage(order));
    }

    function _wrongStage(bytes32 order) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IDemands.Demands_WrongStage.selector, order, IDemands.Kind.Receipt);
    }

    function test_RejectsDemandAboutAPublishedOrder() public {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        _demand(abi.encodeWithSelector(IDemands.Demands_NotMatched.selector, _order));
    }

    function test_RejectsDemandAfterTheDeadline() public {
        uint256 deliverBy = _terms().deliverBy;
        vm.warp(deliverBy + 1);
        _demand(abi.encodeWithSelector(IDemands.Demands_TooLateToDemand.selector, _order, deliverBy));
        vm.warp(deliverBy);
        _demand("");
    }

    /// @dev An order ends in sight whatever is demanded, and whoever dawdles.
    function test_RejectsDemandWhoseSecondTimeEndsAfterTheLastDeadline() public {
        uint256 latest = _terms().deliverBy + 12 * uint256(ANSWER);
        vm.warp(_terms().deliverBy);
        for (uint256 k = 0; k < 20; ++k) {
            vm.prank(address(commitment));
            escrow.prolong(_order);
            vm.warp(escrow.deliverByOf(_order));
        }
        assertEq(escrow.deliverByOf(_order), latest, "the last deadline");
        bytes4 cause = IDemands.Demands_TooLateToDemand.selector;
        _demand(abi.encodeWithSelector(cause, _order, latest - 2 * ANSWER));
        vm.warp(latest - 2 * ANSWER);
        _demand("");
        _silence(_terms(), 1);
        assertEq(escrow.deliverByOf(_order), latest, "no later");
    }

    function test_RejectsOtherModels() public {
        bytes32[] memory models = _models();
        models[0] = models[1];
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongModels.selector, _order));
        vm.prank(broker);
        demands.demandStep(_terms(), _participants(), 1, IDemands.Kind.Receipt, models);
    }

    function test_RejectsOtherParticipants() public {
        Participant[] memory participants = _participants();
        participants[1].contributor = stranger;
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongParticipants.selector, _order));
        vm.prank(broker);
        demands.demandStep(_terms(), participants, 1, IDemands.Kind.Receipt, _models());
    }

    function test_RejectsSecondDemandWhileOneIsOpen() public {
        _demand("");
        _demand(abi.encodeWithSelector(IDemands.Demands_AlreadyOpen.selector, _order, 1));
    }

    function test_RejectsDemandForWhatWasAnswered() public {
        _demand("");
        (IDemands.Receipt memory receipt, bytes memory signature) = _receipt();
        demands.answerReceipt(_order, 1, receipt, signature);
        bytes4 cause = IDemands.Demands_AlreadyAnswered.selector;
        _demand(abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.Receipt));
    }

    // -- answers ------------------------------------------------------------------------------------------------

    function test_RejectsAnswerWithoutDemand() public {
        (IDemands.Receipt memory receipt, bytes memory signature) = _receipt();
        bytes4 cause = IDemands.Demands_NotOpen.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.Receipt));
        demands.answerReceipt(_order, 1, receipt, signature);
    }

    function test_RejectsAnswerAfterItsSecondTime() public {
        _demand("");
        _warn(_terms(), 1);
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        (IDemands.Receipt memory receipt, bytes memory signature) = _receipt();
        vm.warp(uint256(answerBy) + 1);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooLate.selector, _order, 1, answerBy));
        demands.answerReceipt(_order, 1, receipt, signature);
    }

    function test_RejectsReceiptThatSomeoneElseSigned() public {
        _demand("");
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        bytes memory forged = _signReceipt(STRANGER_KEY, _order, 1, record.shards[1]);
        (IDemands.Receipt memory receipt, ) = _receipt();
        bytes4 cause = IDemands.Demands_InvalidReceipt.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, _silent));
        demands.answerReceipt(_order, 1, receipt, forged);
    }

    function test_RejectsReceiptForAnotherModelThanCommitted() public {
        _demand("");
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        record.shards[1].modelDigest = keccak256("a luckier model");
        bytes memory signature = _signReceipt(NODE_KEY + 1, _order, 1, record.shards[1]);
        (IDemands.Receipt memory receipt, ) = _receipt();
        bytes4 cause = IDemands.Demands_InvalidReceipt.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, _silent));
        demands.answerReceipt(_order, 1, receipt, signature);
    }

    function test_RejectsReceiptsThatCouldNotBePublished() public {
        _demand("");
        uint64[3] memory epsilons = [uint64(0), 3_000_001, 3_000_000];
        uint64[3] memory deltas = [uint64(1), 1, 10_000_001];
        for (uint256 k = 0; k < 3; ++k) {
            (IDemands.Receipt memory receipt, bytes memory signature) = _receipt();
            (receipt.epsilonMicro, receipt.deltaE12) = (epsilons[k], deltas[k]);
            bytes4 cause = IDemands.Demands_PrivacyOutsideTerms.selector;
            vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, epsilons[k], deltas[k]));
            demands.answerReceipt(_order, 1, receipt, signature);
        }
    }

    function test_TakesAReceiptWithoutPrivacyWhereTheTermsAskForNone() public {
        OrderTerms memory terms = _terms();
        (terms.salt, terms.epsilonMicro) = (bytes32(uint256(2)), 0);
        vm.warp(START);
        _order = _draw(terms);
        _demandBy(broker, terms, "");
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        (record.shards[1].epsilonMicro, record.shards[1].deltaE12) = (0, 0);
        bytes memory signature = _signReceipt(NODE_KEY + 1, _order, 1, record.shards[1]);
        IDemands.Receipt memory receipt = IDemands.Receipt(
            record.shards[1].shardRoot,
            0,
            0,
            record.shards[1].contentDigest
        );
        demands.answerReceipt(_order, 1, receipt, signature);
        assertTrue(demands.demandOf(_order, 1).kind == IDemands.Kind.None, "answered");
    }

    function test_TheAnswerCostsNobodyAndLetsTheBrokerPublish() public {
        uint256 before = _allMoney();
        uint256 brokerBefore = token.balanceOf(broker);
        uint64 answerBy = uint64(vm.getBlockTimestamp() + ANSWER);
        vm.expectEmit();
        emit IDemands.DemandOpened(_order, 1, broker, IDemands.Kind.Receipt, 0, 0, answerBy, 0);
        _demand("");
        (IDemands.Receipt memory receipt, bytes memory signature) = _receipt();
        vm.expectEmit();
        emit IDemands.ReceiptAnswered(_order, 1, _silent, receipt, signature);
        vm.prank(_silent);
        demands.answerReceipt(_order, 1, receipt, signature);
        assertBalance(_silent, 0);
        assertBalance(address(demands), 0);
        assertEq(token.balanceOf(broker), brokerBefore, "broker");

        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        record.shards[1].receipt = signature;
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertEq(_allMoney(), before, "all money");
    }

    // -- silence ------------------------------------------------------------------------------------------------

    function test_RejectsExpiryBeforeItsTime() public {
        _demand("");
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooEarly.selector, _order, 1, answerBy));
        demands.expire(_terms(), _participants(), 1);
    }

    function test_RejectsExpiryWithoutDemand() public {
        bytes4 cause = IDemands.Demands_NotOpen.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, IDemands.Kind.None));
        demands.expire(_terms(), _participants(), 1);
    }

    function test_RejectsExpiryWithOtherParticipants() public {
        _demand("");
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Disputes_WrongParticipants.selector, _order));
        demands.expire(_terms(), _nobody(), 1);
    }

    function test_SelectiveDropOutAfterTheSeedIsKnownCostsTheStakeAndTheOthersGoOn() public {
        uint256 before = _allMoney();
        _demand("");
        _warn(_terms(), 1);
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        vm.expectEmit();
        emit IDemands.DemandExpired(_order, 1, IDemands.Kind.Receipt, true);
        vm.expectEmit();
        emit IOrderEscrow.ShardDropped(_order, 1, _silent, 1_200 ether);
        demands.expire(_terms(), _participants(), 1);
        assertState(_order, IOrderEscrow.State.Matched);
        assertOut(_order, 1);
        assertStake(_silent, DEPOSIT - 1_200 ether, 0);
        assertBalance(BURN, 1_200 ether);

        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        _leaveOut(_order, record, 1);
        vm.prank(broker);
        uint256 id = datasets.publish(_terms(), _participants(), record);
        assertEq(datasets.datasetOf(id).rows, 700, "rows");
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), record.sharesBps, _noParents());
        // Of 700 for 700 rows: the fee of 5 %, and 665 by 5,001 : 0 : 4,999 to the standing.
        assertBalance(buyer, 1_000_000 ether - 700 ether);
        assertEq(rewards.claimable(broker), 35 ether + BOND, "broker");
        assertEq(rewards.claimable(_node(0)), 332.5665 ether, "node 0");
        assertEq(rewards.claimable(_silent), 0, "the silent");
        assertEq(rewards.claimable(_node(2)), 332.4335 ether, "node 2");
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_BelowTheTermsMinimumTheOrderEndsAndTheBondIsWhole() public {
        OrderTerms memory terms = _terms();
        (terms.salt, terms.minContributors) = (bytes32(uint256(2)), 3);
        vm.warp(START);
        bytes32 order = _draw(terms);
        _demandBy(broker, terms, "");
        uint256 before = token.balanceOf(broker);
        uint256 buyerBefore = token.balanceOf(buyer);
        _silence(terms, 1);
        assertState(order, IOrderEscrow.State.Refunded);
        assertEq(token.balanceOf(buyer) - buyerBefore, PRICE, "price");
        assertEq(token.balanceOf(broker) - before, BOND, "bond");
        assertEq(registry.reservedFor(order, _node(0)), 0, "free");
    }

    function test_TheDropOutCannotBeOutrunByARefundAtTheDeadline() public {
        vm.warp(_terms().deliverBy);
        _demand("");
        vm.warp(uint256(_terms().deliverBy) + ANSWER);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, _order, 1));
        escrow.refund(_terms(), _participants());
        _silence(_terms(), 1);
        assertStake(_silent, DEPOSIT - 1_200 ether, 0);
        // And the broker has time to publish without it.
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        _leaveOut(_order, record, 1);
        vm.warp(escrow.deliverByOf(_order));
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
    }

    function test_PublicationAfterAllPunishesNobody() public {
        uint256 before = _allMoney();
        _demand("");
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        vm.warp(escrow.windowOf(_terms()) == type(uint256).max ? START + 2 hours : 0);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, _order, 1));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        vm.expectEmit();
        emit IDemands.DemandExpired(_order, 1, IDemands.Kind.Receipt, false);
        demands.expire(_terms(), _participants(), 1);
        assertState(_order, IOrderEscrow.State.Published);
        assertBalance(address(demands), 0);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertEq(_allMoney(), before, "all money");
    }

    function test_TwoSilentContributorsArePunishedEachForItself() public {
        uint256 before = _allMoney();
        _demand("");
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        demands.expire(_terms(), _participants(), 2);
        demands.expire(_terms(), _participants(), 1);
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        demands.expire(_terms(), _participants(), 2);
        assertState(_order, IOrderEscrow.State.Matched);
        demands.expire(_terms(), _participants(), 1);
        // One of three is left, and the terms ask for two.
        assertState(_order, IOrderEscrow.State.Refunded);
        assertStake(_node(0), DEPOSIT, 0);
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
        assertStake(_node(2), DEPOSIT - 800 ether, 0);
        assertBalance(broker, 1_000_000 ether);
        assertBalance(buyer, 1_000_000 ether);
        assertEq(_allMoney(), before, "all money");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IModelCommitment} from "../../contracts/interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Attacks of one party on another that paid once, by the numbers of docs/security.md. Each test plays the attack
/// and shows what the attackers have afterwards. Price 1,000, bond 100, stake 50, three contributors.
contract AttacksTest is RowMarket {
    bytes private constant _REFUSES = hex"5f5ffd";

    function setUp() public override {
        super.setUp();
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
    }

    /// @dev All that the buyer and contributor 2 have, wherever it is.
    function _gang() private view returns (uint256 sum) {
        sum = token.balanceOf(buyer) + rewards.claimable(buyer);
        sum += token.balanceOf(_node(2)) + rewards.claimable(_node(2));
        sum += registry.stakeOf(_node(2)).free + registry.stakeOf(_node(2)).reserved;
    }

    function _brokerHas() private view returns (uint256) {
        return token.balanceOf(broker) + rewards.claimable(broker);
    }

    // -- A1: buyer and contributor 2; it does everything but sign its evaluation, so that nothing can be published -----

    /// @dev Before: the gang gained 50 + 16.67 of the bond. Now 0; the bond is burned.
    function test_A1_WithholdingAnEvaluationUntilTheDeadlineGainsNothing() public {
        uint256 before = _gang();
        _draw(_terms());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(_gang(), before, "gang");
        assertBalance(BURN, BOND);
    }

    /// @dev Before: the broker that gave up in time paid the gang's contributor 33.33. Now 0.
    function test_A1_WithholdingAnEvaluationUntilTheBrokerGivesUpGainsNothing() public {
        uint256 before = _gang();
        _draw(_terms());
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertEq(_gang(), before, "gang");
    }

    /// @dev What can be demanded saves the bond whole: a contributor without a receipt loses its stake, the broker nothing.
    function test_A1_WithholdingAReceiptCostsTheContributorAndNotTheBroker() public {
        uint256 before = _gang();
        uint256 brokerBefore = _brokerHas();
        _draw(_terms());
        vm.prank(broker);
        demands.demandReceipt(_terms(), _participants(), 2, _models());
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        demands.expire(_terms(), _participants(), 2);
        assertEq(_brokerHas(), brokerBefore, "broker");
        assertEq(_gang(), before - STAKE / 2, "gang");
    }

    // -- A5: contributor 2 is matched and never commits ------------------------------------------------------------

    /// @dev Before: 3.33 for each order that the broker gave up. Now 0.
    function test_A5_ANoShowBeforeTheCommitEarnsNothingWhenTheBrokerGivesUp() public {
        uint256 before = _gang();
        _match(_terms());
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertEq(_gang(), before, "gang");
        assertBalance(BURN, BOND / 10);
    }

    /// @dev Before: 16.67 for each order that ran out, and 50 to the buyer. Now 0.
    function test_A5_ANoShowBeforeTheCommitEarnsNothingAtTheDeadline() public {
        uint256 before = _gang();
        _match(_terms());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(_gang(), before, "gang");
    }

    // -- A6: contributor 2 waits until its receipt is demanded -----------------------------------------------------

    /// @dev Before: a hundredth of the price, 10, from the broker to the contributor. Now 0.
    function test_A6_WaitingToBeDemandedEarnsNothing() public {
        bytes32 order = _draw(_terms());
        uint256 before = _gang();
        uint256 brokerBefore = _brokerHas();
        vm.prank(broker);
        demands.demandReceipt(_terms(), _participants(), 2, _models());
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(order).shards[2];
        vm.prank(_node(2));
        demands.answerReceipt(
            order,
            2,
            IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest),
            shard.receipt
        );
        assertEq(_gang(), before, "gang");
        assertEq(_brokerHas(), brokerBefore, "broker");
    }

    // -- A7: contributor 2 signs its commitment so late that its receipt cannot be demanded any more -------------------

    /// @dev Before: the order ended with the stake free, the broker's bond lost. Now the commit is refused, and an order that
    /// was committed in time can always be drawn, and its receipts demanded, in time.
    function test_A7_ACommitThatLeavesNoTimeForADemandIsRefused() public {
        bytes32 order = _match(_terms());
        uint256 deliverBy = _terms().deliverBy;
        bytes[] memory signatures = _modelSignatures(order);
        uint256 last = deliverBy - 2 * uint256(ANSWER);
        vm.warp(last + 1);
        bytes4 cause = IModelCommitment.ModelCommitment_TooLate.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, deliverBy + 1, deliverBy));
        commitment.commit(order, _participants(), _models(), signatures);

        vm.warp(last);
        commitment.commit(order, _participants(), _models(), signatures);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        vm.warp(last + ANSWER);
        commitment.drawSeed(order);
        vm.prank(broker);
        demands.demandReceipt(_terms(), _participants(), 2, _models());
        vm.warp(deliverBy + 1);
        demands.expire(_terms(), _participants(), 2);
        assertStake(_node(2), DEPOSIT - STAKE, 0);
    }

    function test_A7_ADrawThatLeavesNoTimeForADemandIsRefused() public {
        bytes32 order = _commit(_terms());
        uint256 deliverBy = _terms().deliverBy;
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        vm.warp(deliverBy - ANSWER + 1);
        bytes memory reason = abi.encodeWithSelector(
            IModelCommitment.ModelCommitment_TooLate.selector,
            order,
            deliverBy + 1,
            deliverBy
        );
        vm.expectRevert(reason);
        commitment.drawSeed(order);
        // Nor is a new block appointed whose seed could not be drawn.
        vm.roll(vm.getBlockNumber() + 257);
        vm.expectRevert(reason);
        commitment.redraw(order);
    }

    // -- B6: buyer and broker pass by seeds that they do not like ---------------------------------------------------

    /// @dev Before: the tenth went to the buyer, so that both together lost nothing. Now it is burned.
    function test_B6_PassingBySeedsCostsBuyerAndBrokerATenthEach() public {
        uint256 before = _gang() + _brokerHas();
        bytes32 order = _commit(_terms());
        for (uint256 k = 0; k < 3; ++k) {
            vm.roll(vm.getBlockNumber() + DELAY + 257);
            commitment.redraw(order);
        }
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order);
        assertBalance(BURN, (3 * BOND) / 10);
        assertEq(_gang() + _brokerHas(), before - PRICE - BOND, "spent");
        assertBalance(address(escrow), PRICE + BOND - (3 * BOND) / 10);
    }

    // -- C6: contributor 2 signs, and then delegates its account to code that denies it (EIP-7702) ---------------------

    /// @dev Before: publish reverted and the broker lost its bond of 100. Now what was signed stays signed.
    function test_C6_ADelegatedContributorsSignatureStaysGood() public {
        OrderTerms memory terms = _terms();
        bytes32 order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.etch(_node(2), _REFUSES);
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows);
        commitment.commit(order, _participants(), _models(), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_C6_ADelegatedAccountsReceiptAnswersADemand() public {
        bytes32 order = _draw(_terms());
        vm.prank(broker);
        demands.demandReceipt(_terms(), _participants(), 2, _models());
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(order).shards[2];
        vm.etch(_node(2), _REFUSES);
        demands.answerReceipt(
            order,
            2,
            IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest),
            shard.receipt
        );
        assertEq(escrow.orderOf(order).openDemands, 0, "answered");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice Every way out of the escrow but settlement and punishment.
/// @dev Plan:
/// cancel: given another caller | an order that is unknown, matched, cancelled: reverts; given an open one: price back
/// abandon: given another caller | wrong state | wrong participants | a late hour | an open demand: reverts
///   given an open order: price back
///   given a matched one: when no seed can be known: a tenth of the bond to contributors; when one can: all of it
/// refund: given an early hour | wrong state | wrong participants | an open demand: reverts
///   given an open order: price back; given a matched one: half of the bond to the buyer, half to contributors
/// openDemand, closeDemand, markPublished, cutBond: given another caller | wrong state: reverts
contract OrderEscrowExitTest is Market {
    uint256 private constant BUYER_BEFORE = 1_000_000 ether;

    function _expectState(bytes32 order, IOrderEscrow.State state) private {
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongState.selector, order, state));
    }

    function _expectUnauthorized(bytes32 order, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_Unauthorized.selector, order, caller));
    }

    function _expectParticipants(bytes32 order) private {
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParticipants.selector, order));
    }

    // -- cancel -------------------------------------------------------------------------------------------------

    function test_CancelRejectsOtherCallersThanTheBuyer() public {
        bytes32 order = _place(_terms());
        _expectUnauthorized(order, broker);
        vm.prank(broker);
        escrow.cancel(_terms());
    }

    function test_CancelRejectsUnknownOrder() public {
        _expectState(escrow.hashTerms(_terms()), IOrderEscrow.State.None);
        vm.prank(buyer);
        escrow.cancel(_terms());
    }

    function test_CancelRejectsMatchedOrder() public {
        bytes32 order = _match(_terms());
        _expectState(order, IOrderEscrow.State.Matched);
        vm.prank(buyer);
        escrow.cancel(_terms());
    }

    function test_CancelRejectsSecondTime() public {
        bytes32 order = _place(_terms());
        vm.prank(buyer);
        escrow.cancel(_terms());
        _expectState(order, IOrderEscrow.State.Cancelled);
        vm.prank(buyer);
        escrow.cancel(_terms());
    }

    function test_CancelReturnsThePrice() public {
        bytes32 order = _place(_terms());
        vm.expectEmit();
        emit IOrderEscrow.OrderCancelled(order);
        vm.prank(buyer);
        escrow.cancel(_terms());
        assertState(order, IOrderEscrow.State.Cancelled);
        assertBalance(buyer, BUYER_BEFORE);
        assertBalance(address(escrow), 0);
    }

    // -- abandon ------------------------------------------------------------------------------------------------

    function test_AbandonRejectsOtherCallersThanTheBroker() public {
        bytes32 order = _match(_terms());
        _expectUnauthorized(order, buyer);
        vm.prank(buyer);
        escrow.abandon(_terms(), _participants());
    }

    function test_AbandonRejectsUnknownOrder() public {
        _expectState(escrow.hashTerms(_terms()), IOrderEscrow.State.None);
        vm.prank(broker);
        escrow.abandon(_terms(), _nobody());
    }

    function test_AbandonRejectsParticipantsOfAnOpenOrder() public {
        _expectParticipants(_place(_terms()));
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
    }

    function test_AbandonRejectsOtherParticipantsThanMatched() public {
        bytes32 order = _match(_terms());
        Participant[] memory participants = _participants();
        participants[0].rows = 501;
        _expectParticipants(order);
        vm.prank(broker);
        escrow.abandon(_terms(), participants);
    }

    function test_AbandonCannotSaveTheBondAfterTheDeadline() public {
        bytes32 order = _match(_terms());
        uint256 deadline = _terms().deliverBy;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooLate.selector, order, deadline));
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
    }

    function test_AbandonRejectsPublishedOrder() public {
        (bytes32 order, ) = _publish(_terms());
        _expectState(order, IOrderEscrow.State.Published);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
    }

    function test_AbandonOfAnOpenOrderReturnsThePrice() public {
        bytes32 order = _place(_terms());
        vm.prank(broker);
        escrow.abandon(_terms(), _nobody());
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, BUYER_BEFORE);
    }

    function test_AbandonBeforeASeedCouldBeKnownCostsATenthOfTheBond() public {
        uint256 before = _allMoney();
        bytes32 order = _match(_terms());
        // A tenth is 10 ether; three parts of it leave a wei, which stays the broker's.
        uint256 each = uint256(BOND / 10) / 3;
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, 3 * each);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        _assertAbandoned(each);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AbandonAfterTheCommitButBeforeTheTargetBlockCostsATenth() public {
        _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _assertAbandoned(uint256(BOND / 10) / 3);
    }

    function test_AbandonAfterTheSeedWasDrawnCostsTheWholeBond() public {
        uint256 before = _allMoney();
        bytes32 order = _draw(_terms());
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, BOND - 1);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _assertAbandoned(BOND / 3);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AbandonWhenASeedCouldBeKnownThoughNobodyDrewItCostsTheWholeBond() public {
        _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _assertAbandoned(BOND / 3);
    }

    function test_AbandonAfterAMissedDrawCostsWhatIsLeftOfTheBond() public {
        bytes32 order = _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY + 257);
        commitment.redraw(order);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        uint256 each = uint256((BOND / 10) * 9) / 3;
        assertEq(rewards.claimable(_node(0)), each, "contributor");
        assertEq(rewards.claimable(buyer), BOND / 10, "the missed draw");
        assertBalance(broker, 1_000_000 ether - BOND);
    }

    function testFuzz_AbandonDividesToTheWei(uint256 bond, bool drawn) public {
        OrderTerms memory terms = _terms();
        terms.bond = bound(bond, 0, 1 ether);
        uint256 before = _allMoney();
        if (drawn) _draw(terms);
        else _match(terms);
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        uint256 each = (drawn ? terms.bond : terms.bond / 10) / 3;
        _assertAbandoned(each);
        assertEq(_allMoney(), before, "all money");
    }

    /// @dev Every contributor is owed `each`, the buyer has its price, the broker the rest, nobody's stake is bound.
    function _assertAbandoned(uint256 each) private view {
        assertBalance(buyer, BUYER_BEFORE);
        assertBalance(broker, 1_000_000 ether - 3 * each);
        assertBalance(address(escrow), 0);
        assertBalance(address(rewards), 3 * each);
        for (uint256 k = 0; k < 3; ++k) {
            assertStake(_node(k), DEPOSIT, 0);
            assertEq(rewards.claimable(_node(k)), each, "contributor's part of the bond");
        }
    }

    // -- refund -------------------------------------------------------------------------------------------------

    function test_RefundRejectsOpenOrderBeforeItsDeadline() public {
        bytes32 order = _place(_terms());
        uint256 deadline = _terms().matchBy;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooEarly.selector, order, deadline));
        escrow.refund(_terms(), _nobody());
    }

    function test_RefundRejectsMatchedOrderBeforeDelivery() public {
        bytes32 order = _match(_terms());
        uint256 deadline = _terms().deliverBy;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooEarly.selector, order, deadline));
        escrow.refund(_terms(), _participants());
    }

    function test_RefundRejectsMissingParticipants() public {
        bytes32 order = _match(_terms());
        vm.warp(_terms().deliverBy + 1);
        _expectParticipants(order);
        escrow.refund(_terms(), _nobody());
    }

    function test_RefundRejectsPublishedOrder() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(_terms().deliverBy + 1);
        _expectState(order, IOrderEscrow.State.Published);
        escrow.refund(_terms(), _participants());
    }

    function test_RefundRejectsSecondTime() public {
        bytes32 order = _place(_terms());
        vm.warp(_terms().matchBy + 1);
        escrow.refund(_terms(), _nobody());
        _expectState(order, IOrderEscrow.State.Refunded);
        escrow.refund(_terms(), _nobody());
    }

    function test_RefundOfAnUnmatchedOrderReturnsThePriceWhoeverAsks() public {
        bytes32 order = _place(_terms());
        vm.warp(_terms().matchBy + 1);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        vm.prank(stranger);
        escrow.refund(_terms(), _nobody());
        assertBalance(buyer, BUYER_BEFORE);
    }

    function test_RefundOfAnUndeliveredOrderHalvesTheBond() public {
        uint256 before = _allMoney();
        bytes32 order = _draw(_terms());
        vm.warp(_terms().deliverBy + 1);
        // Half is 50 ether; three parts of it leave two wei, which are the buyer's.
        uint256 each = uint256(BOND / 2) / 3;
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, BOND - 3 * each, 3 * each);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE + BOND - 3 * each);
        vm.prank(stranger);
        escrow.refund(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, BUYER_BEFORE + BOND - 3 * each);
        assertBalance(address(escrow), 0);
        for (uint256 k = 0; k < 3; ++k) {
            assertStake(_node(k), DEPOSIT, 0);
            assertEq(rewards.claimable(_node(k)), each, "contributor's part of the bond");
        }
        assertEq(_allMoney(), before, "all money");
    }

    function testFuzz_RefundDividesToTheWei(uint256 bond) public {
        OrderTerms memory terms = _terms();
        terms.bond = bound(bond, 0, 1 ether);
        uint256 before = _allMoney();
        _match(terms);
        vm.warp(terms.deliverBy + 1);
        escrow.refund(terms, _participants());
        uint256 each = terms.bond / 2 / 3;
        assertBalance(buyer, BUYER_BEFORE + terms.bond - 3 * each);
        assertBalance(address(rewards), 3 * each);
        assertEq(_allMoney(), before, "all money");
    }

    function test_RefundTouchesOneOrderOnly() public {
        OrderTerms memory other = _terms();
        other.salt = bytes32(uint256(2));
        bytes32 order = _match(_terms());
        bytes32 otherOrder = _match(other);
        vm.prank(broker);
        escrow.abandon(other, _participants());
        assertState(order, IOrderEscrow.State.Matched);
        assertState(otherOrder, IOrderEscrow.State.Refunded);
        assertBalance(address(escrow), PRICE + BOND);
        assertStake(_node(0), DEPOSIT - STAKE, STAKE);
    }

    // -- open demands -------------------------------------------------------------------------------------------

    function test_AbandonAndRefundWaitForOpenDemands() public {
        bytes32 order = _draw(_terms());
        vm.prank(address(demands));
        escrow.openDemand(order);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, order, 1));
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        vm.warp(_terms().deliverBy + 1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, order, 1));
        escrow.refund(_terms(), _participants());
        vm.prank(address(demands));
        escrow.closeDemand(order, 0);
        escrow.refund(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
    }

    function test_OpenDemandRejectsOtherCallers() public {
        bytes32 order = _match(_terms());
        _expectUnauthorized(order, broker);
        vm.prank(broker);
        escrow.openDemand(order);
    }

    function test_CloseDemandRejectsOtherCallers() public {
        bytes32 order = _match(_terms());
        address challenges_ = address(challenges);
        _expectUnauthorized(order, challenges_);
        vm.prank(challenges_);
        escrow.closeDemand(order, 1);
    }

    // -- calls of the other contracts ---------------------------------------------------------------------------

    function test_MarkPublishedRejectsOtherCallers() public {
        bytes32 order = _match(_terms());
        _expectUnauthorized(order, broker);
        vm.prank(broker);
        escrow.markPublished(order, keccak256("shares"));
    }

    function test_MarkPublishedRejectsOpenOrder() public {
        bytes32 order = _place(_terms());
        _expectState(order, IOrderEscrow.State.Open);
        vm.prank(address(datasets));
        escrow.markPublished(order, keccak256("shares"));
    }

    function test_CutBondRejectsOtherCallers() public {
        bytes32 order = _match(_terms());
        _expectUnauthorized(order, buyer);
        vm.prank(buyer);
        escrow.cutBond(order);
    }

    function test_CutBondRejectsOpenOrder() public {
        bytes32 order = _place(_terms());
        _expectState(order, IOrderEscrow.State.Open);
        vm.prank(address(commitment));
        escrow.cutBond(order);
    }
}

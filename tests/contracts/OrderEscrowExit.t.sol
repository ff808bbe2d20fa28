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
///   given a matched one: when no seed can be known: a tenth of the bond is forfeit; when one can: all of it
///     before the commit and after the draw it is burned, in between the contributors'
/// refund: given an early hour | wrong state | wrong participants | an open demand: reverts
///   given an open order: price back; given a matched one: as abandoning, but all of the bond is forfeit
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
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, 0);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        _assertForfeit(BOND / 10, 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AbandonAfterTheCommitButBeforeTheTargetBlockCostsATenth() public {
        _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        // A tenth is 10 ether; three parts of it leave a wei, which is burned.
        _assertForfeit(BOND / 10, uint256(BOND / 10) / 3);
    }

    function test_AbandonAfterTheSeedWasDrawnCostsTheWholeBond() public {
        uint256 before = _allMoney();
        bytes32 order = _draw(_terms());
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, 0);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _assertForfeit(BOND, 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AbandonWhenASeedCouldBeKnownThoughNobodyDrewItCostsTheWholeBond() public {
        _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _assertForfeit(BOND, BOND / 3);
    }

    function test_AbandonAfterAMissedDrawCostsWhatIsLeftOfTheBond() public {
        bytes32 order = _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY + 257);
        commitment.redraw(order);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        uint256 each = uint256((BOND / 10) * 9) / 3;
        assertEq(rewards.claimable(_node(0)), each, "contributor");
        assertBalance(BURN, BOND / 10);
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
        _assertForfeit(drawn ? terms.bond : terms.bond / 10, 0);
        assertEq(_allMoney(), before, "all money");
    }

    /// @dev The broker lost `forfeit`, of which every contributor is owed `each` and the rest is burned; the buyer has its
    /// price, nobody's stake is bound.
    function _assertForfeit(uint256 forfeit, uint256 each) private view {
        assertBalance(buyer, BUYER_BEFORE);
        assertBalance(broker, 1_000_000 ether - forfeit);
        assertBalance(BURN, forfeit - 3 * each);
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

    function test_RefundOfADrawnOrderBurnsTheBond() public {
        uint256 before = _allMoney();
        bytes32 order = _draw(_terms());
        vm.warp(_terms().deliverBy + 1);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, 0);
        vm.prank(stranger);
        escrow.refund(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        _assertForfeit(BOND, 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_RefundOfACommittedOrderThatNobodyDrewPaysTheContributors() public {
        uint256 before = _allMoney();
        bytes32 order = _commit(_terms());
        vm.warp(_terms().deliverBy + 1);
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, BOND - 1);
        escrow.refund(_terms(), _participants());
        _assertForfeit(BOND, BOND / 3);
        assertEq(_allMoney(), before, "all money");
    }

    function testFuzz_RefundDividesToTheWei(uint256 bond, bool committed) public {
        OrderTerms memory terms = _terms();
        terms.bond = bound(bond, 0, 1 ether);
        uint256 before = _allMoney();
        if (committed) _commit(terms);
        else _match(terms);
        vm.warp(terms.deliverBy + 1);
        escrow.refund(terms, _participants());
        _assertForfeit(terms.bond, committed ? terms.bond / 3 : 0);
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
        assertStake(_node(0), DEPOSIT - _stakeOf(0), _stakeOf(0));
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

    /// @dev A demand that ends without an answer, or one answered for a shorter window, takes nothing from what an answer
    /// has given.
    function test_CloseDemandKeepsAWindowThatAnAnswerHasExtended() public {
        (bytes32 order, ) = _publish(_terms());
        uint64 later = uint64(START + 5 hours);
        uint64[3] memory ends = [later, 0, later - 1];
        for (uint256 k = 0; k < 3; ++k) {
            vm.prank(address(demands));
            escrow.openDemand(order);
            vm.prank(address(demands));
            escrow.closeDemand(order, ends[k]);
            assertEq(escrow.orderOf(order).settleNotBefore, later, "settleNotBefore");
        }
        vm.warp(later);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooEarly.selector, order, later));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
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

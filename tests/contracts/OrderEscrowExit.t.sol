// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice Every way out of the escrow but settlement: cancel, abandon, refund, and the calls of other contracts.
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

    function test_AbandonOfAMatchedOrderReturnsPriceBondAndStakes() public {
        bytes32 order = _match(_terms());
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, BUYER_BEFORE);
        assertBalance(broker, 1_000_000 ether);
        assertBalance(address(escrow), 0);
        for (uint256 k = 0; k < 3; ++k) {
            assertStake(_node(k), DEPOSIT, 0);
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

    function test_RefundOfAnUndeliveredOrderGivesTheBuyerTheBond() public {
        bytes32 order = _draw(_terms());
        vm.warp(_terms().deliverBy + 1);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE + BOND);
        vm.prank(stranger);
        escrow.refund(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, BUYER_BEFORE + BOND);
        assertBalance(address(escrow), 0);
        for (uint256 k = 0; k < 3; ++k) {
            assertStake(_node(k), DEPOSIT, 0);
        }
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

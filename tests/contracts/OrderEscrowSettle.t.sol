// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice Settlement, and the window before it.
/// @dev Plan:
/// settle: given an order that is matched, settled | an open demand | an open window, first or extended: reverts
///   given other participants | other shares | other parents: reverts
///   given no parents: fee, shares and bond, to the wei; given parents: royalties first; given a revoked one: none
///   for it given eight parents at the highest royalty and the highest fee: nothing is left, and it settles
/// windowOf: given no publication: zero; an open demand: endless; answers: the latest end, never an earlier one
contract OrderEscrowSettleTest is Market {
    function test_RejectsUnpublishedOrder() public {
        bytes32 order = _draw(_terms());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Matched));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_RejectsSettlementInsideTheChallengeWindow() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours);
        bytes4 cause = IOrderEscrow.OrderEscrow_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, START + 1 hours));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_RejectsOtherParticipants() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        Participant[] memory participants = _participants();
        participants[2].contributor = stranger;
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParticipants.selector, order));
        escrow.settle(_terms(), participants, _shares(), _noParents());
    }

    function test_RejectsOtherShares() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        uint16[] memory shares = _shares();
        (shares[0], shares[1]) = (shares[1], shares[0]);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongShares.selector, order));
        escrow.settle(_terms(), _participants(), shares, _noParents());
    }

    function test_RejectsSecondSettlement() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Settled));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_RejectsSettlementWhileADemandIsOpen() public {
        (bytes32 order, ) = _publish(_terms());
        vm.prank(address(demands));
        escrow.openDemand(order);
        assertEq(escrow.windowOf(_terms()), type(uint256).max, "the window stays open");
        vm.warp(START + 1 hours + 1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DemandsOpen.selector, order, 1));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_RejectsSettlementInsideAWindowThatAnAnswerExtended() public {
        (bytes32 order, ) = _publish(_terms());
        vm.prank(address(demands));
        escrow.openDemand(order);
        vm.prank(address(demands));
        escrow.closeDemand(order, uint64(START + 9 hours));
        assertEq(escrow.windowOf(_terms()), START + 9 hours, "window");
        vm.warp(START + 9 hours);
        bytes4 cause = IOrderEscrow.OrderEscrow_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, START + 9 hours));
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        vm.warp(START + 9 hours + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertState(order, IOrderEscrow.State.Settled);
    }

    function test_AnEarlierAnswerDoesNotShortenTheWindow() public {
        (bytes32 order, ) = _publish(_terms());
        uint256 endsAt = escrow.windowOf(_terms());
        _answer(order, endsAt - 1);
        assertEq(escrow.windowOf(_terms()), endsAt, "window");
        _answer(order, endsAt + 1 hours);
        _answer(order, endsAt + 1 hours - 1);
        assertEq(escrow.windowOf(_terms()), endsAt + 1 hours, "extended window");
    }

    function test_ThereIsNoWindowBeforePublication() public {
        _draw(_terms());
        assertEq(escrow.windowOf(_terms()), 0, "window");
    }

    function test_RejectsOtherParentsThanAgreed() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        uint256[] memory parents = new uint256[](1);
        parents[0] = 7;
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParents.selector, order));
        escrow.settle(_terms(), _participants(), _shares(), parents);
    }

    function test_RejectsMissingParents() public {
        OrderTerms memory terms = _child(1, 1_000, 500);
        bytes32 order = escrow.hashTerms(terms);
        vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParents.selector, order));
        escrow.settle(terms, _participants(), _shares(), _noParents());
    }

    /// @dev Settles `parents` orders with a royalty and publishes one that derives from all of them.
    function _child(uint256 parents, uint16 royaltyBps, uint16 feeBps) private returns (OrderTerms memory terms) {
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
        for (uint256 k = 0; k < parents; ++k) {
            terms = _later(100 + k);
            terms.royaltyBps = royaltyBps;
            _publish(terms);
            vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
            escrow.settle(terms, _participants(), _shares(), _noParents());
        }
        terms = _later(200);
        terms.brokerFeeBps = feeBps;
        terms.parents = keccak256(abi.encode(_first(parents)));
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        record.parents = _first(parents);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    function _later(uint256 salt) private view returns (OrderTerms memory terms) {
        terms = _terms();
        terms.salt = bytes32(salt);
        uint64 now_ = uint64(vm.getBlockTimestamp());
        (terms.matchBy, terms.deliverBy) = (now_ + 1 hours, now_ + 1 days);
    }

    function _first(uint256 count) private pure returns (uint256[] memory ids) {
        ids = new uint256[](count);
        for (uint256 k = 0; k < count; ++k) {
            ids[k] = k + 1;
        }
    }

    function test_PaysParentsTheirRoyaltyAndContributorsTheRest() public {
        uint256 before = _allMoney();
        OrderTerms memory terms = _child(2, 300, 500);
        uint256 owedBefore = rewards.claimable(_node(0));
        vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _first(2));
        // 1,000: 50 to the broker, 30 to each parent, 890 by shares.
        assertEq(rewards.datasetBalance(1), 30 ether, "first parent");
        assertEq(rewards.datasetBalance(2), 30 ether, "second parent");
        assertEq(rewards.claimable(_node(0)) - owedBefore, (890 ether * 5_001) / 10_000, "contributor");
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_EightParentsAndTheLargestFeeLeaveNothingAndStillSettle() public {
        OrderTerms memory terms = _child(8, 1_000, 2_000);
        uint256 owedBefore = rewards.claimable(_node(0));
        vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _first(8));
        assertEq(rewards.datasetBalance(8), PRICE / 10, "each parent");
        assertEq(rewards.claimable(_node(0)), owedBefore, "contributor");
        assertBalance(address(escrow), 0);
    }

    function test_ARevokedParentGetsNothing() public {
        OrderTerms memory terms = _child(2, 300, 500);
        // Cannot happen to a parent whose window is closed; the escrow does not rely on it.
        vm.prank(address(challenges));
        datasets.revokeShard(1, 0, true);
        vm.warp(vm.getBlockTimestamp() + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _first(2));
        assertEq(rewards.datasetBalance(1), 0, "revoked parent");
        assertEq(rewards.datasetBalance(2), 30 ether, "the other");
        assertBalance(address(escrow), 0);
    }

    function test_DividesThePriceAndFreesTheStakes() public {
        OrderTerms memory terms = _terms();
        terms.price = 1_000_001;
        (bytes32 order, ) = _publish(terms);
        vm.warp(START + 1 hours + 1);
        uint256[] memory amounts = new uint256[](3);
        // Fee 50,000 (rounded down); 950,001 by 5001 : 3333 : 1666, what rounding leaves to the last.
        (amounts[0], amounts[1], amounts[2]) = (475_095, 316_635, 158_271);
        vm.expectEmit();
        emit IOrderEscrow.OrderSettled(order, amounts, 50_000, BOND);
        vm.prank(stranger);
        escrow.settle(terms, _participants(), _shares(), _noParents());

        assertState(order, IOrderEscrow.State.Settled);
        assertEq(rewards.claimable(broker), 50_000 + BOND, "broker");
        for (uint256 k = 0; k < 3; ++k) {
            assertEq(rewards.claimable(_node(k)), amounts[k], "contributor");
            assertStake(_node(k), DEPOSIT, 0);
        }
        assertBalance(address(escrow), 0);
        assertBalance(address(rewards), 1_000_001 + BOND);
    }

    function test_AddsUpWhenTheBrokerContributes() public {
        vm.prank(broker);
        registry.register(bytes32(0));
        OrderTerms memory terms = _terms();
        terms.broker = _node(0);
        token.mint(_node(0), BOND);
        vm.prank(_node(0));
        token.approve(address(escrow), BOND);
        bytes32 order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.prank(_node(0));
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(_node(0));
        datasets.publish(terms, _participants(), record);
        vm.warp(START + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        // 5 % fee, the bond, and 50.01 % of the remaining 950.
        assertEq(rewards.claimable(_node(0)), 50 ether + BOND + 475.095 ether, "broker and contributor");
    }

    function testFuzz_PaysOutExactlyPriceAndBond(
        uint256 price,
        uint16 feeBps,
        uint16 first,
        uint16 second
    ) public {
        OrderTerms memory terms = _terms();
        terms.price = bound(price, 0, PRICE);
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        record.sharesBps[0] = uint16(bound(first, 0, 10_000));
        record.sharesBps[1] = uint16(bound(second, 0, 10_000 - record.sharesBps[0]));
        record.sharesBps[2] = 10_000 - record.sharesBps[0] - record.sharesBps[1];
        _signRecord(order, record);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        vm.warp(START + 1 hours + 1);
        escrow.settle(terms, _participants(), record.sharesBps, _noParents());

        uint256 fee = (terms.price * terms.brokerFeeBps) / 10_000;
        uint256 paid = rewards.claimable(broker);
        assertEq(paid, fee + BOND, "broker");
        for (uint256 k = 0; k < 3; ++k) {
            uint256 exact = ((terms.price - fee) * record.sharesBps[k]) / 10_000;
            uint256 owed = rewards.claimable(_node(k));
            assertAtMost(exact, owed, "no less than the share");
            assertAtMost(owed, exact + 2, "no more than rounding");
            paid += owed;
        }
        assertEq(paid, terms.price + BOND, "all of it");
        assertBalance(address(rewards), terms.price + BOND);
    }

    function _answer(bytes32 order, uint256 settleNotBefore) private {
        vm.prank(address(demands));
        escrow.openDemand(order);
        vm.prank(address(demands));
        escrow.closeDemand(order, uint64(settleNotBefore));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

contract OrderEscrowSettleTest is Market {
    function test_RejectsUnpublishedOrder() public {
        bytes32 order = _draw(_terms());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Matched));
        escrow.settle(_terms(), _participants(), _shares());
    }

    function test_RejectsSettlementInsideTheChallengeWindow() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours);
        bytes4 cause = IOrderEscrow.OrderEscrow_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, START + 1 hours));
        escrow.settle(_terms(), _participants(), _shares());
    }

    function test_RejectsOtherParticipants() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        Participant[] memory participants = _participants();
        participants[2].contributor = stranger;
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParticipants.selector, order));
        escrow.settle(_terms(), participants, _shares());
    }

    function test_RejectsOtherShares() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        uint16[] memory shares = _shares();
        (shares[0], shares[1]) = (shares[1], shares[0]);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongShares.selector, order));
        escrow.settle(_terms(), _participants(), shares);
    }

    function test_RejectsSecondSettlement() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        escrow.settle(_terms(), _participants(), _shares());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Settled));
        escrow.settle(_terms(), _participants(), _shares());
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
        escrow.settle(terms, _participants(), _shares());

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
        escrow.matchOrder(terms, _participants(), acceptances, maxRows);
        commitment.commit(order, _participants(), _models(), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(_node(0));
        datasets.publish(terms, _participants(), record);
        vm.warp(START + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares());
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
        escrow.settle(terms, _participants(), record.sharesBps);

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
}

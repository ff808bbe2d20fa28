// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderEscrow} from "../../contracts/OrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice A9 of docs/security.md: what a deployment asks of every order. Before, a window of no length settled a false
/// row in the next second, a bond of nothing let a broker choose among seeds, and a deadline a second after the match took
/// the bond.
/// @dev Plan: given terms one short of each limit: place reverts with both figures; given the limits themselves: accepted
contract OrderLimitsTest is Market {
    OrderEscrow private _strict;

    function setUp() public override {
        super.setUp();
        _strict = OrderEscrow(this.deploy(_chosen()));
        vm.prank(buyer);
        token.approve(address(_strict), type(uint256).max);
    }

    function deploy(IOrderEscrow.Limits memory limits) external returns (address) {
        IOrderEscrow.Parties memory parties = IOrderEscrow.Parties({
            token: token,
            registry: registry,
            commitment: commitment,
            datasets: address(datasets),
            rewards: rewards,
            challenges: address(challenges),
            demands: address(demands)
        });
        return _create("OrderEscrow", abi.encode(parties, limits));
    }

    function _chosen() private pure returns (IOrderEscrow.Limits memory) {
        return
            IOrderEscrow.Limits({
                answerSeconds: 1 hours,
                minChallengeSeconds: 2 hours,
                minDeliverySeconds: 6 hours,
                maxScoreMicro: 900_000,
                minRows: 100,
                minPrice: 10 ether,
                minStake: 5 ether,
                minBond: 3 ether
            });
    }

    function _least() private view returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.price, terms.stake, terms.bond, terms.rows) = (10 ether, 5 ether, 3 ether, 100);
        (terms.challengeSeconds, terms.minScoreMicro) = (2 hours, 900_000);
        terms.deliverBy = terms.matchBy + 6 hours;
    }

    function _rejects(OrderTerms memory terms, bytes memory reason) private {
        bytes memory signature = _signDigest(BUYER_KEY, _strict.hashTerms(terms));
        vm.expectRevert(reason);
        _strict.place(terms, signature, _noPermit());
    }

    function test_A9_WhatIsAskedCanBeRead() public view {
        assertEq(keccak256(abi.encode(_strict.limits())), keccak256(abi.encode(_chosen())), "limits");
    }

    function test_A9_AcceptsTheLeastThereMayBe() public {
        OrderTerms memory terms = _least();
        bytes32 order = _strict.place(terms, _signDigest(BUYER_KEY, _strict.hashTerms(terms)), _noPermit());
        assertEq(uint256(_strict.orderOf(order).state), uint256(IOrderEscrow.State.Open), "state");
    }

    function test_A9_RejectsAWindowThatNobodyCanUse() public {
        OrderTerms memory terms = _least();
        terms.challengeSeconds = 2 hours - 1;
        bytes4 cause = IOrderEscrow.OrderEscrow_ChallengeTooShort.selector;
        _rejects(terms, abi.encodeWithSelector(cause, 2 hours - 1, 2 hours));
    }

    function test_A9_RejectsADeadlineThatNobodyCanKeep() public {
        OrderTerms memory terms = _least();
        --terms.deliverBy;
        bytes4 cause = IOrderEscrow.OrderEscrow_DeliveryTooSoon.selector;
        _rejects(terms, abi.encodeWithSelector(cause, terms.deliverBy, uint256(terms.matchBy) + 6 hours));
    }

    function test_A9_RejectsAScoreThatNobodyReaches() public {
        OrderTerms memory terms = _least();
        terms.minScoreMicro = 900_001;
        bytes4 cause = IOrderEscrow.OrderEscrow_ScoreOutOfRange.selector;
        _rejects(terms, abi.encodeWithSelector(cause, 900_001, 900_000));
    }

    function test_A9_RejectsTooFewRows() public {
        OrderTerms memory terms = _least();
        terms.rows = 99;
        _rejects(terms, abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooFewRows.selector, 99, 100));
    }

    function test_A9_RejectsTooLittleMoney() public {
        bytes4 cause = IOrderEscrow.OrderEscrow_AmountTooSmall.selector;
        OrderTerms memory terms = _least();
        terms.price = 10 ether - 1;
        _rejects(terms, abi.encodeWithSelector(cause, 10 ether - 1, 10 ether));
        terms = _least();
        terms.stake = 5 ether - 1;
        _rejects(terms, abi.encodeWithSelector(cause, 5 ether - 1, 5 ether));
        terms = _least();
        terms.bond = 3 ether - 1;
        _rejects(terms, abi.encodeWithSelector(cause, 3 ether - 1, 3 ether));
    }

    function test_A9_NoScoreAboveTheWholeIsAnUpperLimit() public {
        IOrderEscrow.Limits memory limits = _chosen();
        limits.maxScoreMicro = 1_000_001;
        bytes4 cause = IOrderEscrow.OrderEscrow_ScoreOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 1_000_001, 1_000_000));
        this.deploy(limits);
    }
}

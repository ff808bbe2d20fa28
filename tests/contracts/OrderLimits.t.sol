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
            demands: address(demands),
            uptimeFeed: address(0)
        });
        return _create("OrderEscrow", abi.encode(parties, limits));
    }

    function _chosen() private pure returns (IOrderEscrow.Limits memory) {
        return
            IOrderEscrow.Limits({
                minAnswerSeconds: 1 hours,
                minChallengeSeconds: 2 hours,
                minDeliverySeconds: 6 hours,
                maxScoreMicro: 900_000,
                minRows: 100,
                minPrice: 10 ether,
                minStake: 5 ether,
                minBond: 3 ether,
                minStakeBps: 40_000
            });
    }

    function _least() private view returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.price, terms.stake, terms.bond, terms.rows) = (10 ether, 40 ether, 3 ether, 100);
        (terms.challengeSeconds, terms.answerSeconds, terms.minScoreMicro) = (2 hours, 1 hours, 900_000);
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

    function test_A9_RejectsATimeToAnswerThatAnOutageCanOutlast() public {
        OrderTerms memory terms = _least();
        terms.answerSeconds = 1 hours - 1;
        bytes4 cause = IOrderEscrow.OrderEscrow_AnswerTooShort.selector;
        _rejects(terms, abi.encodeWithSelector(cause, 1 hours - 1, 1 hours));
        terms.answerSeconds = 30 days + 1;
        cause = IOrderEscrow.OrderEscrow_AnswerTooLong.selector;
        _rejects(terms, abi.encodeWithSelector(cause, 30 days + 1, 30 days));
    }

    /// @dev Before: with a record of version 65,535 and a manifest of zero the broker was paid, and no tool could read it.
    function testFuzz_B5_RejectsRowsThatTheContractsCannotJudge(uint16 version, uint8 sizeClass) public {
        vm.assume(version != 1);
        sizeClass = uint8(bound(sizeClass, 2, 255));
        OrderTerms memory terms = _least();
        terms.specVersion = version;
        bytes4 cause = IOrderEscrow.OrderEscrow_UnknownSpecification.selector;
        _rejects(terms, abi.encodeWithSelector(cause, version, 1));
        terms = _least();
        terms.sizeClass = sizeClass;
        cause = IOrderEscrow.OrderEscrow_UnknownSizeClass.selector;
        _rejects(terms, abi.encodeWithSelector(cause, sizeClass, 1));
    }

    /// @dev Before: the broker alone declared the real part at publication.
    function testFuzz_B5_RejectsPartlyRealDataWithoutParents(uint32 own) public {
        vm.assume(own != 1_000_000);
        OrderTerms memory terms = _least();
        terms.ownRealMicro = own;
        bytes4 cause = IOrderEscrow.OrderEscrow_FractionOutOfRange.selector;
        _rejects(terms, abi.encodeWithSelector(cause, own, 1_000_000));
        (terms.parents, terms.ownRealMicro) = (keccak256("parents"), 1_000_001);
        _rejects(terms, abi.encodeWithSelector(cause, 1_000_001, 1_000_000));
    }

    function test_AContributorWithOneRowStakesTheMarketsLeast() public view {
        OrderTerms memory terms = _least();
        assertEq(_strict.stakeFor(terms, 1), 5 ether, "one row of a hundred");
        assertEq(_strict.stakeFor(terms, 50), 20 ether, "half of the rows");
        (terms.stake, terms.rows) = (1_000 ether, 300);
        assertEq(_strict.stakeFor(terms, 100), 333_333_333_333_333_333_334, "rounded up");
        terms.indivisible = true;
        assertEq(_strict.stakeFor(terms, 1), 1_000 ether, "whoever ruins all stakes all");
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
        // Four times the price.
        terms.stake = 40 ether - 1;
        _rejects(terms, abi.encodeWithSelector(cause, 40 ether - 1, 40 ether));
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

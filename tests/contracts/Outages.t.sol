// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Outages} from "../../contracts/escrow/Outages.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {SalesMarket} from "./support/SalesMarket.sol";
import {UptimeFeedDouble} from "./support/UptimeFeedDouble.sol";

/// @notice A market with an uptime feed, whose chain goes down; attack C9 of docs/security.md. Answers have 30 minutes,
/// windows an hour, sales three days; an outage moves no end by more than two days.
/// given a chain that is down
///   when somebody ends a demand, an order, a window, a sale: refused, until the time could run whole after the restart
///   when a demand comes forcibly in, and its answer after the restart: the buyer gains nothing
/// given a feed that lies, is stuck, reverts, burns gas or answers garbage
///   when a time ends: at its end, or at most two days later
contract OutagesTest is SalesMarket {
    uint256 private constant _BOUND = 2 days;
    int256 private constant _UP = 0;
    int256 private constant _DOWN = 1;

    UptimeFeedDouble private _feed;

    function setUp() public override {
        _feed = new UptimeFeedDouble();
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
    }

    function _createFeed() internal view override returns (address) {
        return address(_feed);
    }

    function _now() private view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _goDown() private {
        _feed.say(_DOWN, _now());
    }

    /// @return back chain time of the restart.
    function _comeBack() private returns (uint256 back) {
        back = _now();
        _feed.say(_UP, back);
    }

    function _has(address account) private view returns (uint256) {
        uint256 staked = uint256(registry.stakeOf(account).free) + registry.stakeOf(account).reserved;
        return token.balanceOf(account) + rewards.claimable(account) + staked;
    }

    function _demandModel(OrderTerms memory terms, uint256 dataset) private {
        vm.prank(buyer);
        demands.demandModel(terms, _participants(), dataset, 1, _models());
    }

    function _refuseToExpire(OrderTerms memory terms, bytes32 order, uint256 end) private {
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooEarly.selector, order, 1, end));
        demands.expire(terms, _participants(), 1);
    }

    function _refuseToSettle(OrderTerms memory terms, bytes32 order, uint256 end) private {
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooEarly.selector, order, end));
        escrow.settle(terms, _participants(), _shares(), _noParents());
    }

    function _refuseToRefund(OrderTerms memory terms, bytes32 order, uint256 end) private {
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooEarly.selector, order, end));
        escrow.refund(terms, _participants());
    }

    // -- silence in an outage ------------------------------------------------------------------------------------

    /// @dev Without a feed 316.635 of the price would come back to the buyer, and 1,200 of the stake be lost.
    function test_C9_ABuyerGainsNothingFromTwoOutages() public {
        OrderTerms memory terms = _termsNow(2);
        (bytes32 order, uint256 dataset) = _publish(terms);
        uint256 buyerBefore = _has(buyer);
        uint256 stakeBefore = registry.stakeOf(_node(1)).free + registry.stakeOf(_node(1)).reserved;
        _demandModel(terms, dataset);
        vm.warp(_now() + 10 minutes);
        _goDown();
        vm.warp(_now() + 5 hours);
        _refuseToExpire(terms, order, _now() + ANSWER);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER);
        _refuseToExpire(terms, order, back + ANSWER);
        vm.warp(back + ANSWER + 1);
        demands.expire(terms, _participants(), 1);
        assertTrue(demands.isWarned(order, 1), "the first time only warns");
        _goDown();
        vm.warp(_now() + 1 days);
        _refuseToExpire(terms, order, _now() + ANSWER);
        back = _comeBack();
        vm.warp(back + ANSWER);
        assertEq(demands.demandOf(order, 1).answerBy, back + ANSWER, "the last moment");
        demands.answerModel(order, 1, "model 1");
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        assertEq(_has(buyer), buyerBefore - 30 ether, "buyer: the deposit spent, and nothing gained");
        assertEq(registry.stakeOf(_node(1)).free, stakeBefore, "contributor 1: its stake");
    }

    function test_WhoIsSilentAfterTheRestartIsConvictedAsEver() public {
        OrderTerms memory terms = _termsNow(2);
        (bytes32 order, uint256 dataset) = _publish(terms);
        _demandModel(terms, dataset);
        _warn(terms, 1);
        _goDown();
        vm.warp(_now() + 1 hours);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER + 1);
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_TooLate.selector, order, 1, back + ANSWER));
        demands.answerModel(order, 1, "model 1");
        demands.expire(terms, _participants(), 1);
        assertOut(order, 1);
    }

    function test_TheBrokersDeadlineRunsAnewAfterTheRestart() public {
        OrderTerms memory terms = _termsNow(2);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.warp(terms.deliverBy - 1);
        _goDown();
        vm.warp(terms.deliverBy + 3 hours);
        _refuseToRefund(terms, order, _now() + ANSWER);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER);
        _refuseToRefund(terms, order, back + ANSWER);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_ABrokerMayGiveUpAfterTheRestartAndNoLater() public {
        OrderTerms memory terms = _termsNow(2);
        bytes32 order = _match(terms);
        vm.warp(terms.deliverBy);
        _goDown();
        vm.warp(terms.deliverBy + 3 hours);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER + 1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_TooLate.selector, order, back + ANSWER));
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        vm.warp(back + ANSWER);
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        assertBalance(BURN, BOND / 10);
    }

    /// @dev The bound of twelve times to answer is later too: else a late answer would leave the broker no time at all.
    function test_AfterALateAnswerTheBrokerHasTimeToGoOn() public {
        OrderTerms memory terms = _termsNow(2);
        bytes32 order = _match(terms);
        vm.warp(terms.deliverBy);
        _goDown();
        vm.warp(terms.deliverBy + 1 days);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER);
        _demandStep(terms, 1, IDemands.Kind.Commitment, new bytes32[](0));
        _warn(terms, 1);
        vm.warp(_now() + ANSWER);
        bytes32 digest = _saltDigests(order)[1];
        demands.answerCommitment(order, 1, _models()[1], digest, _modelSignatures(order)[1]);
        assertEq(escrow.deliverByOf(order), _now() + ANSWER, "deadline");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
    }

    /// @dev Before: both times to answer moved by up to two days each, the bound once, and the order lapsed with the bond.
    function test_TwoOutagesInOneDemandLeaveTheBrokerItsTime() public {
        OrderTerms memory terms = _termsNow(2);
        bytes32 order = _match(terms);
        vm.warp(terms.deliverBy);
        _demandStep(terms, 1, IDemands.Kind.Commitment, new bytes32[](0));
        for (uint256 i = 0; i < 2; ++i) {
            _goDown();
            vm.warp(_now() + 40 hours);
            _comeBack();
            vm.warp(_now() + ANSWER + 1);
            if (i == 0) _warn(terms, 1);
        }
        demands.expire(terms, _participants(), 1);
        assertEq(escrow.deliverByOf(order), _now() + ANSWER, "deadline");
        assert(escrow.deliverByOf(order) < escrow.latestDeliverByOf(order));
    }

    function test_ChallengersHaveTheWholeWindowAfterTheRestart() public {
        OrderTerms memory terms = _termsNow(2);
        (bytes32 order, uint256 dataset) = _publish(terms);
        _goDown();
        vm.warp(_now() + 20 hours);
        _refuseToSettle(terms, order, _now() + 1 hours);
        uint256 back = _comeBack();
        vm.warp(back + 1 hours);
        _refuseToSettle(terms, order, back + 1 hours);
        _demandModel(terms, dataset);
        demands.answerModel(order, 1, "model 1");
        assertEq(escrow.windowOf(terms), back + 2 hours, "window");
        vm.warp(back + 2 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
    }

    function test_ADrawMissedInAnOutageIsExcusedOnce() public {
        OrderTerms memory terms = _termsNow(2);
        bytes32 order = _commit(terms);
        _goDown();
        vm.warp(_now() + 5 hours);
        uint256 back = _comeBack();
        vm.warp(back + ANSWER);
        vm.roll(vm.getBlockNumber() + 10_000);
        commitment.redraw(order);
        assertEq(escrow.orderOf(order).bondLeft, BOND, "the first costs nothing");
        vm.roll(vm.getBlockNumber() + 10_000);
        commitment.redraw(order);
        assertEq(escrow.orderOf(order).bondLeft, (BOND / 10) * 9, "the second costs, whatever the feed says");
    }

    function test_ADrawMissedLongAfterAnOutageCosts() public {
        bytes32 order = _commit(_termsNow(2));
        uint256 back = _comeBack();
        vm.warp(back + ANSWER + 1);
        vm.roll(vm.getBlockNumber() + 10_000);
        commitment.redraw(order);
        assertEq(escrow.orderOf(order).bondLeft, (BOND / 10) * 9, "bond");
    }

    /// @dev Without a feed the customer would have price and deposit.
    function test_ASellerLosesNoDepositByAnOutage() public {
        uint256 deadline = _buy();
        vm.warp(deadline - 1 hours);
        _goDown();
        vm.warp(deadline + 5 hours);
        vm.expectRevert(
            abi.encodeWithSelector(IDatasetSales.DatasetSales_TooEarly.selector, id, deadline + _BOUND)
        );
        sales.expire(id);
        _comeBack();
        vm.warp(deadline + _BOUND);
        vm.prank(buyer);
        sales.deliver(id, bundle);
    }

    function test_ACustomerMayRejectAfterAnOutage() public {
        (uint256 deadline, bytes memory wrong) = _misdeliver();
        vm.warp(deadline - 1 hours);
        _goDown();
        vm.warp(deadline + 5 hours);
        vm.expectRevert(
            abi.encodeWithSelector(IDatasetSales.DatasetSales_TooEarly.selector, id, deadline + _BOUND)
        );
        sales.accept(id);
        _comeBack();
        assertEq(sales.saleOf(id).deadline, deadline + _BOUND, "deadline");
        vm.prank(customer);
        sales.reject(id, _fault(1, wrong));
    }

    // -- feeds that nobody should believe ---------------------------------------------------------------------------

    /// @dev It says "just came back" whenever it is asked.
    function test_ALyingFeedDelaysEachEndByTwoDaysAndNoMore() public {
        OrderTerms memory terms = _termsNow(2);
        (bytes32 order, uint256 dataset) = _publish(terms);
        _demandModel(terms, dataset);
        uint256 end = _now() + ANSWER + _BOUND;
        vm.warp(end);
        _comeBack();
        _refuseToExpire(terms, order, end);
        vm.warp(end + 1);
        _comeBack();
        demands.expire(terms, _participants(), 1);
        end = _now() + ANSWER + _BOUND;
        vm.warp(end + 1);
        _comeBack();
        demands.expire(terms, _participants(), 1);
        assertOut(order, 1);
        vm.warp(end + 2);
        _comeBack();
        escrow.settle(terms, _participants(), _shares(), _noParents());
    }

    function test_AFeedThatIsStuckIsBelievedForTwoDays() public {
        uint256 deadline = _now() + 3 days;
        _goDown();
        uint256 began = _now();
        vm.warp(began + _BOUND);
        assertEq(escrow.endOf(_now() - 1, 1 hours), _now() + 1 hours, "down");
        vm.warp(began + _BOUND + 1);
        assertEq(escrow.endOf(_now() - 1, 1 hours), _now() - 1, "not believed any more");
        assertEq(escrow.endOf(deadline, 1 hours), deadline, "what is still to come");
    }

    function test_AFeedThatCannotBeReadCountsAsNone() public {
        uint256 deadline = _now() - 1;
        for (uint256 manner = 1; manner <= uint256(UptimeFeedDouble.Manner.Flood); ++manner) {
            _feed.behave(UptimeFeedDouble.Manner(manner));
            assertEq(escrow.endOf(deadline, 1 hours), deadline, "end");
        }
        _feed.say(2, _now());
        assertEq(escrow.endOf(deadline, 1 hours), deadline, "neither up nor down");
        _feed.say(_DOWN, 0);
        assertEq(escrow.endOf(deadline, 1 hours), deadline, "down for ever");
        _feed.say(_UP, 0);
        assertEq(escrow.endOf(deadline, 1 hours), deadline, "nothing heard of yet");
    }

    function test_OrdersSettleWhateverTheFeedDoes() public {
        for (uint256 manner = 1; manner <= uint256(UptimeFeedDouble.Manner.Flood); ++manner) {
            OrderTerms memory terms = _termsNow(1 + manner);
            _publish(terms);
            _feed.behave(UptimeFeedDouble.Manner(manner));
            vm.warp(_now() + terms.challengeSeconds + 1);
            escrow.settle(terms, _participants(), _shares(), _noParents());
        }
    }

    /// @dev Whoever calls decides how much gas there is: never enough for the contract and too little for the feed.
    function test_NobodyMakesTheFeedFailByTooLittleGas() public {
        _goDown();
        uint256 deadline = _now() - 1;
        uint256 refused;
        for (uint256 left = 70_000; left < 200_000; left += 2_000) {
            try escrow.endOf{gas: left}(deadline, 1 hours) returns (uint256 end) {
                assertEq(end, deadline + 1 + 1 hours, "end");
            } catch (bytes memory why) {
                assertEq(bytes32(bytes4(why)), bytes32(Outages.Outages_TooLittleGas.selector), "reason");
                ++refused;
            }
        }
        assertTrue(refused > 10 && refused < 45, "both were tried");
    }

    function testFuzz_NoFeedMakesATimeEndEarlierOrBeyondTheBound(
        int256 status,
        uint256 startedAt,
        uint256 deadline,
        uint256 length
    ) public {
        (deadline, length) = (bound(deadline, 1, type(uint64).max), bound(length, 0, 90 days));
        for (uint256 word = 0; word < 3; ++word) {
            _feed.say(word == 2 ? status : int256(word), startedAt);
            uint256 end = escrow.endOf(deadline, length);
            assertTrue(end >= deadline && end <= deadline + _BOUND, "end");
        }
    }

    function test_WhatWasNeverSetStaysZero() public {
        _comeBack();
        assertEq(escrow.deliverByOf(keccak256("no order")), 0, "deadline");
        assertEq(demands.demandOf(keccak256("no order"), 0).answerBy, 0, "answerBy");
        assertEq(sales.saleOf(id).deadline, 0, "sale");
    }

    function test_TheFeedIsThere() public view {
        assertEq(escrow.uptimeFeed(), address(_feed), "feed");
    }
}

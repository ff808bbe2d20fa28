// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {UnrulyToken, Intruder} from "./support/UnrulyToken.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Receivers that cannot receive, and receivers that call back.
/// @dev Plan, for every way that money leaves the escrow and the demands:
///   given a frozen account: its part waits in the rewards (the demands keep theirs), everybody else is paid
///   given a receiver that calls back: the call reverts on the guard or the state, and everybody is paid once
contract UnrulyReceiversTest is RowMarket {
    UnrulyToken private _unruly;

    function _createToken() internal override returns (address) {
        _unruly = new UnrulyToken();
        return address(_unruly);
    }

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
    }

    function _convict() private returns (bytes32 order) {
        uint256 id;
        (order, id) = _publishFalse(_terms(), 1, 200);
        _challenge(id, stranger);
    }

    function _challenge(uint256 id, address challenger) private {
        IChallenges.Claim memory claim = _claim(id, 1, 200);
        _commitTo(claim, challenger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(challenger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
    }

    // -- frozen accounts ----------------------------------------------------------------------------------------

    function test_AFrozenBuyerCannotShieldAFalseRow() public {
        uint256 before = _allMoney();
        (, uint256 id) = _publishFalse(_terms(), 1, 200);
        _unruly.freeze(buyer, true);
        _challenge(id, stranger);
        assertBalance(stranger, _stakeOf(1) / 2);
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        // The share of shard 1: more than its rows' part of the price, so that no damages are added.
        assertEq(rewards.claimable(buyer), 316.635 ether, "waits for the buyer");
        assertBalance(address(escrow), 0);
        _unruly.freeze(buyer, false);
        rewards.claimFor(buyer);
        assertBalance(buyer, 1_000_000 ether - PRICE + 316.635 ether);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AFrozenBuyerCannotStopTheBrokerFromLeaving() public {
        _match(_terms());
        _unruly.freeze(buyer, true);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertEq(rewards.claimable(buyer), PRICE, "waits for the buyer");
        assertBalance(address(escrow), 0);
    }

    function test_AFrozenBrokerCannotStopADropOutFromBeingPunished() public {
        OrderTerms memory terms = _terms();
        terms.minContributors = 3;
        bytes32 order = _draw(terms);
        vm.prank(broker);
        demands.demandStep(terms, _participants(), 0, IDemands.Kind.Receipt, _models());
        _unruly.freeze(broker, true);
        _silence(terms, 0);
        assertState(order, IOrderEscrow.State.Refunded);
        assertEq(rewards.claimable(broker), BOND, "bond");
        assertBalance(buyer, 1_000_000 ether);
    }

    function test_AFrozenDemanderCollectsItsDepositLater() public {
        (, uint256 id) = _publishRows(_terms());
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 1, _models());
        _unruly.freeze(buyer, true);
        _warn(_terms(), 1);
        vm.warp(vm.getBlockTimestamp() + ANSWER + 1);
        // A tenth of three tenths.
        vm.expectEmit();
        emit IDemands.PaymentKept(buyer, 30 ether);
        demands.expire(_terms(), _participants(), 1);
        assertBalance(address(demands), 30 ether);
        vm.expectRevert(abi.encodeWithSelector(UnrulyToken.UnrulyToken_Frozen.selector, buyer));
        demands.collect(buyer);
        _unruly.freeze(buyer, false);
        uint256 buyerBefore = token.balanceOf(buyer);
        assertEq(demands.collect(buyer), 30 ether, "collected");
        assertEq(token.balanceOf(buyer) - buyerBefore, 30 ether, "deposit");
        vm.expectRevert(abi.encodeWithSelector(IDemands.Demands_NothingToCollect.selector, buyer));
        demands.collect(buyer);
    }

    function test_ARefundReachesAFrozenBuyerLater() public {
        _match(_terms());
        _unruly.freeze(buyer, true);
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(rewards.claimable(buyer), PRICE, "waits for the buyer");
        assertBalance(address(escrow), 0);
    }

    // -- receivers that call back -------------------------------------------------------------------------------

    /// @dev The challenger is a contract that, when its reward comes in, calls `target` with `data`.
    function _convictThrough(address target, bytes memory data) private returns (Intruder intruder) {
        intruder = new Intruder();
        (, uint256 id) = _publishFalse(_terms(), 1, 200);
        _unruly.hook(address(intruder));
        intruder.aim(target, data);
        _challenge(id, address(intruder));
        assertEq(intruder.tries(), 2, "tries");
        assertEq(intruder.successes(), 0, "successes");
        assertBalance(address(intruder), _stakeOf(1) / 2);
        assertOut(escrow.hashTerms(_terms()), 1);
    }

    function _assertGuarded(Intruder intruder) private view {
        bytes4 cause = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        assertEq(keccak256(intruder.lastAnswer()), keccak256(abi.encodeWithSelector(cause)), "guarded");
    }

    function test_ARewardedChallengerCannotRefund() public {
        _assertGuarded(
            _convictThrough(address(escrow), abi.encodeCall(IOrderEscrow.refund, (_terms(), _participants())))
        );
    }

    function test_ARewardedChallengerCannotSettle() public {
        bytes memory data = abi.encodeCall(
            IOrderEscrow.settle,
            (_terms(), _participants(), _shares(), _noParents())
        );
        _assertGuarded(_convictThrough(address(escrow), data));
    }

    function test_ARewardedChallengerCannotChallengeAgain() public {
        IChallenges.Claim memory claim = _claim(1, 1, 200);
        (liar, falseRow) = (1, 200);
        IChallenges.Evidence memory evidence = _evidence(claim);
        bytes memory data = abi.encodeCall(
            IChallenges.challenge,
            (_terms(), _participants(), claim, evidence, SALT, _noParents())
        );
        _convictThrough(address(challenges), data);
    }

    function test_ARewardedChallengerCannotExpireADemand() public {
        bytes memory data = abi.encodeCall(IDemands.expire, (_terms(), _participants(), 1));
        _convictThrough(address(demands), data);
    }

    function test_AnAnswererCannotAnswerTwice() public {
        Intruder intruder = new Intruder();
        (bytes32 order, uint256 id) = _publishRows(_terms());
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 1, _models());
        bytes memory data = abi.encodeCall(IDemands.answerModel, (order, 1, bytes("model 1")));
        _unruly.hook(address(intruder));
        intruder.aim(address(demands), data);
        intruder.send(address(demands), data);
        assertEq(intruder.tries(), 2, "tries");
        assertEq(intruder.successes(), 0, "successes");
        _assertGuarded(intruder);
        assertBalance(address(demands), 0);
    }

    function test_AClaimantCannotClaimTwice() public {
        Intruder intruder = new Intruder();
        OrderTerms memory terms = _terms();
        terms.broker = address(intruder);
        token.mint(address(intruder), BOND);
        intruder.send(address(token), abi.encodeCall(token.approve, (address(escrow), BOND)));
        bytes32 order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        intruder.send(
            address(escrow),
            abi.encodeCall(IOrderEscrow.matchOrder, (terms, _participants(), acceptances, maxRows, ""))
        );
        // From the commit on the contributors are paid what the broker forfeits.
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        _unruly.hook(address(intruder));
        intruder.aim(address(rewards), abi.encodeCall(IRewards.claimFor, (_node(0))));
        intruder.send(address(escrow), abi.encodeCall(IOrderEscrow.abandon, (terms, _participants())));
        // Its bond came in two calls after the contributors were credited: one of the calls paid node 0, the other
        // found nothing.
        uint256 each = uint256(BOND / 10) / 3;
        assertBalance(_node(0), each);
        assertEq(rewards.claimable(_node(0)), 0, "claimed");
        assertEq(intruder.successes(), 1, "once");
        assertBalance(address(escrow), 0);
        assertBalance(address(intruder), BOND - BOND / 10);
    }
}

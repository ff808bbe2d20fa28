// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";
import {UnrulyToken} from "./support/UnrulyToken.sol";

/// @notice C7 and C9 of docs/security.md: tokens that refuse a payment, or a payment of nothing.
/// @dev Plan:
/// given a token that refuses the burn address: verdicts, drop-outs, lapses and missed draws go on; it is owed later
/// given a token that refuses the rewards contract too: what is owed is booked and sent later
/// given a token that refuses the escrow: a slashed stake waits in the registry and is burned later
/// given a token that refuses transfers of zero: orders without price, bond and stake end as others do
contract RefusedPaymentsTest is RowMarket {
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
        IChallenges.Claim memory claim = _claim(id, 1, 200);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
    }

    /// @dev Before: no challenge could convict, and a false row settled as true.
    function test_C7_ATokenThatRefusesTheBurnAddressStopsNoConviction() public {
        uint256 before = _allMoney();
        _unruly.freeze(BURN, true);
        assertOut(_convict(), 1);
        assertBalance(stranger, _stakeOf(1) / 2);
        assertEq(rewards.claimable(BURN), _stakeOf(1) / 4, "burned later");
        _unruly.freeze(BURN, false);
        rewards.claimFor(BURN);
        assertBalance(BURN, _stakeOf(1) / 4);
        assertEq(_allMoney(), before, "all money");
    }

    /// @dev Before: the order froze for ever with price, bond, stakes and deposit.
    function test_C7_ATokenThatRefusesTheBurnAddressFreezesNoExpiredDemand() public {
        bytes32 order = _draw(_terms());
        vm.prank(broker);
        demands.demandStep(_terms(), _participants(), 1, IDemands.Kind.Receipt, _models());
        _unruly.freeze(BURN, true);
        _silence(_terms(), 1);
        assertOut(order, 1);
        assertEq(rewards.claimable(BURN), _stakeOf(1), "burned later");
        assertBalance(address(escrow), PRICE + BOND);
    }

    function test_C7_ATokenThatRefusesTheBurnAddressHoldsUpNoLapseAndNoRedraw() public {
        bytes32 order = _commit(_terms());
        _unruly.freeze(BURN, true);
        vm.roll(vm.getBlockNumber() + DELAY + 257);
        commitment.redraw(order);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(rewards.claimable(BURN), BOND, "burned later");
        assertBalance(buyer, 1_000_000 ether);
        assertBalance(address(escrow), 0);
    }

    function test_C7_ATokenThatRefusesTheRewardsHoldsUpNoSettlement() public {
        uint256 before = _allMoney();
        (bytes32 order, ) = _publish(_terms());
        _unruly.freeze(address(rewards), true);
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertState(order, IOrderEscrow.State.Settled);
        assertEq(escrow.heldForRewards(), PRICE + BOND, "held");
        assertStake(_node(0), DEPOSIT, 0);
        vm.expectRevert(abi.encodeWithSelector(UnrulyToken.UnrulyToken_Frozen.selector, address(rewards)));
        escrow.sendHeld();

        _unruly.freeze(address(rewards), false);
        assertEq(escrow.sendHeld(), PRICE + BOND, "sent");
        assertEq(escrow.sendHeld(), 0, "sent once");
        rewards.claimFor(broker);
        for (uint256 k = 0; k < 3; ++k) {
            rewards.claimFor(_node(k));
        }
        assertBalance(address(rewards), 0);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_C7_ATokenThatRefusesEverybodyStopsNoConviction() public {
        uint256 before = _allMoney();
        (, uint256 id) = _publishFalse(_terms(), 1, 200);
        address[4] memory accounts = [buyer, stranger, BURN, address(rewards)];
        for (uint256 k = 0; k < 4; ++k) {
            _unruly.freeze(accounts[k], true);
        }
        IChallenges.Claim memory claim = _claim(id, 1, 200);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
        vm.warp(escrow.windowOf(_terms()) + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        assertEq(escrow.heldForRewards(), PRICE + BOND + _stakeOf(1), "held");
        assertEq(rewards.claimable(buyer), 316.635 ether, "buyer");
        assertEq(rewards.claimable(stranger), _stakeOf(1) / 2, "challenger");

        for (uint256 k = 0; k < 4; ++k) {
            _unruly.freeze(accounts[k], false);
        }
        escrow.sendHeld();
        rewards.claimFor(buyer);
        rewards.claimFor(stranger);
        rewards.claimFor(BURN);
        rewards.claimFor(broker);
        rewards.claimFor(_node(0));
        rewards.claimFor(_node(2));
        assertBalance(address(rewards), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_C7_AStakeThatTheTokenKeepsInTheRegistryIsSlashedAllTheSame() public {
        uint256 before = _allMoney();
        bytes32 order = _match(_terms());
        bytes32 other = _secondOrder();
        _unruly.freeze(address(escrow), true);
        vm.prank(address(demands));
        escrow.drop(_terms(), _participants(), 1);
        assertOut(order, 1);
        // Before the commit: a quarter.
        assertStake(_node(1), DEPOSIT - _stakeOf(1) / 4 - _stakeOf(1), _stakeOf(1));
        assertEq(registry.heldToBurn(), _stakeOf(1) / 4, "held");
        // Nobody was paid from the money of the other order.
        assertState(other, IOrderEscrow.State.Matched);
        assertBalance(address(escrow), 2 * (PRICE + BOND));
        assertEq(registry.burnHeld(), _stakeOf(1) / 4, "burned");
        assertEq(registry.burnHeld(), 0, "burned once");
        assertBalance(BURN, _stakeOf(1) / 4);
        assertEq(_allMoney(), before, "all money");
    }

    function _secondOrder() private returns (bytes32) {
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(2));
        return _match(terms);
    }

    // -- C9 -----------------------------------------------------------------------------------------------------

    function _nothing() private returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.price, terms.stake, terms.bond) = (0, 0, 0);
        _unruly.refuseZero(true);
    }

    /// @dev Before: an order without a bond could not be matched, nor one of a hundredth below a wei demanded.
    function test_C9_OrdersOfNothingSettle() public {
        OrderTerms memory terms = _nothing();
        (bytes32 order, uint256 id) = _publishRows(terms);
        vm.prank(buyer);
        demands.demandModel(terms, _participants(), id, 1, _models());
        demands.answerModel(order, 1, "model 1");
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        assertState(order, IOrderEscrow.State.Settled);
    }

    function test_C9_OrdersOfNothingAreRefundedAndGivenUp() public {
        OrderTerms memory terms = _nothing();
        bytes32 order = _draw(terms);
        vm.warp(uint256(terms.deliverBy) + 1);
        escrow.refund(terms, _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        vm.warp(START);
        terms.salt = bytes32(uint256(2));
        order = _commit(terms);
        vm.roll(vm.getBlockNumber() + DELAY + 257);
        commitment.redraw(order);
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        assertState(order, IOrderEscrow.State.Refunded);
    }

    function test_C9_OrdersOfNothingAreReduced() public {
        OrderTerms memory terms = _nothing();
        (bytes32 order, ) = _publish(terms);
        vm.prank(address(challenges));
        bool whole = escrow.convict(terms, _participants(), 1, stranger);
        assertTrue(!whole, "a part is left");
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        assertState(order, IOrderEscrow.State.Settled);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributorRegistry} from "../../contracts/interfaces/IContributorRegistry.sol";
import {Market} from "./support/Market.sol";

/// @notice Stake: in, bound, out, and taken.
/// @dev Plan:
/// deposit: given no registration | zero | more than fits: reverts
/// requestWithdrawal: given zero | reserved stake: reverts; a second request starts the delay again
/// withdraw: given no request | an unbonding that runs | a second time: reverts
/// reserve: given another caller | a second time for an order | more than is free: reverts
/// release, slash: given another caller: reverts; else what is reserved for the order, and no more
contract ContributorRegistryTest is Market {
    bytes32 private constant ORDER = keccak256("order");

    function test_DepositRejectsUnregisteredCaller() public {
        bytes4 cause = IContributorRegistry.ContributorRegistry_NotRegistered.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, stranger));
        vm.prank(stranger);
        registry.deposit(1);
    }

    function test_DepositRejectsZero() public {
        vm.expectRevert(abi.encodeWithSelector(IContributorRegistry.ContributorRegistry_ZeroAmount.selector));
        vm.prank(_node(0));
        registry.deposit(0);
    }

    function test_DepositRejectsWhatDoesNotFit128Bits() public {
        uint256 maximum = type(uint128).max - DEPOSIT;
        bytes4 cause = IContributorRegistry.ContributorRegistry_AmountTooLarge.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, maximum + 1, maximum));
        vm.prank(_node(0));
        registry.deposit(maximum + 1);
    }

    function test_RequestRejectsZero() public {
        vm.expectRevert(abi.encodeWithSelector(IContributorRegistry.ContributorRegistry_ZeroAmount.selector));
        vm.prank(_node(0));
        registry.requestWithdrawal(0);
    }

    function test_RequestRejectsReservedStake() public {
        _match(_terms());
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), DEPOSIT - _stakeOf(0), DEPOSIT));
        vm.prank(_node(0));
        registry.requestWithdrawal(DEPOSIT);
    }

    function test_WithdrawRejectsWithoutRequest() public {
        bytes4 cause = IContributorRegistry.ContributorRegistry_NothingToWithdraw.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0)));
        vm.prank(_node(0));
        registry.withdraw();
    }

    function test_WithdrawRejectsWhileUnbonding() public {
        vm.prank(_node(0));
        registry.requestWithdrawal(1 ether);
        vm.warp(START + UNBONDING - 1);
        bytes4 cause = IContributorRegistry.ContributorRegistry_StillUnbonding.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), START + UNBONDING));
        vm.prank(_node(0));
        registry.withdraw();
    }

    function test_WithdrawRejectsSecondTime() public {
        vm.prank(_node(0));
        registry.requestWithdrawal(1 ether);
        vm.warp(START + UNBONDING);
        vm.prank(_node(0));
        registry.withdraw();
        bytes4 cause = IContributorRegistry.ContributorRegistry_NothingToWithdraw.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0)));
        vm.prank(_node(0));
        registry.withdraw();
    }

    function test_ReserveRejectsOtherCallersThanTheEscrow() public {
        bytes4 cause = IContributorRegistry.ContributorRegistry_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0)));
        vm.prank(_node(0));
        registry.reserve(ORDER, _node(0), 1);
    }

    function test_ReleaseRejectsOtherCallersThanTheEscrow() public {
        bytes4 cause = IContributorRegistry.ContributorRegistry_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0)));
        vm.prank(_node(0));
        registry.release(ORDER, _node(0));
    }

    function test_SlashRejectsOtherCallersThanTheEscrow() public {
        bytes4 cause = IContributorRegistry.ContributorRegistry_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, stranger));
        vm.prank(stranger);
        registry.slash(ORDER, _node(0), 0);
    }

    function test_SlashTakesOfWhatIsReservedForTheOrderAndNoMore() public {
        vm.prank(address(escrow));
        registry.reserve(ORDER, _node(0), 7);
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), 7, 8));
        vm.prank(address(escrow));
        registry.slash(ORDER, _node(0), 8);
        vm.prank(address(escrow));
        assertEq(registry.slash(ORDER, _node(0), 3), 3, "slashed");
        assertEq(registry.reservedFor(ORDER, _node(0)), 4, "left");
        vm.prank(address(escrow));
        assertEq(registry.slash(ORDER, _node(0), 4), 4, "slashed");
        vm.prank(address(escrow));
        assertEq(registry.slash(ORDER, _node(0), 0), 0, "nothing left");
        assertStake(_node(0), DEPOSIT - 7, 0);
        assertBalance(address(escrow), 7);
        assertBalance(address(registry), 3 * DEPOSIT - 7);
    }

    function test_ReserveRejectsSecondReservationForAnOrder() public {
        vm.prank(address(escrow));
        registry.reserve(ORDER, _node(0), 1);
        bytes4 cause = IContributorRegistry.ContributorRegistry_AlreadyReserved.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, ORDER, _node(0)));
        vm.prank(address(escrow));
        registry.reserve(ORDER, _node(0), 1);
    }

    function testFuzz_ReserveRejectsMoreThanIsFree(uint256 amount) public {
        amount = bound(amount, DEPOSIT + 1, type(uint256).max);
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), DEPOSIT, amount));
        vm.prank(address(escrow));
        registry.reserve(ORDER, _node(0), amount);
    }

    function test_RegistersAndReplacesMetadata() public {
        assertTrue(!registry.stakeOf(stranger).registered, "not registered yet");
        vm.expectEmit();
        emit IContributorRegistry.ContributorRegistered(stranger, keccak256("new"));
        vm.prank(stranger);
        registry.register(keccak256("new"));
        assertTrue(registry.stakeOf(stranger).registered, "registered");
        assertEq(registry.metadataOf(stranger), keccak256("new"), "metadata");
    }

    function test_SecondRequestAddsAndStartsTheDelayAgain() public {
        vm.prank(_node(0));
        registry.requestWithdrawal(1 ether);
        vm.warp(START + 100);
        vm.expectEmit();
        emit IContributorRegistry.WithdrawalRequested(_node(0), 3 ether, uint64(START + 100 + UNBONDING));
        vm.prank(_node(0));
        registry.requestWithdrawal(2 ether);
        IContributorRegistry.Stake memory found = registry.stakeOf(_node(0));
        assertEq(found.free, DEPOSIT - 3 ether, "free");
        assertEq(found.unbonding, 3 ether, "unbonding");
        assertEq(found.unbondingAt, START + 100 + UNBONDING, "unbondingAt");
    }

    function testFuzz_StakeComesBackWhole(uint256 amount, uint256 reserved) public {
        amount = bound(amount, 1, DEPOSIT);
        reserved = bound(reserved, 0, DEPOSIT);
        vm.prank(address(escrow));
        registry.reserve(ORDER, _node(0), reserved);
        assertStake(_node(0), DEPOSIT - reserved, reserved);
        vm.prank(address(escrow));
        registry.release(ORDER, _node(0));
        assertStake(_node(0), DEPOSIT, 0);

        vm.prank(_node(0));
        registry.requestWithdrawal(amount);
        vm.warp(START + UNBONDING);
        vm.expectEmit();
        emit IContributorRegistry.StakeWithdrawn(_node(0), amount);
        vm.prank(_node(0));
        registry.withdraw();
        assertStake(_node(0), DEPOSIT - amount, 0);
        assertBalance(_node(0), amount);
        assertBalance(address(registry), 3 * DEPOSIT - amount);
    }
}

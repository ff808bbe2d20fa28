// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {Market} from "./support/Market.sol";

/// credit
/// ├── when the caller is neither the escrow nor the sales contract: it should revert
/// ├── when there is not one amount an account: it should revert
/// └── it should add to balances; zero should leave no trace
/// claim, claimFor
/// ├── given nothing to claim, or a second time: it should revert
/// └── it should pay the account whole, whoever asks
/// (pots: RewardsPots.t.sol; payout addresses: RewardsPayout.t.sol; hostile tokens: HostileToken.t.sol)
contract RewardsTest is Market {
    bytes32 private constant ORDER = keccak256("order");

    function _credit(address first, uint256 firstAmount, address second, uint256 secondAmount) private {
        address[] memory accounts = new address[](2);
        uint256[] memory amounts = new uint256[](2);
        (accounts[0], accounts[1]) = (first, second);
        (amounts[0], amounts[1]) = (firstAmount, secondAmount);
        token.mint(address(rewards), firstAmount + secondAmount);
        vm.prank(address(escrow));
        rewards.credit(ORDER, accounts, amounts);
    }

    function test_CreditRejectsOtherCallersThanTheEscrow() public {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_Unauthorized.selector, broker));
        vm.prank(broker);
        rewards.credit(ORDER, new address[](1), new uint256[](1));
    }

    function test_CreditRejectsRoyaltiesWhichKnowNoAccounts() public {
        address royalties = rewards.royalties();
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_Unauthorized.selector, royalties));
        vm.prank(royalties);
        rewards.credit(ORDER, new address[](1), new uint256[](1));
    }

    function test_CreditTakesWhatSalesOwe() public {
        address[] memory accounts = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (accounts[0], amounts[0]) = (_node(2), 3);
        token.mint(address(rewards), 3);
        vm.prank(rewards.sales());
        rewards.credit(ORDER, accounts, amounts);
        assertEq(rewards.claimable(_node(2)), 3, "seller");
    }

    function test_CreditRejectsUnequalLists() public {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_LengthMismatch.selector, 1, 2));
        vm.prank(address(escrow));
        rewards.credit(ORDER, new address[](1), new uint256[](2));
    }

    function test_ClaimRejectsEmptyBalance() public {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NothingToClaim.selector, stranger));
        vm.prank(stranger);
        rewards.claim();
    }

    function test_ClaimRejectsSecondTime() public {
        _credit(_node(0), 5, _node(1), 7);
        vm.prank(_node(0));
        rewards.claim();
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NothingToClaim.selector, _node(0)));
        vm.prank(_node(0));
        rewards.claim();
    }

    function test_CreditsAddUpAndZeroLeavesNoTrace() public {
        _credit(_node(0), 5, _node(1), 0);
        _credit(_node(0), 7, _node(0), 1);
        assertEq(rewards.claimable(_node(0)), 13, "sum");
        assertEq(rewards.claimable(_node(1)), 0, "nothing");
    }

    function test_ClaimPaysTheCaller() public {
        _credit(_node(0), 5, _node(1), 7);
        vm.expectEmit();
        emit IRewards.RewardClaimed(_node(0), 5);
        vm.prank(_node(0));
        assertEq(rewards.claim(), 5, "amount");
        assertBalance(_node(0), 5);
        assertBalance(address(rewards), 7);
    }

    function test_ClaimForPaysTheAccountAndNotTheCaller() public {
        _credit(_node(0), 5, _node(1), 7);
        vm.prank(stranger);
        rewards.claimFor(_node(1));
        assertBalance(_node(1), 7);
        assertBalance(stranger, 0);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IRewards} from "../interfaces/IRewards.sol";

/// @notice Pays by way of the rewards contract, and is held up by no token that refuses the payment.
/// @dev The rewards contract books a payment when it is made. If the token does not move it, the tokens wait here and
/// are the rewards contract's: its balance and what is held for it equal what it owes.
abstract contract RewardsPayer {
    using SafeERC20 for IERC20;

    IERC20 public immutable token;
    IRewards public immutable rewards;

    /// @notice Token wei that could not be moved to the rewards contract yet.
    uint256 public heldForRewards;

    constructor(IERC20 token_, IRewards rewards_) {
        token = token_;
        rewards = rewards_;
    }

    /// @notice Sends the rewards contract what waits here for it. Anyone.
    function sendHeld() external returns (uint256 amount) {
        amount = heldForRewards;
        heldForRewards = 0;
        if (amount != 0) token.safeTransfer(address(rewards), amount);
    }

    /// @dev No transfer of zero is ever made: some tokens refuse it.
    function _fund(uint256 amount) internal {
        if (amount != 0 && !token.trySafeTransfer(address(rewards), amount)) heldForRewards += amount;
    }

    /// @dev The tokens are there already, or wait here.
    function _book(bytes32 order, address account, uint256 amount) internal {
        address[] memory accounts = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (accounts[0], amounts[0]) = (account, amount);
        rewards.credit(order, accounts, amounts);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Where royalties of one data set arrive
/// @notice The code behind every receiver of {IRoyalties}; the receivers are minimal clones of one of these, and share
/// its immutables.
/// @dev Privileges: the royalties contract, which deployed it, may have its whole token balance sent to the rewards
/// contract. Nothing else can be done with it.
contract RoyaltyReceiver {
    using SafeERC20 for IERC20;

    IERC20 public immutable token;
    address public immutable rewards;
    address public immutable royalties;

    error RoyaltyReceiver_Unauthorized(address caller);

    constructor(IERC20 token_, address rewards_) {
        token = token_;
        rewards = rewards_;
        royalties = msg.sender;
    }

    /// @notice Sends the whole token balance to the rewards contract. Royalties contract only.
    /// @return amount that was sent, in token wei.
    function sweep() external returns (uint256 amount) {
        if (msg.sender != royalties) revert RoyaltyReceiver_Unauthorized(msg.sender);

        amount = token.balanceOf(address(this));
        token.safeTransfer(rewards, amount);
    }
}

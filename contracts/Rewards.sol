// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IRewards} from "./interfaces/IRewards.sol";

/// @notice Described in {IRewards}.
contract Rewards is IRewards {
    using SafeERC20 for IERC20;

    IERC20 public immutable token;
    address public immutable escrow;

    mapping(address account => uint256 amount) private _claimable;

    constructor(IERC20 token_, address escrow_) {
        token = token_;
        escrow = escrow_;
    }

    /// @inheritdoc IRewards
    function credit(bytes32 order, address[] calldata accounts, uint256[] calldata amounts) external {
        if (msg.sender != escrow) revert Rewards_Unauthorized(msg.sender);
        if (accounts.length != amounts.length) revert Rewards_LengthMismatch(accounts.length, amounts.length);

        for (uint256 i = 0; i < accounts.length; ++i) {
            if (amounts[i] == 0) continue;
            _claimable[accounts[i]] += amounts[i];
            emit RewardCredited(order, accounts[i], amounts[i]);
        }
    }

    /// @inheritdoc IRewards
    function claim() external returns (uint256 amount) {
        return _payOut(msg.sender);
    }

    /// @inheritdoc IRewards
    function claimFor(address account) external returns (uint256 amount) {
        return _payOut(account);
    }

    /// @inheritdoc IRewards
    function claimable(address account) external view returns (uint256) {
        return _claimable[account];
    }

    function _payOut(address account) private returns (uint256 amount) {
        amount = _claimable[account];
        if (amount == 0) revert Rewards_NothingToClaim(account);

        delete _claimable[account];
        emit RewardClaimed(account, amount);

        token.safeTransfer(account, amount);
    }
}

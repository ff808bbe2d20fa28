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
    address public immutable datasets;
    address public immutable sales;
    address public immutable royalties;

    /// @dev One more than the balance, once an account was credited: a slot that stays in use makes the next
    /// settlement cheaper by 17,000 gas an account.
    mapping(address account => uint256 amountPlusOne) private _balances;

    mapping(uint256 dataset => uint256 amount) private _pots;

    constructor(IERC20 token_, address escrow_, address datasets_, address sales_, address royalties_) {
        token = token_;
        escrow = escrow_;
        datasets = datasets_;
        sales = sales_;
        royalties = royalties_;
    }

    /// @inheritdoc IRewards
    function credit(bytes32 order, address[] calldata accounts, uint256[] calldata amounts) external {
        if (msg.sender != escrow) revert Rewards_Unauthorized(msg.sender);
        if (accounts.length != amounts.length) revert Rewards_LengthMismatch(accounts.length, amounts.length);

        for (uint256 i = 0; i < accounts.length; ++i) {
            if (amounts[i] == 0) continue;
            uint256 stored = _balances[accounts[i]];
            _balances[accounts[i]] = (stored == 0 ? 1 : stored) + amounts[i];
            emit RewardCredited(order, accounts[i], amounts[i]);
        }
    }

    /// @inheritdoc IRewards
    function creditDataset(uint256 dataset, uint256 amount) external {
        if (msg.sender != escrow && msg.sender != sales && msg.sender != royalties) {
            revert Rewards_Unauthorized(msg.sender);
        }
        _pots[dataset] += amount;
        emit DatasetCredited(dataset, amount);
    }

    /// @inheritdoc IRewards
    function datasetBalance(uint256 dataset) external view returns (uint256) {
        return _pots[dataset];
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
        return _owed(account);
    }

    function _payOut(address account) private returns (uint256 amount) {
        amount = _owed(account);
        if (amount == 0) revert Rewards_NothingToClaim(account);

        _balances[account] = 1;
        emit RewardClaimed(account, amount);

        token.safeTransfer(account, amount);
    }

    function _owed(address account) private view returns (uint256) {
        uint256 stored = _balances[account];
        return stored == 0 ? 0 : stored - 1;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IContributorRegistry} from "./interfaces/IContributorRegistry.sol";

/// @notice Described in {IContributorRegistry}.
contract ContributorRegistry is IContributorRegistry {
    using SafeERC20 for IERC20;

    struct Account {
        uint128 free;
        uint128 reserved;
        uint128 unbonding;
        uint64 unbondingAt;
        bool registered;
        bytes32 metadataDigest;
    }

    IERC20 public immutable token;
    address public immutable escrow;
    /// @notice Chain time between a request to withdraw and the withdrawal.
    uint32 public immutable unbondingSeconds;

    mapping(address contributor => Account account) private _accounts;
    mapping(bytes32 order => mapping(address contributor => uint256 amount)) private _reservations;

    modifier onlyEscrow() {
        if (msg.sender != escrow) revert ContributorRegistry_Unauthorized(msg.sender);
        _;
    }

    constructor(IERC20 token_, address escrow_, uint32 unbondingSeconds_) {
        token = token_;
        escrow = escrow_;
        unbondingSeconds = unbondingSeconds_;
    }

    /// @inheritdoc IContributorRegistry
    function register(bytes32 metadataDigest) external {
        Account storage account = _accounts[msg.sender];
        account.registered = true;
        account.metadataDigest = metadataDigest;
        emit ContributorRegistered(msg.sender, metadataDigest);
    }

    /// @inheritdoc IContributorRegistry
    function deposit(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        if (!account.registered) revert ContributorRegistry_NotRegistered(msg.sender);
        if (amount == 0) revert ContributorRegistry_ZeroAmount();
        uint256 total = uint256(account.free) + account.reserved + account.unbonding;
        // Bounding the total keeps every part, and every sum of two parts, within 128 bits.
        if (amount > type(uint128).max - total) {
            revert ContributorRegistry_AmountTooLarge(amount, type(uint128).max - total);
        }

        account.free += uint128(amount);
        emit StakeDeposited(msg.sender, amount);

        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IContributorRegistry
    function requestWithdrawal(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        if (amount == 0) revert ContributorRegistry_ZeroAmount();
        if (amount > account.free) {
            revert ContributorRegistry_InsufficientStake(msg.sender, account.free, amount);
        }

        account.free -= uint128(amount);
        account.unbonding += uint128(amount);
        account.unbondingAt = uint64(block.timestamp) + unbondingSeconds;
        emit WithdrawalRequested(msg.sender, account.unbonding, account.unbondingAt);
    }

    /// @inheritdoc IContributorRegistry
    function withdraw() external {
        Account storage account = _accounts[msg.sender];
        uint256 amount = account.unbonding;
        if (amount == 0) revert ContributorRegistry_NothingToWithdraw(msg.sender);
        if (block.timestamp < account.unbondingAt) {
            revert ContributorRegistry_StillUnbonding(msg.sender, account.unbondingAt);
        }

        account.unbonding = 0;
        account.unbondingAt = 0;
        emit StakeWithdrawn(msg.sender, amount);

        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IContributorRegistry
    function reserve(bytes32 order, address contributor, uint256 amount) external onlyEscrow {
        Account storage account = _accounts[contributor];
        if (!account.registered) revert ContributorRegistry_NotRegistered(contributor);
        if (amount > account.free) {
            revert ContributorRegistry_InsufficientStake(contributor, account.free, amount);
        }
        if (_reservations[order][contributor] != 0) revert ContributorRegistry_AlreadyReserved(order, contributor);

        account.free -= uint128(amount);
        account.reserved += uint128(amount);
        _reservations[order][contributor] = amount;
        emit StakeReserved(order, contributor, amount);
    }

    /// @inheritdoc IContributorRegistry
    function release(bytes32 order, address contributor) external onlyEscrow {
        Account storage account = _accounts[contributor];
        uint256 amount = _reservations[order][contributor];

        delete _reservations[order][contributor];
        account.reserved -= uint128(amount);
        account.free += uint128(amount);
        emit StakeReleased(order, contributor, amount);
    }

    /// @inheritdoc IContributorRegistry
    function slash(bytes32 order, address contributor) external onlyEscrow returns (uint256 amount) {
        amount = _reservations[order][contributor];

        delete _reservations[order][contributor];
        _accounts[contributor].reserved -= uint128(amount);
        emit StakeSlashed(order, contributor, amount);

        token.safeTransfer(escrow, amount);
    }

    /// @inheritdoc IContributorRegistry
    function stakeOf(
        address contributor
    )
        external
        view
        returns (uint256 free, uint256 reserved, uint256 unbonding, uint64 unbondingAt, bool registered)
    {
        Account storage account = _accounts[contributor];
        return (account.free, account.reserved, account.unbonding, account.unbondingAt, account.registered);
    }

    /// @inheritdoc IContributorRegistry
    function reservedFor(bytes32 order, address contributor) external view returns (uint256) {
        return _reservations[order][contributor];
    }

    /// @inheritdoc IContributorRegistry
    function metadataOf(address contributor) external view returns (bytes32) {
        return _accounts[contributor].metadataDigest;
    }
}

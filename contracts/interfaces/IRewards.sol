// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the market owes, by account, until it is fetched
/// @notice Paying by pull keeps one account that cannot receive from blocking the others.
/// @dev Privileges:
/// - the order escrow may credit accounts, having transferred the tokens before;
/// - anyone may have an account's balance sent to that account, and to no other.
/// There is no owner and no other way out.
interface IRewards {
    /// @notice `account` may claim `amount` wei more, earned in `order`.
    event RewardCredited(bytes32 indexed order, address indexed account, uint256 amount);
    /// @notice `amount` wei were sent to `account`.
    event RewardClaimed(address indexed account, uint256 amount);

    /// @notice `amount` wei wait to be divided among the contributors of `dataset`.
    event DatasetCredited(uint256 indexed dataset, uint256 amount);

    /// @notice Only the order escrow may credit.
    error Rewards_Unauthorized(address caller);
    /// @notice The account's balance is zero.
    error Rewards_NothingToClaim(address account);
    /// @notice Every account needs one amount.
    error Rewards_LengthMismatch(uint256 accounts, uint256 amounts);

    /// @notice Adds to balances. Order escrow only, after it transferred the sum.
    function credit(bytes32 order, address[] calldata accounts, uint256[] calldata amounts) external;

    /// @notice Adds to what is owed to the contributors of a data set. Escrow, sales and royalties only, after they
    /// transferred the amount.
    function creditDataset(uint256 dataset, uint256 amount) external;

    /// @return Token wei that wait to be divided among the contributors of `dataset`.
    function datasetBalance(uint256 dataset) external view returns (uint256);

    /// @notice Sends the caller's balance to the caller.
    /// @return amount in token wei.
    function claim() external returns (uint256 amount);

    /// @notice Sends the balance of `account` to `account`, whoever asks (a relayer may pay the gas).
    /// @return amount in token wei.
    function claimFor(address account) external returns (uint256 amount);

    /// @return Token wei that `account` may claim now.
    function claimable(address account) external view returns (uint256);
}

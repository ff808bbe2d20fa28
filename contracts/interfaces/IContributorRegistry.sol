// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Contributors and their stake
/// @notice A contributor's stake is free, reserved for an open order, or unbonding on its way out.
/// @dev Privileges:
/// - a contributor alone moves its own stake in and out;
/// - the order escrow may reserve free stake for an order, give it back, and take what is reserved for that order to
///   divide it ({IOrderEscrow.convict}, {IOrderEscrow.drop} and {IOrderEscrow.fine}: a proven fraud, or silence after
///   a demand). It cannot touch free stake. There is no owner. Reserved stake cannot be withdrawn, so it stays as
///   long as its order's window is open.
interface IContributorRegistry {
    /// @notice One contributor's stake, in token wei.
    struct Stake {
        uint128 free;
        /// Over all open orders.
        uint128 reserved;
        uint128 unbonding;
        /// Chain time from which `unbonding` can be withdrawn.
        uint64 unbondingAt;
        /// Whether the address ever registered.
        bool registered;
    }

    /// @notice `contributor` registered, or replaced its metadata.
    event ContributorRegistered(address indexed contributor, bytes32 metadataDigest);
    event StakeDeposited(address indexed contributor, uint256 amount);
    /// @notice `amount` wei in all leave the stake; they can be withdrawn from chain time `availableAt` on.
    event WithdrawalRequested(address indexed contributor, uint256 amount, uint64 availableAt);
    event StakeWithdrawn(address indexed contributor, uint256 amount);
    event StakeReserved(bytes32 indexed order, address indexed contributor, uint256 amount);
    event StakeReleased(bytes32 indexed order, address indexed contributor, uint256 amount);

    /// @notice `amount` wei reserved for the order went to the escrow, which divides them.
    event StakeSlashed(bytes32 indexed order, address indexed contributor, uint256 amount);

    /// @notice Only the order escrow may reserve, release and slash.
    error ContributorRegistry_Unauthorized(address caller);
    error ContributorRegistry_NotRegistered(address contributor);
    error ContributorRegistry_ZeroAmount();
    error ContributorRegistry_AmountTooLarge(uint256 amount, uint256 maximum);
    /// @notice More was asked than is free.
    error ContributorRegistry_InsufficientStake(address contributor, uint256 free, uint256 needed);
    error ContributorRegistry_NothingToWithdraw(address contributor);
    error ContributorRegistry_StillUnbonding(address contributor, uint64 availableAt);
    error ContributorRegistry_AlreadyReserved(bytes32 order, address contributor);

    /// @notice Registers the caller, or replaces its metadata.
    /// @param metadataDigest SHA-256 of the contributor's metadata document.
    function register(bytes32 metadataDigest) external;

    /// @notice Adds to the caller's free stake; needs an allowance.
    function deposit(uint256 amount) external;

    /// @notice Starts the unbonding of free stake. A second request adds to the first and starts its delay again.
    function requestWithdrawal(uint256 amount) external;

    /// @notice Sends the caller's unbonded stake to the caller.
    function withdraw() external;

    /// @notice Sets free stake of a registered contributor aside. Order escrow only, once per order and contributor.
    function reserve(bytes32 order, address contributor, uint256 amount) external;

    /// @notice Frees what was reserved for the order. Order escrow only.
    function release(bytes32 order, address contributor) external;

    /// @notice Takes of what is reserved for the order and sends it to the escrow. Order escrow only.
    /// @param amount in token wei, at most what is reserved; the rest stays reserved.
    /// @return sent in token wei; zero when the token refuses to move it, which then waits here to be burned.
    function slash(bytes32 order, address contributor, uint256 amount) external returns (uint256 sent);

    /// @notice Burns slashed stake that could not be sent to the escrow. Anyone.
    function burnHeld() external returns (uint256 amount);

    /// @return Token wei of slashed stake that wait to be burned.
    function heldToBurn() external view returns (uint256);

    /// @return Zeros for an address that never registered.
    function stakeOf(address contributor) external view returns (Stake memory);

    /// @return Token wei reserved for one order.
    function reservedFor(bytes32 order, address contributor) external view returns (uint256);

    /// @return SHA-256 of the contributor's metadata document; zero when never registered.
    function metadataOf(address contributor) external view returns (bytes32);
}

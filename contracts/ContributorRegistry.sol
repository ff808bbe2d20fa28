// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IContributorRegistry} from "./interfaces/IContributorRegistry.sol";
import {NOBODY} from "./types/Units.sol";

/// @notice Described in {IContributorRegistry}.
contract ContributorRegistry is IContributorRegistry {
    using SafeERC20 for IERC20;

    IERC20 public immutable token;
    address public immutable escrow;
    /// @notice Chain time between a request to withdraw and the withdrawal.
    uint32 public immutable unbondingSeconds;

    mapping(address contributor => Stake stake) private _stakes;
    mapping(bytes32 order => mapping(address contributor => uint256 amount)) private _reservations;

    /// @inheritdoc IContributorRegistry
    mapping(address contributor => bytes32 metadataDigest) public metadataOf;

    /// @inheritdoc IContributorRegistry
    uint256 public heldToBurn;

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
        _stakes[msg.sender].registered = true;
        metadataOf[msg.sender] = metadataDigest;
        emit ContributorRegistered(msg.sender, metadataDigest);
    }

    /// @inheritdoc IContributorRegistry
    function deposit(uint256 amount) external {
        Stake storage stake = _stakes[msg.sender];
        if (!stake.registered) revert ContributorRegistry_NotRegistered(msg.sender);
        if (amount == 0) revert ContributorRegistry_ZeroAmount();
        uint256 total = uint256(stake.free) + stake.reserved + stake.unbonding;
        // Bounding the total keeps every part, and every sum of two parts, within 128 bits.
        if (amount > type(uint128).max - total) {
            revert ContributorRegistry_AmountTooLarge(amount, type(uint128).max - total);
        }

        stake.free += uint128(amount);
        emit StakeDeposited(msg.sender, amount);

        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IContributorRegistry
    function requestWithdrawal(uint256 amount) external {
        Stake storage stake = _stakes[msg.sender];
        if (amount == 0) revert ContributorRegistry_ZeroAmount();
        if (amount > stake.free) {
            revert ContributorRegistry_InsufficientStake(msg.sender, stake.free, amount);
        }

        stake.free -= uint128(amount);
        stake.unbonding += uint128(amount);
        stake.unbondingAt = uint64(block.timestamp) + unbondingSeconds;
        emit WithdrawalRequested(msg.sender, stake.unbonding, stake.unbondingAt);
    }

    /// @inheritdoc IContributorRegistry
    function withdraw() external {
        Stake storage stake = _stakes[msg.sender];
        uint256 amount = stake.unbonding;
        if (amount == 0) revert ContributorRegistry_NothingToWithdraw(msg.sender);
        if (block.timestamp < stake.unbondingAt) {
            revert ContributorRegistry_StillUnbonding(msg.sender, stake.unbondingAt);
        }

        stake.unbonding = 0;
        stake.unbondingAt = 0;
        emit StakeWithdrawn(msg.sender, amount);

        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IContributorRegistry
    function reserve(bytes32 order, address contributor, uint256 amount) external onlyEscrow {
        Stake storage stake = _stakes[contributor];
        if (!stake.registered) revert ContributorRegistry_NotRegistered(contributor);
        if (amount > stake.free) {
            revert ContributorRegistry_InsufficientStake(contributor, stake.free, amount);
        }
        if (_reservations[order][contributor] != 0) revert ContributorRegistry_AlreadyReserved(order, contributor);

        stake.free -= uint128(amount);
        stake.reserved += uint128(amount);
        _reservations[order][contributor] = amount;
        emit StakeReserved(order, contributor, amount);
    }

    /// @inheritdoc IContributorRegistry
    function release(bytes32 order, address contributor) external onlyEscrow {
        Stake storage stake = _stakes[contributor];
        uint256 amount = _reservations[order][contributor];

        delete _reservations[order][contributor];
        stake.reserved -= uint128(amount);
        stake.free += uint128(amount);
        emit StakeReleased(order, contributor, amount);
    }

    /// @inheritdoc IContributorRegistry
    function slash(bytes32 order, address contributor, uint256 amount) external onlyEscrow returns (uint256 sent) {
        uint256 reserved = _reservations[order][contributor];
        if (amount > reserved) revert ContributorRegistry_InsufficientStake(contributor, reserved, amount);

        _reservations[order][contributor] = reserved - amount;
        _stakes[contributor].reserved -= uint128(amount);
        emit StakeSlashed(order, contributor, amount);

        if (amount == 0) return 0;
        if (token.trySafeTransfer(escrow, amount)) return amount;
        // The conviction stands; nobody is paid from a stake that the token keeps here.
        heldToBurn += amount;
    }

    /// @inheritdoc IContributorRegistry
    function burnHeld() external returns (uint256 amount) {
        amount = heldToBurn;
        heldToBurn = 0;
        if (amount != 0) token.safeTransfer(NOBODY, amount);
    }

    /// @inheritdoc IContributorRegistry
    function stakeOf(address contributor) external view returns (Stake memory) {
        return _stakes[contributor];
    }

    /// @inheritdoc IContributorRegistry
    function reservedFor(bytes32 order, address contributor) external view returns (uint256) {
        return _reservations[order][contributor];
    }
}

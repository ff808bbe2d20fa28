// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {OrderLists} from "./types/OrderLists.sol";
import {Participant} from "./types/OrderTerms.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";
import {NOBODY} from "./types/Units.sol";

/// @notice Described in {IRewards}.
contract Rewards is IRewards, TesseraDomain, Nonces, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice Where the pots of revoked data sets go.
    address public constant BURN = NOBODY;

    IERC20 public immutable token;
    IOrderEscrow public immutable escrow;
    IDatasetRegistry public immutable datasets;
    address public immutable sales;
    address public immutable royalties;

    /// @dev One more than the balance, once an account was credited: a slot that stays in use makes the next
    /// settlement cheaper by 17,000 gas an account.
    mapping(address account => uint256 amountPlusOne) private _balances;
    mapping(uint256 dataset => uint256 amount) private _pots;
    /// @dev Zero for the account itself.
    mapping(address account => address payout) private _payouts;

    constructor(
        IERC20 token_,
        IOrderEscrow escrow_,
        IDatasetRegistry datasets_,
        address sales_,
        address royalties_
    ) TesseraDomain(address(escrow_)) {
        token = token_;
        escrow = escrow_;
        datasets = datasets_;
        sales = sales_;
        royalties = royalties_;
    }

    /// @inheritdoc IRewards
    function credit(bytes32 order, address[] calldata accounts, uint256[] calldata amounts) external {
        if (msg.sender != address(escrow) && msg.sender != sales) revert Rewards_Unauthorized(msg.sender);
        if (accounts.length != amounts.length) revert Rewards_LengthMismatch(accounts.length, amounts.length);

        for (uint256 i = 0; i < accounts.length; ++i) {
            _credit(order, accounts[i], amounts[i]);
        }
    }

    /// @inheritdoc IRewards
    function creditDataset(uint256 dataset, uint256 amount) external {
        if (msg.sender != address(escrow) && msg.sender != sales && msg.sender != royalties) {
            revert Rewards_Unauthorized(msg.sender);
        }
        if (amount == 0) return;

        _pots[dataset] += amount;
        emit DatasetCredited(dataset, msg.sender, amount);
    }

    /// @inheritdoc IRewards
    function distribute(
        uint256 dataset,
        Participant[] calldata participants,
        uint16[] calldata sharesBps
    ) external nonReentrant returns (uint256 amount) {
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(dataset);
        if (found.status == IDatasetRegistry.Status.Revoked) return _burn(dataset);
        _checkDivision(dataset, found.order, participants, sharesBps);

        uint256 pot = _pots[dataset];
        uint256 out = escrow.shardsOf(found.order).out;
        uint256 whole = 0;
        for (uint256 i = 0; i < participants.length; ++i) {
            if ((out >> i) & 1 == 0) whole += sharesBps[i];
        }
        if (whole == 0) return _burn(dataset);
        for (uint256 i = 0; i < participants.length; ++i) {
            if ((out >> i) & 1 == 1) continue;
            uint256 part = (pot * sharesBps[i]) / whole;
            amount += part;
            _credit(found.order, participants[i].contributor, part);
        }
        if (amount == 0) revert Rewards_NothingToDistribute(dataset, pot);
        // The shares sum to the whole, so their rounded parts sum to no more than the pot.
        _pots[dataset] = pot - amount;
        emit DatasetDistributed(dataset, amount, pot - amount);
    }

    /// @inheritdoc IRewards
    function setPayout(address account, address payout, uint256 deadline, bytes calldata signature) external {
        if (block.timestamp > deadline) revert Rewards_TooLate(deadline);
        if (payout == address(0) || payout == address(this)) revert Rewards_UselessPayout(payout);
        address signer = payoutOf(account);
        bytes32 structHash = SignedMessages.payout(account, payout, _useNonce(account), deadline);
        if (!_isSignedBy(signer, structHash, signature)) revert Rewards_InvalidSignature(signer);

        _payouts[account] = payout;
        emit PayoutSet(account, payout);
    }

    /// @inheritdoc IRewards
    function claim() external nonReentrant returns (uint256 amount) {
        return _payOut(msg.sender);
    }

    /// @inheritdoc IRewards
    function claimFor(address account) external nonReentrant returns (uint256 amount) {
        return _payOut(account);
    }

    /// @inheritdoc IRewards
    function claimable(address account) external view returns (uint256) {
        return _owed(account);
    }

    /// @inheritdoc IRewards
    function datasetBalance(uint256 dataset) external view returns (uint256) {
        return _pots[dataset];
    }

    /// @inheritdoc IRewards
    function payoutOf(address account) public view returns (address) {
        address payout = _payouts[account];
        return payout == address(0) ? account : payout;
    }

    /// @inheritdoc IRewards
    function nonces(address account) public view override(IRewards, Nonces) returns (uint256) {
        return super.nonces(account);
    }

    function _credit(bytes32 order, address account, uint256 amount) private {
        if (amount == 0) return;
        uint256 stored = _balances[account];
        _balances[account] = (stored == 0 ? 1 : stored) + amount;
        emit RewardCredited(order, account, amount);
    }

    function _payOut(address account) private returns (uint256 amount) {
        amount = _owed(account);
        if (amount == 0) revert Rewards_NothingToClaim(account);

        _balances[account] = 1;
        emit RewardClaimed(account, amount);

        token.safeTransfer(payoutOf(account), amount);
    }

    function _burn(uint256 dataset) private returns (uint256 amount) {
        amount = _pots[dataset];
        if (amount == 0) revert Rewards_NothingToDistribute(dataset, 0);

        _pots[dataset] = 0;
        emit DatasetBurned(dataset, amount);

        token.safeTransfer(BURN, amount);
    }

    function _checkDivision(
        uint256 dataset,
        bytes32 order,
        Participant[] calldata participants,
        uint16[] calldata sharesBps
    ) private view {
        IOrderEscrow.Order memory found = escrow.orderOf(order);
        if (found.state != IOrderEscrow.State.Settled) revert Rewards_NotSettled(dataset);
        if (OrderLists.digest(participants) != found.participantsDigest) revert Rewards_WrongParticipants(dataset);
        if (OrderLists.digest(sharesBps) != found.sharesDigest) revert Rewards_WrongShares(dataset);
    }

    function _owed(address account) private view returns (uint256) {
        uint256 stored = _balances[account];
        return stored == 0 ? 0 : stored - 1;
    }
}

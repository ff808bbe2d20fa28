// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IContributorRegistry} from "./interfaces/IContributorRegistry.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {OrderTerms, OrderTermsHash, Participant} from "./types/OrderTerms.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";

/// @notice Described in {IOrderEscrow}.
contract OrderEscrow is IOrderEscrow, TesseraDomain, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using OrderTermsHash for OrderTerms;

    struct Order {
        State state;
        uint64 publishedAt;
        uint128 bondLeft;
        bytes32 participantsDigest;
        bytes32 sharesDigest;
        // The next two repeat the terms for {cutBond}, whose caller does not hold them.
        address buyer;
        uint96 bond;
    }

    uint256 public constant MAX_BROKER_FEE_BPS = 2_000;
    uint256 public constant MAX_SCORE_MICRO = 1_000_000;
    /// @notice Bounds below keep every order's exit within sight.
    uint256 public constant MAX_DELIVERY_SECONDS = 365 days;
    uint256 public constant MAX_CHALLENGE_SECONDS = 90 days;
    uint256 private constant _WHOLE_BPS = 10_000;
    uint256 private constant _CUTS_OF_A_BOND = 10;

    IERC20 public immutable token;
    IContributorRegistry public immutable registry;
    IModelCommitment public immutable commitment;
    address public immutable datasets;
    IRewards public immutable rewards;
    address public immutable challenges;
    address public immutable demands;

    mapping(bytes32 order => Order state) private _orders;

    constructor(Parties memory parties) TesseraDomain(address(this)) {
        token = parties.token;
        registry = parties.registry;
        commitment = parties.commitment;
        datasets = parties.datasets;
        rewards = parties.rewards;
        challenges = parties.challenges;
        demands = parties.demands;
    }

    /// @inheritdoc IOrderEscrow
    function place(
        OrderTerms calldata terms,
        bytes calldata termsSignature,
        Permit calldata permit
    ) external nonReentrant returns (bytes32 order) {
        _checkTerms(terms);
        bytes32 structHash = terms.hash();
        order = _digest(structHash);
        Order storage stored = _requireState(order, State.None);
        if (!_isSignedBy(terms.buyer, structHash, termsSignature))
            revert OrderEscrow_InvalidSignature(terms.buyer);

        stored.state = State.Open;
        emit OrderPlaced(order, terms.buyer, terms.broker, terms.price);

        // Whoever saw the permit may have used it first; then the allowance is there and the permit is not needed.
        if (token.allowance(terms.buyer, address(this)) < terms.price) {
            IERC20Permit(address(token)).permit(
                terms.buyer,
                address(this),
                terms.price,
                permit.deadline,
                permit.v,
                permit.r,
                permit.s
            );
        }
        token.safeTransferFrom(terms.buyer, address(this), terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function cancel(OrderTerms calldata terms) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        if (msg.sender != terms.buyer) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _requireState(order, State.Open);

        stored.state = State.Cancelled;
        emit OrderCancelled(order);

        token.safeTransfer(terms.buyer, terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function matchOrder(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows
    ) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        if (msg.sender != terms.broker) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _requireState(order, State.Open);
        if (block.timestamp > terms.matchBy) revert OrderEscrow_TooLate(order, terms.matchBy);
        _checkMatch(order, terms, participants, acceptances, maxRows);

        stored.state = State.Matched;
        stored.participantsDigest = keccak256(abi.encode(participants));
        stored.buyer = terms.buyer;
        // place refused bonds beyond 96 bits.
        stored.bond = uint96(terms.bond);
        stored.bondLeft = uint128(terms.bond);
        emit OrderMatched(order, participants);

        for (uint256 i = 0; i < participants.length; ++i) {
            registry.reserve(order, participants[i].contributor, terms.stake);
        }
        token.safeTransferFrom(msg.sender, address(this), terms.bond);
    }

    /// @inheritdoc IOrderEscrow
    function abandon(OrderTerms calldata terms, Participant[] calldata participants) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        if (msg.sender != terms.broker) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _requireUndelivered(order, participants);
        // After the deadline the bond belongs to the buyer, see refund.
        if (stored.state == State.Matched && block.timestamp > terms.deliverBy) {
            revert OrderEscrow_TooLate(order, terms.deliverBy);
        }

        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;
        emit OrderRefunded(order, terms.price);

        _release(order, participants);
        token.safeTransfer(terms.buyer, terms.price);
        if (bondLeft != 0) token.safeTransfer(terms.broker, bondLeft);
    }

    /// @inheritdoc IOrderEscrow
    function refund(OrderTerms calldata terms, Participant[] calldata participants) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        Order storage stored = _requireUndelivered(order, participants);
        uint256 deadline = stored.state == State.Open ? terms.matchBy : terms.deliverBy;
        if (block.timestamp <= deadline) revert OrderEscrow_TooEarly(order, deadline);

        uint256 amount = terms.price + stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;
        emit OrderRefunded(order, amount);

        _release(order, participants);
        token.safeTransfer(terms.buyer, amount);
    }

    /// @inheritdoc IOrderEscrow
    function settle(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps
    ) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        Order storage stored = _requireState(order, State.Published);
        uint256 windowEnd = uint256(stored.publishedAt) + terms.challengeSeconds;
        if (block.timestamp <= windowEnd) revert OrderEscrow_TooEarly(order, windowEnd);
        _requireParticipants(order, stored, participants);
        if (keccak256(abi.encode(sharesBps)) != stored.sharesDigest) revert OrderEscrow_WrongShares(order);

        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Settled;
        stored.bondLeft = 0;
        uint256 fee = (terms.price * terms.brokerFeeBps) / _WHOLE_BPS;
        uint256[] memory amounts = _divide(terms.price - fee, sharesBps);
        emit OrderSettled(order, amounts, fee, bondLeft);

        _release(order, participants);
        token.safeTransfer(address(rewards), terms.price + bondLeft);
        _credit(order, terms.broker, participants, amounts, fee + bondLeft);
    }

    /// @inheritdoc IOrderEscrow
    function markPublished(bytes32 order, bytes32 sharesDigest) external {
        if (msg.sender != datasets) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _requireState(order, State.Matched);

        stored.state = State.Published;
        stored.publishedAt = uint64(block.timestamp);
        stored.sharesDigest = sharesDigest;
        emit OrderPublished(order);
    }

    /// @inheritdoc IOrderEscrow
    function cutBond(bytes32 order) external nonReentrant {
        if (msg.sender != address(commitment)) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _requireState(order, State.Matched);

        uint256 amount = Math.min(stored.bond / _CUTS_OF_A_BOND, stored.bondLeft);
        stored.bondLeft -= uint128(amount);
        emit BondCut(order, amount, stored.bondLeft);

        address[] memory accounts = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (accounts[0], amounts[0]) = (stored.buyer, amount);
        token.safeTransfer(address(rewards), amount);
        rewards.credit(order, accounts, amounts);
    }

    /// @inheritdoc IOrderEscrow
    function orderOf(
        bytes32 order
    )
        external
        view
        returns (
            State state,
            uint64 publishedAt,
            bytes32 participantsDigest,
            bytes32 sharesDigest,
            uint128 bondLeft,
            uint64 settleNotBefore,
            uint16 openDemands
        )
    {
        Order storage stored = _orders[order];
        return (
            stored.state,
            stored.publishedAt,
            stored.participantsDigest,
            stored.sharesDigest,
            stored.bondLeft,
            0,
            0
        );
    }

    /// @inheritdoc IOrderEscrow
    function hashTerms(OrderTerms calldata terms) external view returns (bytes32) {
        return _digest(terms.hash());
    }

    /// @inheritdoc IOrderEscrow
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _credit(
        bytes32 order,
        address broker,
        Participant[] calldata participants,
        uint256[] memory amounts,
        uint256 brokerAmount
    ) private {
        uint256 count = participants.length;
        address[] memory accounts = new address[](count + 1);
        uint256[] memory credits = new uint256[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = participants[i].contributor;
            credits[i] = amounts[i];
        }
        accounts[count] = broker;
        credits[count] = brokerAmount;
        rewards.credit(order, accounts, credits);
    }

    function _release(bytes32 order, Participant[] calldata participants) private {
        for (uint256 i = 0; i < participants.length; ++i) {
            registry.release(order, participants[i].contributor);
        }
    }

    function _requireState(bytes32 order, State needed) private view returns (Order storage stored) {
        stored = _orders[order];
        if (stored.state != needed) revert OrderEscrow_WrongState(order, stored.state);
    }

    /// @dev Open or matched, with the right participants: none, or those of the match.
    function _requireUndelivered(
        bytes32 order,
        Participant[] calldata participants
    ) private view returns (Order storage stored) {
        stored = _orders[order];
        if (stored.state == State.Open) {
            if (participants.length != 0) revert OrderEscrow_WrongParticipants(order);
        } else if (stored.state == State.Matched) {
            _requireParticipants(order, stored, participants);
        } else {
            revert OrderEscrow_WrongState(order, stored.state);
        }
    }

    function _requireParticipants(
        bytes32 order,
        Order storage stored,
        Participant[] calldata participants
    ) private view {
        if (keccak256(abi.encode(participants)) != stored.participantsDigest) {
            revert OrderEscrow_WrongParticipants(order);
        }
    }

    function _checkTerms(OrderTerms calldata terms) private view {
        if (terms.rows == 0) revert OrderEscrow_NoRows();
        if (terms.price > type(uint128).max) revert OrderEscrow_AmountTooLarge(terms.price, type(uint128).max);
        if (terms.bond > type(uint96).max) revert OrderEscrow_AmountTooLarge(terms.bond, type(uint96).max);
        if (terms.brokerFeeBps > MAX_BROKER_FEE_BPS) {
            revert OrderEscrow_FeeTooHigh(terms.brokerFeeBps, MAX_BROKER_FEE_BPS);
        }
        if (terms.minScoreMicro > MAX_SCORE_MICRO) {
            revert OrderEscrow_ScoreOutOfRange(terms.minScoreMicro, MAX_SCORE_MICRO);
        }
        if (terms.minContributors == 0 || terms.maxContributors < terms.minContributors) {
            revert OrderEscrow_ContributorBounds(terms.minContributors, terms.maxContributors);
        }
        uint256 latest = block.timestamp + MAX_DELIVERY_SECONDS;
        if (block.timestamp > terms.matchBy || terms.matchBy >= terms.deliverBy || terms.deliverBy > latest) {
            revert OrderEscrow_Deadlines(terms.matchBy, terms.deliverBy, latest);
        }
        if (terms.challengeSeconds > MAX_CHALLENGE_SECONDS) {
            revert OrderEscrow_ChallengeTooLong(terms.challengeSeconds, MAX_CHALLENGE_SECONDS);
        }
    }

    function _checkMatch(
        bytes32 order,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows
    ) private view {
        uint256 count = participants.length;
        if (count < terms.minContributors || count > terms.maxContributors) {
            revert OrderEscrow_ParticipantCount(count, terms.minContributors, terms.maxContributors);
        }
        if (acceptances.length != count || maxRows.length != count) {
            revert OrderEscrow_LengthMismatch(count, acceptances.length, maxRows.length);
        }
        uint256 rows = 0;
        for (uint256 i = 0; i < count; ++i) {
            Participant calldata participant = participants[i];
            address contributor = participant.contributor;
            for (uint256 j = 0; j < i; ++j) {
                if (participants[j].contributor == contributor)
                    revert OrderEscrow_DuplicateParticipant(contributor);
            }
            if (participant.rows == 0 || participant.rows > maxRows[i]) {
                revert OrderEscrow_RowsOutsideOffer(contributor, participant.rows, maxRows[i]);
            }
            bytes32 structHash = SignedMessages.acceptance(order, contributor, maxRows[i]);
            if (!_isSignedBy(contributor, structHash, acceptances[i])) {
                revert OrderEscrow_InvalidSignature(contributor);
            }
            rows += participant.rows;
        }
        if (rows != terms.rows) revert OrderEscrow_RowsMismatch(rows, terms.rows);
    }

    /// @dev Sums to `amount` exactly: the last part takes what rounding leaves.
    function _divide(uint256 amount, uint16[] calldata sharesBps) private pure returns (uint256[] memory parts) {
        uint256 last = sharesBps.length - 1;
        uint256 left = amount;
        parts = new uint256[](last + 1);
        for (uint256 i = 0; i < last; ++i) {
            parts[i] = (amount * sharesBps[i]) / _WHOLE_BPS;
            left -= parts[i];
        }
        parts[last] = left;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {OrderBook} from "./escrow/OrderBook.sol";
import {OrderPayments} from "./escrow/OrderPayments.sol";
import {IContributorRegistry} from "./interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {OrderTerms, OrderTermsHash, Participant} from "./types/OrderTerms.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";

/// @notice Described in {IOrderEscrow}.
contract OrderEscrow is OrderBook, OrderPayments, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using OrderTermsHash for OrderTerms;

    uint256 private constant _CUTS_OF_A_BOND = 10;

    IContributorRegistry public immutable registry;
    IModelCommitment public immutable commitment;
    address public immutable datasets;
    address public immutable challenges;
    address public immutable demands;

    constructor(
        Parties memory parties
    ) TesseraDomain(address(this)) OrderPayments(parties.token, parties.rewards) {
        registry = parties.registry;
        commitment = parties.commitment;
        datasets = parties.datasets;
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

        _pay(order, terms.buyer, terms.price);
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
        stored.bondLeft = uint96(terms.bond);
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

        bool wasMatched = stored.state == State.Matched;
        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;
        emit OrderRefunded(order, terms.price);

        _release(order, participants);
        if (wasMatched) {
            // Who could know the seed must not pick; who has the contributors' noisy counts must not walk away for
            // nothing.
            uint256 owed =
                commitment.couldSeedBeKnown(order) ? bondLeft : Math.min(stored.bond / _CUTS_OF_A_BOND, bondLeft);
            uint256 credited = _creditEqually(order, participants, owed);
            emit BondDivided(order, 0, credited);
            _pay(order, terms.broker, bondLeft - credited);
        }
        _pay(order, terms.buyer, terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function refund(OrderTerms calldata terms, Participant[] calldata participants) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        Order storage stored = _requireUndelivered(order, participants);
        uint256 deadline = stored.state == State.Open ? terms.matchBy : terms.deliverBy;
        if (block.timestamp <= deadline) revert OrderEscrow_TooEarly(order, deadline);

        bool wasMatched = stored.state == State.Matched;
        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;

        _release(order, participants);
        if (wasMatched) {
            uint256 credited = _creditEqually(order, participants, bondLeft / 2);
            bondLeft -= credited;
            emit BondDivided(order, bondLeft, credited);
        }
        emit OrderRefunded(order, terms.price + bondLeft);
        _pay(order, terms.buyer, terms.price + bondLeft);
    }

    /// @inheritdoc IOrderEscrow
    function settle(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps,
        uint256[] calldata parents
    ) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        Order storage stored = _requireState(order, State.Published);
        _requireNoDemand(order, stored);
        _requireWindowOver(order, stored, terms.challengeSeconds);
        _requireParticipants(order, stored, participants);
        if (keccak256(abi.encode(sharesBps)) != stored.sharesDigest) revert OrderEscrow_WrongShares(order);
        _requireParents(order, terms.parents, parents);

        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Settled;
        stored.bondLeft = 0;
        _release(order, participants);
        token.safeTransfer(address(rewards), terms.price + bondLeft);
        uint256 royalties = _creditParents(IDatasetRegistry(datasets), terms.price, parents);
        _creditShares(order, terms, participants, sharesBps, royalties, bondLeft);
    }

    /// @inheritdoc IOrderEscrow
    function punish(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        address rewarded
    ) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        if (msg.sender != challenges && msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _orders[order];
        State state = stored.state;
        if (state != State.Matched && state != State.Published) revert OrderEscrow_WrongState(order, state);
        _requireParticipants(order, stored, participants);

        uint256 bondLeft = stored.bondLeft;
        stored.state = state == State.Published ? State.Revoked : State.Refunded;
        stored.bondLeft = 0;
        uint256 slashed = _takeStakes(order, participants, shard);
        if (state == State.Published) {
            address signer = participants[shard].contributor;
            _divideAfterFraud(order, terms, shard, signer, rewarded, slashed, bondLeft);
        } else {
            _divideAfterDropOut(order, terms, slashed, bondLeft);
        }
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
        stored.bondLeft -= uint96(amount);
        emit BondCut(order, amount, stored.bondLeft);

        _creditOne(order, stored.buyer, amount);
    }

    /// @inheritdoc IOrderEscrow
    function openDemand(bytes32 order) external {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        // One a shard at most, and an order has at most 255: never overflows.
        ++_orders[order].openDemands;
    }

    /// @inheritdoc IOrderEscrow
    function closeDemand(bytes32 order, uint64 settleNotBefore) external {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        Order storage stored = _orders[order];
        --stored.openDemands;
        if (settleNotBefore > stored.settleNotBefore) stored.settleNotBefore = settleNotBefore;
    }

    /// @dev Takes the stake of one shard's contributor and frees the others'.
    function _takeStakes(
        bytes32 order,
        Participant[] calldata participants,
        uint32 shard
    ) private returns (uint256 slashed) {
        if (shard >= participants.length) revert OrderEscrow_UnknownShard(order, shard);
        for (uint256 i = 0; i < participants.length; ++i) {
            if (i == shard) slashed = registry.slash(order, participants[i].contributor);
            else registry.release(order, participants[i].contributor);
        }
    }

    function _release(bytes32 order, Participant[] calldata participants) private {
        for (uint256 i = 0; i < participants.length; ++i) {
            registry.release(order, participants[i].contributor);
        }
    }
}

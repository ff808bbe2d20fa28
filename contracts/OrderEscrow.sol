// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {OrderMoney} from "./escrow/OrderMoney.sol";
import {OrderPayments} from "./escrow/OrderPayments.sol";
import {Outages} from "./escrow/Outages.sol";
import {ConditionBytes} from "./exact/ConditionBytes.sol";
import {IContributorRegistry} from "./interfaces/IContributorRegistry.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {OrderLists} from "./types/OrderLists.sol";
import {OrderTerms, OrderTermsHash, Participant} from "./types/OrderTerms.sol";
import {Permit, Permits} from "./types/Permit.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";
import {MAX_ANSWERS_LATE, WHOLE_BPS, WHOLE_MICRO} from "./types/Units.sol";

/// @notice Described in {IOrderEscrow}. What an order is, and all its transitions; {OrderMoney} divides the money and
/// {OrderPayments} sends it.
contract OrderEscrow is IOrderEscrow, OrderPayments, Outages, TesseraDomain, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev An {Order} and its {Shards} in few slots: the first six members share one, so do the four after the
    /// digests and the last three.
    struct StoredOrder {
        State state;
        uint64 publishedAt;
        uint64 settleNotBefore;
        uint16 openDemands;
        uint96 bondLeft;
        bool feeForfeit;
        bytes32 participantsDigest;
        bytes32 sharesDigest;
        // These repeat the terms for the model commitment, whose callers do not hold them.
        uint64 deliverBy;
        uint64 latestDeliverBy;
        uint96 bond;
        uint32 answerSeconds;
        uint256 out;
        uint64 droppedRows;
        uint64 convictedRows;
        uint128 damages;
    }

    uint256 public constant MAX_BROKER_FEE_BPS = 2_000;
    /// @notice With at most eight parents, royalties and the fee are at most the price.
    uint256 public constant MAX_ROYALTY_BPS = 1_000;
    /// @notice Bounds below keep every order's exit within sight.
    uint256 public constant MAX_DELIVERY_SECONDS = 365 days;
    uint256 public constant MAX_CHALLENGE_SECONDS = 90 days;
    uint256 public constant MAX_ANSWER_SECONDS = 30 days;
    /// @notice The row specification whose rows the contracts judge.
    uint256 public constant SPEC_VERSION = 1;
    uint256 public constant MAX_SIZE_CLASS = 1;
    /// @notice So that no step takes half of the gas of a transaction (tests/contracts/ContributorsGas.t.sol).
    uint256 public constant MAX_CONTRIBUTORS = 128;
    uint256 private constant _DRAWS_AFTER_ONE_MISSED = 2;

    IContributorRegistry public immutable registry;
    IModelCommitment public immutable commitment;
    address public immutable challenges;
    address public immutable demands;

    uint32 private immutable _minAnswerSeconds;
    uint32 private immutable _minChallengeSeconds;
    uint32 private immutable _minDeliverySeconds;
    uint32 private immutable _maxScoreMicro;
    uint64 private immutable _minRows;
    uint128 private immutable _minPrice;
    uint128 private immutable _minStake;
    uint96 private immutable _minBond;
    uint32 private immutable _minStakeBps;

    mapping(bytes32 order => StoredOrder stored) private _orders;

    constructor(
        Parties memory parties,
        Limits memory chosen
    )
        OrderPayments(parties.token, parties.rewards, parties.datasets)
        Outages(parties.uptimeFeed)
        TesseraDomain(address(this))
    {
        registry = parties.registry;
        commitment = parties.commitment;
        challenges = parties.challenges;
        demands = parties.demands;
        if (chosen.maxScoreMicro > WHOLE_MICRO) {
            revert OrderEscrow_ScoreOutOfRange(chosen.maxScoreMicro, WHOLE_MICRO);
        }
        _minAnswerSeconds = chosen.minAnswerSeconds;
        _minChallengeSeconds = chosen.minChallengeSeconds;
        _minDeliverySeconds = chosen.minDeliverySeconds;
        _maxScoreMicro = chosen.maxScoreMicro;
        _minRows = chosen.minRows;
        _minPrice = chosen.minPrice;
        _minStake = chosen.minStake;
        _minBond = chosen.minBond;
        _minStakeBps = chosen.minStakeBps;
    }

    /// @inheritdoc IOrderEscrow
    function place(
        OrderTerms calldata terms,
        bytes calldata termsSignature,
        Permit calldata permit
    ) external nonReentrant returns (bytes32 order) {
        _checkTerms(terms);
        bytes32 structHash = OrderTermsHash.hash(terms);
        order = _digest(structHash);
        StoredOrder storage stored = _requireState(order, State.None);
        if (!_isSignedBy(terms.buyer, structHash, termsSignature))
            revert OrderEscrow_InvalidSignature(terms.buyer);

        stored.state = State.Open;
        emit OrderPlaced(order, terms.buyer, terms.broker, terms.price);

        Permits.use(token, terms.buyer, terms.price, permit);
        if (terms.price != 0) token.safeTransferFrom(terms.buyer, address(this), terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function cancel(OrderTerms calldata terms) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != terms.buyer) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _orders[order];
        bool isOpen = stored.state == State.Open;
        if (!isOpen && stored.state != State.None) revert OrderEscrow_WrongState(order, stored.state);

        stored.state = State.Cancelled;
        emit OrderCancelled(order);

        if (isOpen) _pay(order, terms.buyer, terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function matchOrder(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows,
        bytes calldata conditions
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != terms.broker) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Open);
        if (block.timestamp > terms.matchBy) revert OrderEscrow_TooLate(order, terms.matchBy);
        _checkMatch(order, terms, participants, acceptances, maxRows);
        _checkConditions(terms, conditions);

        stored.state = State.Matched;
        stored.participantsDigest = OrderLists.digest(participants);
        stored.deliverBy = terms.deliverBy;
        // Less than a year from the placing, and twelve months after that.
        stored.latestDeliverBy = uint64(terms.deliverBy + MAX_ANSWERS_LATE * terms.answerSeconds + _mostDelay());
        stored.answerSeconds = terms.answerSeconds;
        // place refused bonds beyond 96 bits.
        stored.bond = uint96(terms.bond);
        stored.bondLeft = uint96(terms.bond);
        emit OrderMatched(order, participants);
        if (conditions.length != 0) emit ConditionsShown(order, conditions);

        _reserve(order, terms, participants);
        if (terms.bond != 0) token.safeTransferFrom(msg.sender, address(this), terms.bond);
    }

    /// @inheritdoc IOrderEscrow
    function abandon(OrderTerms calldata terms, Participant[] calldata participants) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != terms.broker) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireUndelivered(order, participants);
        // After the deadline all of the bond is forfeit, see refund.
        bool wasMatched = stored.state == State.Matched;
        uint256 deliverBy = _deliverBy(stored);
        if (wasMatched && block.timestamp > deliverBy) revert OrderEscrow_TooLate(order, deliverBy);

        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;
        emit OrderRefunded(order, terms.price);

        _release(order, participants, stored.out);
        if (wasMatched) {
            uint256 forfeit = _forfeitOf(order, stored, terms.bond, bondLeft);
            _forfeit(order, participants, stored.out, forfeit);
            _pay(order, terms.broker, bondLeft - forfeit);
        }
        _pay(order, terms.buyer, terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function refund(OrderTerms calldata terms, Participant[] calldata participants) external nonReentrant {
        bytes32 order = _orderId(terms);
        StoredOrder storage stored = _requireUndelivered(order, participants);
        // An open order binds nobody's money but the buyer's, who gets it back.
        uint256 deadline = stored.state == State.Open ? terms.matchBy : _deliverBy(stored);
        if (block.timestamp <= deadline) revert OrderEscrow_TooEarly(order, deadline);

        bool wasMatched = stored.state == State.Matched;
        uint256 bondLeft = stored.bondLeft;
        stored.state = State.Refunded;
        stored.bondLeft = 0;
        emit OrderRefunded(order, terms.price);

        _release(order, participants, stored.out);
        if (wasMatched) _forfeit(order, participants, stored.out, bondLeft);
        _pay(order, terms.buyer, terms.price);
    }

    /// @inheritdoc IOrderEscrow
    function settle(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps,
        uint256[] calldata parents
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        StoredOrder storage stored = _requireState(order, State.Published);
        _requireNoDemand(order, stored);
        _requireWindowOver(order, stored, terms.challengeSeconds);
        _requireParticipants(order, stored, participants);
        if (OrderLists.digest(sharesBps) != stored.sharesDigest) revert OrderEscrow_WrongShares(order);
        if (OrderLists.digest(parents) != terms.parents) revert OrderEscrow_WrongParents(order);

        OrderMoney.Settlement memory paid = _settlementOf(stored);
        stored.state = State.Settled;
        stored.bondLeft = 0;
        if (paid.damages != 0) stored.damages = 0;
        _release(order, participants, paid.out);
        _settle(order, terms, participants, sharesBps, parents, paid);
    }

    /// @inheritdoc IOrderEscrow
    function drop(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Matched);
        uint256 standing = _takeOut(order, stored, participants, shard);
        stored.droppedRows += participants[shard].rows;
        bool ends = terms.indivisible || standing == 0 || standing < terms.minContributors;
        uint256 bondLeft = stored.bondLeft;
        if (ends) (stored.state, stored.bondLeft) = (State.Refunded, 0);

        uint256 slashed = _slashAbsent(order, shard, participants[shard].contributor, terms.bond);
        if (ends) {
            emit OrderRefunded(order, terms.price);
            _release(order, participants, stored.out);
            _pay(order, terms.buyer, terms.price);
            _pay(order, terms.broker, bondLeft);
        }
        _burn(order, slashed);
    }

    /// @inheritdoc IOrderEscrow
    function convict(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        address rewarded
    ) external nonReentrant returns (bool whole) {
        bytes32 order = _orderId(terms);
        if (msg.sender != challenges && msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Published);
        whole = _takeOut(order, stored, participants, shard) == 0 || terms.indivisible;
        stored.convictedRows += participants[shard].rows;
        Conviction memory found;
        (found.shard, found.contributor) = (shard, participants[shard].contributor);
        (found.rewarded, found.slashed) = (rewarded, _slash(order, found.contributor));
        (found.reward, found.held, found.burned) = OrderMoney.divideStake(found.slashed, rewarded != address(0));
        if (whole) {
            _revoke(order, stored, terms, participants, found);
        } else {
            // A quarter of a stake each, which place keeps within 128 bits together.
            stored.damages += uint128(found.held);
            _payConviction(order, found);
        }
    }

    /// @inheritdoc IOrderEscrow
    function fine(bytes32 order, address contributor) external nonReentrant {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        _requireState(order, State.Matched);

        uint256 part = OrderMoney.fineOf(registry.reservedFor(order, contributor));
        uint256 slashed = registry.slash(order, contributor, part);
        emit ContributorFined(order, contributor, slashed);

        _burn(order, slashed);
    }

    /// @inheritdoc IOrderEscrow
    function convictBroker(bytes32 order) external nonReentrant {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Published);

        uint256 burned = stored.bondLeft;
        (stored.bondLeft, stored.feeForfeit) = (0, true);
        emit BrokerConvicted(order, burned);

        _burn(order, burned);
    }

    /// @inheritdoc IOrderEscrow
    function prolong(bytes32 order) external {
        if (msg.sender != address(commitment)) revert OrderEscrow_Unauthorized(order, msg.sender);
        _prolong(order, _orders[order]);
    }

    /// @inheritdoc IOrderEscrow
    function markPublished(bytes32 order, bytes32 sharesDigest) external {
        if (msg.sender != datasets) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Matched);

        stored.state = State.Published;
        stored.publishedAt = uint64(block.timestamp);
        stored.sharesDigest = sharesDigest;
        emit OrderPublished(order);
    }

    /// @inheritdoc IOrderEscrow
    function cutBond(bytes32 order) external nonReentrant {
        if (msg.sender != address(commitment)) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _requireState(order, State.Matched);

        uint256 amount = _isExcused(order, stored) ? 0 : OrderMoney.cutOf(stored.bond, stored.bondLeft);
        stored.bondLeft -= uint96(amount);
        emit BondCut(order, amount, stored.bondLeft);

        _burn(order, amount);
    }

    /// @inheritdoc IOrderEscrow
    function openDemand(bytes32 order) external {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        // One a shard and one about the manifest at most, and an order has at most 128 shards: never overflows.
        ++_orders[order].openDemands;
    }

    /// @inheritdoc IOrderEscrow
    function closeDemand(bytes32 order, uint64 settleNotBefore) external {
        if (msg.sender != demands) revert OrderEscrow_Unauthorized(order, msg.sender);
        StoredOrder storage stored = _orders[order];
        --stored.openDemands;
        if (stored.state == State.Matched) _prolong(order, stored);
        if (settleNotBefore > stored.settleNotBefore) stored.settleNotBefore = settleNotBefore;
    }

    /// @inheritdoc IOrderEscrow
    function orderOf(bytes32 order) external view returns (Order memory) {
        StoredOrder storage stored = _orders[order];
        return
            Order({
                state: stored.state,
                publishedAt: stored.publishedAt,
                participantsDigest: stored.participantsDigest,
                sharesDigest: stored.sharesDigest,
                bondLeft: stored.bondLeft,
                settleNotBefore: stored.settleNotBefore,
                openDemands: stored.openDemands
            });
    }

    /// @inheritdoc IOrderEscrow
    function deliverByOf(bytes32 order) external view returns (uint64) {
        return uint64(_deliverBy(_orders[order]));
    }

    /// @inheritdoc IOrderEscrow
    function latestDeliverByOf(bytes32 order) external view returns (uint64) {
        return _orders[order].latestDeliverBy;
    }

    /// @inheritdoc IOrderEscrow
    function shardsOf(bytes32 order) external view returns (Shards memory) {
        StoredOrder storage stored = _orders[order];
        Shards memory found;
        (found.out, found.feeForfeit) = (stored.out, stored.feeForfeit);
        // As long as every shard counts the rest is zero.
        if (found.out == 0) return found;
        (found.droppedRows, found.convictedRows) = (stored.droppedRows, stored.convictedRows);
        found.damages = stored.damages;
        return found;
    }

    /// @inheritdoc IOrderEscrow
    function stakeFor(OrderTerms calldata terms, uint64 rows) external view returns (uint256) {
        return _stakeFor(terms, rows);
    }

    /// @inheritdoc IOrderEscrow
    function windowOf(OrderTerms calldata terms) external view returns (uint256 endsAt) {
        StoredOrder storage stored = _orders[_orderId(terms)];
        if (stored.publishedAt == 0) return 0;
        return stored.openDemands != 0 ? type(uint256).max : _windowEnd(stored, terms.challengeSeconds);
    }

    /// @inheritdoc IOrderEscrow
    function endOf(uint256 deadline, uint256 length) external view returns (uint256) {
        return _endOf(deadline, length);
    }

    /// @inheritdoc IOrderEscrow
    function limits() external view returns (Limits memory) {
        return
            Limits({
                minAnswerSeconds: _minAnswerSeconds,
                minChallengeSeconds: _minChallengeSeconds,
                minDeliverySeconds: _minDeliverySeconds,
                maxScoreMicro: _maxScoreMicro,
                minRows: _minRows,
                minPrice: _minPrice,
                minStake: _minStake,
                minBond: _minBond,
                minStakeBps: _minStakeBps
            });
    }

    /// @inheritdoc IOrderEscrow
    function hashTerms(OrderTerms calldata terms) external view returns (bytes32) {
        return _orderId(terms);
    }

    /// @inheritdoc IOrderEscrow
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    /// @dev Divides the part of a bond that a broker loses by not delivering. Somebody gains by it only while it is
    /// sure who is to blame: from the commit, which bears every contributor's signature, until the hash is fixed,
    /// which anyone can do. Before and after a contributor may be what is missing, and the chain cannot tell; the
    /// buyer may be its friend.
    function _forfeit(bytes32 order, Participant[] calldata participants, uint256 out, uint256 amount) private {
        IModelCommitment.Commitment memory found = commitment.commitmentOf(order);
        bool isFixed = found.seed != 0 || commitment.saltsOf(order).fixedHash != 0;
        bool isBrokersFault = found.commitBlock != 0 && !isFixed;
        uint256 credited = isBrokersFault ? _creditEqually(order, participants, out, amount) : 0;
        emit BondDivided(order, 0, credited);
        _burn(order, amount - credited);
    }

    /// @dev Ends an order of which nothing is left. No damages are needed: the buyer has the price.
    function _revoke(
        bytes32 order,
        StoredOrder storage stored,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        Conviction memory found
    ) private {
        found.burned += stored.damages + found.held;
        found.held = 0;
        uint256 bondLeft = stored.bondLeft;
        (stored.state, stored.bondLeft, stored.damages) = (State.Revoked, 0, 0);
        _release(order, participants, stored.out);
        _emitRevoked(order, terms.price, found);

        _payConviction(order, found);
        _pay(order, terms.buyer, terms.price);
        _pay(order, terms.broker, bondLeft);
    }

    function _emitRevoked(bytes32 order, uint256 price, Conviction memory found) private {
        emit OrderRevoked(order, found.shard, found.contributor, found.slashed, found.reward, price, found.burned);
    }

    /// @dev Marks a shard as out, once.
    /// @return standing contributors that are left.
    function _takeOut(
        bytes32 order,
        StoredOrder storage stored,
        Participant[] calldata participants,
        uint32 shard
    ) private returns (uint256 standing) {
        _requireParticipants(order, stored, participants);
        if (shard >= participants.length) revert OrderEscrow_UnknownShard(order, shard);
        uint256 out = stored.out;
        if (OrderMoney.isOut(out, shard)) revert OrderEscrow_ShardOut(order, shard);
        out |= 1 << shard;
        stored.out = out;
        standing = participants.length;
        for (; out != 0; out &= out - 1) --standing;
    }

    /// @dev Slashes a contributor that is dropped: all that is reserved after the commit. Before it a quarter, but no
    /// less than giving up would have cost the broker, whose way out this is.
    function _slashAbsent(
        bytes32 order,
        uint32 shard,
        address contributor,
        uint256 bond
    ) private returns (uint256 slashed) {
        uint256 stake = registry.reservedFor(order, contributor);
        if (_hasCommitted(order)) {
            slashed = registry.slash(order, contributor, stake);
        } else {
            slashed = registry.slash(order, contributor, OrderMoney.absenceOf(stake, bond));
            registry.release(order, contributor);
        }
        emit ShardDropped(order, shard, contributor, slashed);
    }

    /// @dev All that is reserved.
    function _slash(bytes32 order, address contributor) private returns (uint256) {
        return registry.slash(order, contributor, registry.reservedFor(order, contributor));
    }

    function _reserve(bytes32 order, OrderTerms calldata terms, Participant[] calldata participants) private {
        for (uint256 i = 0; i < participants.length; ++i) {
            registry.reserve(order, participants[i].contributor, _stakeFor(terms, participants[i].rows));
        }
    }

    function _release(bytes32 order, Participant[] calldata participants, uint256 out) private {
        for (uint256 i = 0; i < participants.length; ++i) {
            if (!OrderMoney.isOut(out, i)) registry.release(order, participants[i].contributor);
        }
    }

    /// @dev Whoever had to wait for what was late has time for the next step, and for a demand.
    function _prolong(bytes32 order, StoredOrder storage stored) private {
        uint256 deliverBy = Math.min(block.timestamp + stored.answerSeconds, stored.latestDeliverBy);
        if (deliverBy <= stored.deliverBy) return;
        stored.deliverBy = uint64(deliverBy);
        emit DeadlineMoved(order, uint64(deliverBy));
    }

    /// @dev A block's hash may pass out of reach while nobody can act. Once an order: the second seed that could be
    /// passed by costs whatever a feed says.
    function _isExcused(bytes32 order, StoredOrder storage stored) private view returns (bool) {
        if (block.timestamp > _upSince() + stored.answerSeconds) return false;
        return commitment.commitmentOf(order).draws == _DRAWS_AFTER_ONE_MISSED;
    }

    function _deliverBy(StoredOrder storage stored) private view returns (uint256) {
        return _endOf(stored.deliverBy, stored.answerSeconds);
    }

    function _settlementOf(StoredOrder storage stored) private view returns (OrderMoney.Settlement memory paid) {
        (paid.bondLeft, paid.feeForfeit, paid.out) = (stored.bondLeft, stored.feeForfeit, stored.out);
        if (paid.out == 0) return paid;
        (paid.droppedRows, paid.convictedRows) = (stored.droppedRows, stored.convictedRows);
        paid.damages = stored.damages;
    }

    /// @dev Stakes stand for what their rows can spoil: their own part, or, where that ruins the rest, all.
    function _stakeFor(OrderTerms calldata terms, uint256 rows) private view returns (uint256) {
        uint256 part = terms.indivisible ? terms.stake : OrderMoney.stakeOf(terms.stake, rows, terms.rows);
        return Math.max(part, _minStake);
    }

    /// @dev What the broker loses of its bond by giving up. Who could know the seed must not pick; who has the
    /// contributors' noisy counts must not walk away for nothing. But a contributor that was dropped before the commit
    /// is no fault of the broker's: all models have to be trained anew.
    function _forfeitOf(
        bytes32 order,
        StoredOrder storage stored,
        uint256 bond,
        uint256 bondLeft
    ) private view returns (uint256) {
        if (stored.out != 0 && !_hasCommitted(order)) return 0;
        return commitment.couldSeedBeKnown(order) ? bondLeft : OrderMoney.cutOf(bond, bondLeft);
    }

    function _hasCommitted(bytes32 order) private view returns (bool) {
        return commitment.commitmentOf(order).commitBlock != 0;
    }

    function _requireState(bytes32 order, State needed) private view returns (StoredOrder storage stored) {
        stored = _orders[order];
        if (stored.state != needed) revert OrderEscrow_WrongState(order, stored.state);
    }

    /// @dev Open or matched, with the right participants: none, or those of the match.
    function _requireUndelivered(
        bytes32 order,
        Participant[] calldata participants
    ) private view returns (StoredOrder storage stored) {
        stored = _orders[order];
        if (stored.state == State.Open) {
            if (participants.length != 0) revert OrderEscrow_WrongParticipants(order);
        } else if (stored.state == State.Matched) {
            _requireParticipants(order, stored, participants);
            _requireNoDemand(order, stored);
        } else {
            revert OrderEscrow_WrongState(order, stored.state);
        }
    }

    function _requireParticipants(
        bytes32 order,
        StoredOrder storage stored,
        Participant[] calldata participants
    ) private view {
        if (OrderLists.digest(participants) != stored.participantsDigest) {
            revert OrderEscrow_WrongParticipants(order);
        }
    }

    /// @dev An open demand ends by its answer or, when its time has passed, by {IDemands.expire}.
    function _requireNoDemand(bytes32 order, StoredOrder storage stored) private view {
        if (stored.openDemands != 0) revert OrderEscrow_DemandsOpen(order, stored.openDemands);
    }

    function _requireWindowOver(bytes32 order, StoredOrder storage stored, uint256 challengeSeconds) private view {
        uint256 windowEnd = _windowEnd(stored, challengeSeconds);
        if (block.timestamp <= windowEnd) revert OrderEscrow_TooEarly(order, windowEnd);
    }

    function _windowEnd(StoredOrder storage stored, uint256 challengeSeconds) private view returns (uint256) {
        return _endOf(Math.max(stored.publishedAt + challengeSeconds, stored.settleNotBefore), challengeSeconds);
    }

    function _checkTerms(OrderTerms calldata terms) private view {
        _checkAmounts(terms);
        _checkTimes(terms);
        _checkRows(terms);
        if (terms.rows == 0) revert OrderEscrow_NoRows();
        if (terms.rows < _minRows) revert OrderEscrow_TooFewRows(terms.rows, _minRows);
        if (terms.minScoreMicro > _maxScoreMicro) {
            revert OrderEscrow_ScoreOutOfRange(terms.minScoreMicro, _maxScoreMicro);
        }
        _checkContributors(terms.minContributors, terms.maxContributors);
    }

    function _checkContributors(uint256 minimum, uint256 maximum) private pure {
        if (minimum == 0 || maximum < minimum || maximum > MAX_CONTRIBUTORS) {
            revert OrderEscrow_ContributorBounds(minimum, maximum);
        }
    }

    function _checkAmounts(OrderTerms calldata terms) private view {
        _checkAmount(terms.price, _minPrice, type(uint128).max);
        // What is beyond the contributors' stakes is refused by the registry at the match.
        uint256 minStake = Math.max(_minStake, Math.ceilDiv(terms.price * _minStakeBps, WHOLE_BPS));
        _checkAmount(terms.stake, minStake, type(uint128).max);
        _checkAmount(terms.bond, _minBond, type(uint96).max);
        if (terms.brokerFeeBps > MAX_BROKER_FEE_BPS) {
            revert OrderEscrow_FeeTooHigh(terms.brokerFeeBps, MAX_BROKER_FEE_BPS);
        }
        if (terms.royaltyBps > MAX_ROYALTY_BPS) {
            revert OrderEscrow_RoyaltyTooHigh(terms.royaltyBps, MAX_ROYALTY_BPS);
        }
    }

    function _checkTimes(OrderTerms calldata terms) private view {
        uint256 latest = block.timestamp + MAX_DELIVERY_SECONDS;
        if (block.timestamp > terms.matchBy || terms.matchBy >= terms.deliverBy || terms.deliverBy > latest) {
            revert OrderEscrow_Deadlines(terms.matchBy, terms.deliverBy, latest);
        }
        uint256 earliest = uint256(terms.matchBy) + _minDeliverySeconds;
        if (terms.deliverBy < earliest) revert OrderEscrow_DeliveryTooSoon(terms.deliverBy, earliest);
        if (terms.challengeSeconds > MAX_CHALLENGE_SECONDS) {
            revert OrderEscrow_ChallengeTooLong(terms.challengeSeconds, MAX_CHALLENGE_SECONDS);
        }
        if (terms.challengeSeconds < _minChallengeSeconds) {
            revert OrderEscrow_ChallengeTooShort(terms.challengeSeconds, _minChallengeSeconds);
        }
        if (terms.answerSeconds > MAX_ANSWER_SECONDS) {
            revert OrderEscrow_AnswerTooLong(terms.answerSeconds, MAX_ANSWER_SECONDS);
        }
        if (terms.answerSeconds < _minAnswerSeconds) {
            revert OrderEscrow_AnswerTooShort(terms.answerSeconds, _minAnswerSeconds);
        }
    }

    /// @dev What the contracts, and everybody after them, can judge.
    function _checkRows(OrderTerms calldata terms) private pure {
        if (terms.specVersion != SPEC_VERSION) {
            revert OrderEscrow_UnknownSpecification(terms.specVersion, SPEC_VERSION);
        }
        if (terms.sizeClass > MAX_SIZE_CLASS) revert OrderEscrow_UnknownSizeClass(terms.sizeClass, MAX_SIZE_CLASS);
        bool isPart = terms.parents != 0 && terms.ownRealMicro < WHOLE_MICRO;
        if (terms.ownRealMicro != WHOLE_MICRO && !isPart) {
            revert OrderEscrow_FractionOutOfRange(terms.ownRealMicro, WHOLE_MICRO);
        }
    }

    /// @dev A challenge brings the conditions along, so they have to be read, and in one transaction.
    function _checkConditions(OrderTerms calldata terms, bytes calldata conditions) private pure {
        bytes32 found = conditions.length == 0 ? bytes32(0) : sha256(conditions);
        if (found != terms.conditions) revert OrderEscrow_WrongConditions(found, terms.conditions);
        if (conditions.length != 0) ConditionBytes.check(conditions, terms.rows);
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

    function _checkAmount(uint256 amount, uint256 minimum, uint256 maximum) private pure {
        if (amount < minimum) revert OrderEscrow_AmountTooSmall(amount, minimum);
        if (amount > maximum) revert OrderEscrow_AmountTooLarge(amount, maximum);
    }
}

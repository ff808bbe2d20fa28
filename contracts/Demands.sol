// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Disputes} from "./disputes/Disputes.sol";
import {OrderMoney} from "./escrow/OrderMoney.sol";
import {ChunkShape} from "./exact/ChunkShape.sol";
import {ModelParts} from "./exact/ModelParts.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDemands} from "./interfaces/IDemands.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {OrderLists} from "./types/OrderLists.sol";
import {OrderTerms, Participant} from "./types/OrderTerms.sol";
import {ShardReceipt, ShardReceipts} from "./types/ShardReceipt.sol";
import {ShardTree} from "./types/ShardTree.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {NOBODY} from "./types/Units.sol";

/// @notice Described in {IDemands}.
contract Demands is IDemands, Disputes, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using ShardReceipts for ShardReceipt;

    /// @dev A {Demand}, and what its answer is checked against. The first four members share a slot, so do the next
    /// three.
    struct StoredDemand {
        address demander;
        uint64 answerBy;
        Kind kind;
        bool warned;
        uint128 deposit;
        uint64 rows;
        uint64 row;
        /// Digest of the model (Receipt, Model), of the salt or of the manifest; or the shard root (Chunk).
        bytes32 subject;
        uint256 dataset;
        address contributor;
        uint32 challengeSeconds;
        uint32 answerSeconds;
        uint64 epsilonMicro;
        uint64 deltaE12;
    }

    /// @notice Stands for the manifest among an order's shards.
    uint32 public constant MANIFEST = type(uint32).max;
    uint256 private constant _TIMES_TO_ANSWER = 2;

    IERC20 public immutable token;

    mapping(bytes32 order => mapping(uint32 shard => StoredDemand demand)) private _demands;
    mapping(bytes32 order => mapping(uint32 shard => mapping(Kind kind => bool))) private _answered;
    mapping(bytes32 order => mapping(uint32 shard => Excuse excuse)) private _excuses;
    mapping(address account => uint256 amount) private _kept;

    constructor(
        IERC20 token_,
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        IDatasetRegistry datasets_
    ) Disputes(escrow_, commitment_, datasets_) {
        token = token_;
    }

    /// @inheritdoc IDemands
    function demandStep(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        Kind kind,
        bytes32[] calldata digests
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != terms.broker) revert Demands_Unauthorized(order, msg.sender);
        IOrderEscrow.State state = _requireParticipants(order, participants);
        if (state != IOrderEscrow.State.Matched) revert Demands_NotMatched(order);
        if (shard >= participants.length) revert Disputes_UnknownShard(order, shard);
        _requireDeliverable(order, terms);

        StoredDemand memory demand = _demandOf(terms, kind);
        demand.subject = _requireStage(order, shard, kind, digests);
        demand.rows = participants[shard].rows;
        demand.contributor = participants[shard].contributor;
        (demand.epsilonMicro, demand.deltaE12) = (terms.epsilonMicro, terms.deltaE12);
        // Due without being asked for: no deposit.
        _open(order, shard, terms.buyer, demand);
    }

    /// @inheritdoc IDemands
    function demandModel(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external nonReentrant {
        (bytes32 order, ) = _requireDemandable(terms, participants, dataset);

        StoredDemand memory demand = _demandOf(terms, Kind.Model);
        (demand.subject, ) = _requireModel(order, shard, modelDigests);
        demand.dataset = dataset;
        demand.deposit = _depositOf(terms, participants[shard].rows);
        _open(order, shard, terms.buyer, demand);
    }

    /// @inheritdoc IDemands
    function demandChunk(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32 shardRoot,
        bytes32[] calldata shardProof,
        uint64 row
    ) external nonReentrant {
        (bytes32 order, bytes32 datasetRoot) = _requireDemandable(terms, participants, dataset);
        _requireShard(dataset, datasetRoot, shardRoot, shard, participants.length, shardProof);
        uint64 rows = participants[shard].rows;
        if (row >= rows) revert Demands_UnknownRow(row, rows);

        StoredDemand memory demand = _demandOf(terms, Kind.Chunk);
        demand.subject = shardRoot;
        demand.dataset = dataset;
        demand.deposit = _depositOf(terms, rows);
        (demand.rows, demand.row) = (rows, row);
        _open(order, shard, terms.buyer, demand);
    }

    /// @inheritdoc IDemands
    function demandManifest(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset
    ) external nonReentrant {
        (bytes32 order, ) = _requireDemandable(terms, participants, dataset);

        StoredDemand memory demand = _demandOf(terms, Kind.Manifest);
        demand.subject = datasets.datasetOf(dataset).manifestDigest;
        demand.dataset = dataset;
        demand.deposit = _depositOf(terms, terms.rows);
        _open(order, MANIFEST, terms.buyer, demand);
    }

    /// @inheritdoc IDemands
    function answerCommitment(
        bytes32 order,
        uint32 shard,
        bytes32 modelDigest,
        bytes32 saltDigest,
        bytes calldata signature
    ) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Commitment);
        bytes32 structHash = SignedMessages.modelCommitment(order, shard, modelDigest, saltDigest);
        _requireSigned(order, shard, demand.contributor, structHash, signature);
        emit CommitmentAnswered(order, shard, msg.sender, modelDigest, saltDigest, signature);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerSalt(bytes32 order, uint32 shard, bytes32 salt) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Salt);
        if (SignedMessages.digestOfSalt(order, shard, salt) != demand.subject)
            revert Demands_WrongSalt(order, shard);
        emit SaltAnswered(order, shard, msg.sender, salt);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerEvaluation(
        bytes32 order,
        uint32 shard,
        Evaluation calldata evaluation,
        bytes calldata signature
    ) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Evaluation);
        bytes32 structHash = SignedMessages.evaluation(
            order,
            evaluation.datasetRoot,
            evaluation.scoreMicro,
            evaluation.sharesDigest,
            evaluation.scoreDigest
        );
        _requireSigned(order, shard, demand.contributor, structHash, signature);
        _excuses[order][shard] = Excuse(Absence.Answered, evaluation.scoreMicro, evaluation.datasetRoot);
        emit EvaluationAnswered(order, shard, msg.sender, evaluation, signature);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerManifest(bytes32 order, bytes calldata manifest) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, MANIFEST, Kind.Manifest);
        bytes32 found = sha256(manifest);
        if (found != demand.subject) revert Demands_WrongManifest(found, demand.subject);
        emit ManifestAnswered(order, msg.sender, manifest);
        _close(order, MANIFEST, demand);
    }

    /// @inheritdoc IDemands
    function answerReceipt(
        bytes32 order,
        uint32 shard,
        Receipt calldata receipt,
        bytes calldata signature
    ) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Receipt);
        ShardReceipt memory whole = _receiptOf(order, shard, demand, receipt);
        // As the registry asks it, so that an answer can be published.
        if (!whole.keepsPrivacy(demand.epsilonMicro, demand.deltaE12)) {
            revert Demands_PrivacyOutsideTerms(order, shard, receipt.epsilonMicro, receipt.deltaE12);
        }
        if (!_isSignedBy(demand.contributor, whole.hash(), signature)) {
            revert Demands_InvalidReceipt(order, shard, demand.contributor);
        }
        emit ReceiptAnswered(order, shard, msg.sender, receipt, signature);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerModel(bytes32 order, uint32 shard, bytes calldata model) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Model);
        bytes32 found = sha256(model);
        if (found != demand.subject) revert Disputes_WrongModel(found, demand.subject);
        emit ModelAnswered(order, shard, msg.sender, model);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerModelFromParts(bytes32 order, uint32 shard, address[] calldata parts) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Model);
        bytes memory model = ModelParts.join(parts);
        bytes32 found = sha256(model);
        if (found != demand.subject) revert Disputes_WrongModel(found, demand.subject);
        emit ModelAnswered(order, shard, msg.sender, model);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerChunk(
        bytes32 order,
        uint32 shard,
        uint32 rowWidth,
        uint64 chunkIndex,
        bytes calldata chunk,
        bytes32[] calldata path,
        uint256 pathBits
    ) external nonReentrant {
        StoredDemand memory demand = _requireOpen(order, shard, Kind.Chunk);
        (uint256 length, uint256 sides) = _checkChunk(demand, rowWidth, chunkIndex, chunk.length);
        bool isInShape = path.length == length && pathBits == sides;
        if (!isInShape || ShardTree.rootOf(chunkIndex, chunk, path, pathBits) != demand.subject) {
            revert Demands_WrongChunkProof(order, shard, chunkIndex);
        }
        emit ChunkAnswered(order, shard, msg.sender, rowWidth, chunkIndex, chunk, path, pathBits);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function expire(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        StoredDemand memory demand = _demands[order][shard];
        if (demand.kind == Kind.None) revert Demands_NotOpen(order, shard, Kind.None);
        bool isDue = _isDue(order, shard, demand.kind, _requireParticipants(order, participants));
        uint256 end = _endOf(demand);
        if (isDue && block.timestamp <= end) revert Demands_TooEarly(order, shard, end);
        if (isDue && !demand.warned) {
            uint64 answerBy = uint64(block.timestamp) + demand.answerSeconds;
            (_demands[order][shard].answerBy, _demands[order][shard].warned) = (answerBy, true);
            emit DemandWarned(order, shard, demand.kind, answerBy);
            return;
        }

        delete _demands[order][shard];
        emit DemandExpired(order, shard, demand.kind, isDue);

        escrow.closeDemand(order, 0);
        if (isDue) _punish(order, terms, participants, shard, demand);
        _send(demand.demander, demand.deposit);
    }

    /// @inheritdoc IDemands
    function collect(address account) external returns (uint256 amount) {
        amount = _kept[account];
        if (amount == 0) revert Demands_NothingToCollect(account);
        _kept[account] = 0;
        token.safeTransfer(account, amount);
    }

    /// @inheritdoc IDemands
    function demandOf(bytes32 order, uint32 shard) external view returns (Demand memory) {
        StoredDemand memory stored = _demands[order][shard];
        return
            Demand({
                kind: stored.kind,
                demander: stored.demander,
                answerBy: uint64(_endOf(stored)),
                deposit: stored.deposit,
                row: stored.row
            });
    }

    /// @inheritdoc IDemands
    function isWarned(bytes32 order, uint32 shard) external view returns (bool) {
        return _demands[order][shard].warned;
    }

    /// @inheritdoc IDemands
    function excuseOf(bytes32 order, uint32 shard) external view returns (Excuse memory) {
        return _excuses[order][shard];
    }

    /// @dev Stores a demand, counts it at the escrow and takes the deposit.
    function _open(bytes32 order, uint32 shard, address buyer, StoredDemand memory demand) private {
        if (shard != MANIFEST && _isOut(order, shard)) revert Demands_ShardOut(order, shard);
        if (_answered[order][shard][demand.kind]) revert Demands_AlreadyAnswered(order, shard, demand.kind);
        StoredDemand memory former = _demands[order][shard];
        if (former.kind != Kind.None && !_givesWay(order, shard, buyer, former)) {
            revert Demands_AlreadyOpen(order, shard);
        }
        demand.demander = msg.sender;
        demand.answerBy = uint64(block.timestamp) + demand.answerSeconds;
        _demands[order][shard] = demand;
        if (former.kind != Kind.None) emit DemandExpired(order, shard, former.kind, false);
        emit DemandOpened(
            order,
            shard,
            msg.sender,
            demand.kind,
            demand.dataset,
            demand.row,
            demand.answerBy,
            demand.deposit
        );

        if (former.kind == Kind.None) escrow.openDemand(order);
        if (demand.deposit != 0) token.safeTransferFrom(msg.sender, address(this), demand.deposit);
        _send(former.demander, former.deposit);
    }

    /// @dev Ends a demand with its answer. What was shown once is on chain; only other chunks may be asked for again.
    function _close(bytes32 order, uint32 shard, StoredDemand memory demand) private {
        delete _demands[order][shard];
        if (demand.kind != Kind.Chunk) _answered[order][shard][demand.kind] = true;

        // Before publication the window ends later in any case.
        escrow.closeDemand(order, uint64(block.timestamp) + demand.challengeSeconds);
        // Whether data could be had elsewhere the chain cannot tell: neither asking for it nor waiting to be asked
        // pays.
        _send(NOBODY, demand.deposit);
    }

    /// @dev What silence costs, see the table of {IDemands}.
    function _punish(
        bytes32 order,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        StoredDemand memory demand
    ) private {
        if (demand.kind == Kind.Model || demand.kind == Kind.Chunk) {
            bool whole = escrow.convict(terms, participants, shard, address(0));
            datasets.revokeShard(demand.dataset, shard, whole);
        } else if (demand.kind == Kind.Manifest) {
            _answered[order][shard][Kind.Manifest] = true;
            escrow.convictBroker(order);
        } else if (demand.kind == Kind.Evaluation) {
            _answered[order][shard][Kind.Evaluation] = true;
            _excuses[order][shard].absence = Absence.Silent;
            escrow.fine(order, demand.contributor);
        } else {
            escrow.drop(terms, participants, shard);
        }
    }

    /// @dev An account that cannot receive holds nobody else up: its tokens stay here until it can.
    function _send(address account, uint256 amount) private {
        if (amount == 0 || token.trySafeTransfer(account, amount)) return;
        _kept[account] += amount;
        emit PaymentKept(account, amount);
    }

    /// @dev An answer after the first time is as good as before it, until somebody warned and the second is over too.
    function _requireOpen(
        bytes32 order,
        uint32 shard,
        Kind kind
    ) private view returns (StoredDemand memory demand) {
        demand = _demands[order][shard];
        if (demand.kind != kind) revert Demands_NotOpen(order, shard, kind);
        if (!demand.warned) return demand;
        uint256 end = _endOf(demand);
        if (block.timestamp > end) revert Demands_TooLate(order, shard, end);
    }

    /// @dev What is open gives way once there is nothing left to demand: publication must not find the buyer kept from
    /// asking for the data. Nor may somebody keep it away by asking first; but of silence the consequence comes first.
    function _givesWay(
        bytes32 order,
        uint32 shard,
        address buyer,
        StoredDemand memory former
    ) private view returns (bool) {
        bool isFirst = !former.warned && block.timestamp <= _endOf(former);
        if (isFirst && msg.sender == buyer && former.demander != buyer) return true;
        return !_isDue(order, shard, former.kind, escrow.orderOf(order).state);
    }

    /// @dev Whether silence still has a consequence.
    function _isDue(bytes32 order, uint32 shard, Kind kind, IOrderEscrow.State state) private view returns (bool) {
        bool isAboutData = kind == Kind.Model || kind == Kind.Chunk || kind == Kind.Manifest;
        if (state != (isAboutData ? IOrderEscrow.State.Published : IOrderEscrow.State.Matched)) return false;
        if (shard != MANIFEST && _isOut(order, shard)) return false;
        if (kind == Kind.Commitment) return commitment.commitmentOf(order).commitBlock == 0;
        if (kind == Kind.Salt) return commitment.commitmentOf(order).seed == 0;
        return true;
    }

    /// @dev That the order stands where `kind` is what comes next.
    /// @return subject that the answer has to fit.
    function _requireStage(
        bytes32 order,
        uint32 shard,
        Kind kind,
        bytes32[] calldata digests
    ) private view returns (bytes32 subject) {
        IModelCommitment.Commitment memory found = commitment.commitmentOf(order);
        IModelCommitment.Salts memory salts = commitment.saltsOf(order);
        bool isStage =
            (kind == Kind.Commitment && found.commitBlock == 0) ||
                (kind == Kind.Salt && salts.fixedHash != 0 && found.seed == 0) ||
                ((kind == Kind.Receipt || kind == Kind.Evaluation) && found.seed != 0);
        if (!isStage) revert Demands_WrongStage(order, kind);
        if (kind == Kind.Commitment || kind == Kind.Evaluation) return 0;
        bytes32 expected = kind == Kind.Salt ? salts.saltsDigest : found.modelsDigest;
        if (OrderLists.digest(digests) != expected) revert Disputes_WrongModels(order);
        return digests[shard];
    }

    /// @dev Both times to answer have to end by the last moment to which the delivery can move.
    function _requireDeliverable(bytes32 order, OrderTerms calldata terms) private view {
        uint256 last = escrow.latestDeliverByOf(order) - _TIMES_TO_ANSWER * terms.answerSeconds;
        last = Math.min(last, escrow.deliverByOf(order));
        if (block.timestamp > last) revert Demands_TooLateToDemand(order, last);
    }

    /// @dev Private data is the buyer's: nobody else may have it laid open. And a demand of the first window may be
    /// answered late, and the window after it has room for one more; without a bound a demander who answers itself
    /// could put off the settlement for ever.
    function _requireDemandable(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset
    ) private view returns (bytes32 order, bytes32 datasetRoot) {
        (order, datasetRoot) = _requireInWindow(terms, participants, dataset);
        if (terms.deliveryKey != 0 && msg.sender != terms.buyer) revert Demands_Unauthorized(order, msg.sender);
        uint256 last =
            escrow.orderOf(order).publishedAt +
                2 * uint256(terms.challengeSeconds) +
                _TIMES_TO_ANSWER * terms.answerSeconds;
        last = escrow.endOf(last, terms.challengeSeconds);
        if (block.timestamp > last) revert Demands_TooLateToDemand(order, last);
    }

    /// @dev When the time to answer is over.
    function _endOf(StoredDemand memory demand) private view returns (uint256) {
        return escrow.endOf(demand.answerBy, demand.answerSeconds);
    }

    function _requireSigned(
        bytes32 order,
        uint32 shard,
        address contributor,
        bytes32 structHash,
        bytes calldata signature
    ) private view {
        if (!_isSignedBy(contributor, structHash, signature)) {
            revert Demands_InvalidSignature(order, shard, contributor);
        }
    }

    function _isOut(bytes32 order, uint32 shard) private view returns (bool) {
        return (escrow.shardsOf(order).out >> shard) & 1 == 1;
    }

    function _demandOf(OrderTerms calldata terms, Kind kind) private pure returns (StoredDemand memory demand) {
        demand.kind = kind;
        (demand.challengeSeconds, demand.answerSeconds) = (terms.challengeSeconds, terms.answerSeconds);
    }

    function _depositOf(OrderTerms calldata terms, uint256 rows) private pure returns (uint128) {
        // The escrow took no price beyond 128 bits.
        return uint128(OrderMoney.depositOf(terms.price, rows, terms.rows));
    }

    function _receiptOf(
        bytes32 order,
        uint32 shard,
        StoredDemand memory demand,
        Receipt calldata receipt
    ) private view returns (ShardReceipt memory) {
        return
            ShardReceipt({
                order: order,
                shard: shard,
                modelDigest: demand.subject,
                seed: commitment.commitmentOf(order).seed,
                rows: demand.rows,
                shardRoot: receipt.shardRoot,
                epsilonMicro: receipt.epsilonMicro,
                deltaE12: receipt.deltaE12,
                contentDigest: receipt.contentDigest
            });
    }

    /// @dev The chunk that holds the row, in the length that the shape demands (docs/spec/merkle.md, rule 1).
    /// No row has width zero, and no length would fit it.
    /// @return pathLength siblings that the chunk has in a tree of the shard's rows.
    /// @return sides where they stand. A tree of another shape could hold a second chunk for the same place.
    function _checkChunk(
        StoredDemand memory demand,
        uint256 rowWidth,
        uint256 index,
        uint256 length
    ) private pure returns (uint256 pathLength, uint256 sides) {
        if (rowWidth == 0) revert Demands_WrongLength(length, 0);
        uint256 rowsPerChunk = ChunkShape.rowsPerChunk(rowWidth);
        uint256 wanted = demand.row / rowsPerChunk;
        if (index != wanted) revert Demands_WrongChunk(index, wanted);
        uint256 expected = Math.min(rowsPerChunk, demand.rows - index * rowsPerChunk) * rowWidth;
        if (length != expected) revert Demands_WrongLength(length, expected);
        return ShardTree.shapeOf(index, Math.ceilDiv(demand.rows, rowsPerChunk));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Disputes} from "./disputes/Disputes.sol";
import {ChunkShape} from "./exact/ChunkShape.sol";
import {ModelParts} from "./exact/ModelParts.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDemands} from "./interfaces/IDemands.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "./types/OrderTerms.sol";
import {ShardReceipt, ShardReceipts} from "./types/ShardReceipt.sol";
import {ShardTree} from "./types/ShardTree.sol";

/// @notice Described in {IDemands}.
contract Demands is IDemands, Disputes, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using ShardReceipts for ShardReceipt;

    /// @dev A {Demand}, and what its answer is checked against. The first three members share a slot, so do the next
    /// three.
    struct StoredDemand {
        address demander;
        uint64 answerBy;
        Kind kind;
        uint128 deposit;
        uint64 rows;
        uint64 row;
        /// Model digest (Receipt, Model) or shard root (Chunk).
        bytes32 subject;
        uint256 dataset;
        address contributor;
        uint32 challengeSeconds;
        uint64 epsilonMicro;
        uint64 deltaE12;
    }

    uint256 private constant _DEPOSITS_OF_A_PRICE = 100;

    IERC20 public immutable token;
    /// @notice Chain time between a demand and the last answer.
    uint32 public immutable answerSeconds;

    mapping(bytes32 order => mapping(uint32 shard => StoredDemand demand)) private _demands;
    mapping(bytes32 order => mapping(uint32 shard => mapping(Kind kind => bool))) private _answered;
    mapping(address account => uint256 amount) private _kept;

    constructor(
        IERC20 token_,
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        IDatasetRegistry datasets_
    ) Disputes(escrow_, commitment_, datasets_) {
        token = token_;
        answerSeconds = escrow_.limits().answerSeconds;
    }

    /// @inheritdoc IDemands
    function demandReceipt(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external nonReentrant {
        bytes32 order = _orderId(terms);
        if (msg.sender != terms.broker) revert Demands_Unauthorized(order, msg.sender);
        IOrderEscrow.State state = _requireParticipants(order, participants);
        if (state != IOrderEscrow.State.Matched) revert Demands_NotMatched(order);
        (bytes32 modelDigest, bytes32 seed) = _requireModel(order, shard, modelDigests);
        if (seed == 0) revert Demands_SeedNotDrawn(order);
        uint256 answerBy = block.timestamp + answerSeconds;
        if (answerBy > terms.deliverBy) revert Demands_TooLateToDemand(order, answerBy, terms.deliverBy);

        StoredDemand memory demand;
        demand.kind = Kind.Receipt;
        demand.subject = modelDigest;
        demand.rows = participants[shard].rows;
        demand.contributor = participants[shard].contributor;
        demand.challengeSeconds = terms.challengeSeconds;
        (demand.epsilonMicro, demand.deltaE12) = (terms.epsilonMicro, terms.deltaE12);
        _open(order, shard, terms, demand);
    }

    /// @inheritdoc IDemands
    function demandModel(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external nonReentrant {
        (bytes32 order, ) = _requireInWindow(terms, participants, dataset);
        _requireReader(order, terms);
        _requireNotTooLate(order, terms.challengeSeconds);
        (bytes32 modelDigest, ) = _requireModel(order, shard, modelDigests);

        StoredDemand memory demand;
        demand.kind = Kind.Model;
        demand.subject = modelDigest;
        demand.dataset = dataset;
        demand.challengeSeconds = terms.challengeSeconds;
        _open(order, shard, terms, demand);
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
        (bytes32 order, bytes32 datasetRoot) = _requireInWindow(terms, participants, dataset);
        _requireReader(order, terms);
        _requireNotTooLate(order, terms.challengeSeconds);
        _requireShard(dataset, datasetRoot, shardRoot, shard, participants.length, shardProof);
        uint64 rows = participants[shard].rows;
        if (row >= rows) revert Demands_UnknownRow(row, rows);

        StoredDemand memory demand;
        demand.kind = Kind.Chunk;
        demand.subject = shardRoot;
        demand.dataset = dataset;
        demand.challengeSeconds = terms.challengeSeconds;
        (demand.rows, demand.row) = (rows, row);
        _open(order, shard, terms, demand);
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
        if (block.timestamp <= demand.answerBy) revert Demands_TooEarly(order, shard, demand.answerBy);
        IOrderEscrow.State state = _requireParticipants(order, participants);

        delete _demands[order][shard];
        // A receipt that was published after all is not missing; of an order that ended nothing is left to take.
        bool isAboutData = demand.kind != Kind.Receipt;
        bool punished = state == (isAboutData ? IOrderEscrow.State.Published : IOrderEscrow.State.Matched);
        emit DemandExpired(order, shard, demand.kind, punished);

        escrow.closeDemand(order, 0);
        if (punished) {
            if (isAboutData) datasets.revoke(demand.dataset);
            escrow.punish(terms, participants, shard, demand.demander);
        }
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
        StoredDemand storage stored = _demands[order][shard];
        return
            Demand({
                kind: stored.kind,
                demander: stored.demander,
                answerBy: stored.answerBy,
                deposit: stored.deposit,
                row: stored.row
            });
    }

    /// @dev Stores a demand, counts it at the escrow and takes the deposit.
    function _open(bytes32 order, uint32 shard, OrderTerms calldata terms, StoredDemand memory demand) private {
        StoredDemand storage stored = _demands[order][shard];
        Kind open = stored.kind;
        address formerDemander = stored.demander;
        uint256 formerDeposit = stored.deposit;
        // Publication has ended a demand for the receipt: it must not keep the buyer from asking for the data. Nor must
        // somebody who asks and answers itself, which costs nothing; but of silence the punishment has to come first.
        bool isOver = open == Kind.Receipt && demand.kind != Kind.Receipt;
        bool givesWay =
            msg.sender == terms.buyer && formerDemander != terms.buyer && block.timestamp <= stored.answerBy;
        if (open != Kind.None && !isOver && !givesWay) revert Demands_AlreadyOpen(order, shard);
        if (_answered[order][shard][demand.kind]) revert Demands_AlreadyAnswered(order, shard, demand.kind);
        demand.demander = msg.sender;
        demand.answerBy = uint64(block.timestamp) + answerSeconds;
        // The escrow took no price beyond 128 bits.
        demand.deposit = uint128(terms.price / _DEPOSITS_OF_A_PRICE);
        _demands[order][shard] = demand;
        if (open != Kind.None) emit DemandExpired(order, shard, open, false);
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

        if (open == Kind.None) escrow.openDemand(order);
        if (demand.deposit != 0) token.safeTransferFrom(msg.sender, address(this), demand.deposit);
        if (open != Kind.None) _send(formerDemander, formerDeposit);
    }

    /// @dev Ends a demand with its answer. What was shown once is on chain; only other chunks may be asked for again.
    function _close(bytes32 order, uint32 shard, StoredDemand memory demand) private {
        delete _demands[order][shard];
        if (demand.kind != Kind.Chunk) _answered[order][shard][demand.kind] = true;

        // Before publication this changes nothing: the window ends later in any case.
        escrow.closeDemand(order, uint64(block.timestamp) + demand.challengeSeconds);
        // A receipt was due without being asked for: who was waited for must not earn by it. Whether data could be had
        // elsewhere the chain cannot tell; there the deposit pays for the answer's gas.
        _send(demand.kind == Kind.Receipt ? demand.demander : msg.sender, demand.deposit);
    }

    /// @dev An account that cannot receive holds nobody else up: its tokens stay here until it can.
    function _send(address account, uint256 amount) private {
        if (amount == 0 || token.trySafeTransfer(account, amount)) return;
        _kept[account] += amount;
        emit PaymentKept(account, amount);
    }

    function _requireOpen(
        bytes32 order,
        uint32 shard,
        Kind kind
    ) private view returns (StoredDemand memory demand) {
        demand = _demands[order][shard];
        if (demand.kind != kind) revert Demands_NotOpen(order, shard, kind);
        if (block.timestamp > demand.answerBy) revert Demands_TooLate(order, shard, demand.answerBy);
    }

    /// @dev Private data is the buyer's: nobody else may have it laid open.
    function _requireReader(bytes32 order, OrderTerms calldata terms) private view {
        if (terms.deliveryKey != 0 && msg.sender != terms.buyer) revert Demands_Unauthorized(order, msg.sender);
    }

    /// @dev A demand of the first window may be answered late; the window after it has room for one more. Without this
    /// bound a demander who answers itself could put off the settlement for ever.
    function _requireNotTooLate(bytes32 order, uint256 challengeSeconds) private view {
        uint256 last = escrow.orderOf(order).publishedAt + 2 * challengeSeconds + answerSeconds;
        if (block.timestamp > last) revert Demands_NoMoreDemands(order, last);
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

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DemandBook} from "./disputes/DemandBook.sol";
import {Disputes} from "./disputes/Disputes.sol";
import {ChunkShape} from "./exact/ChunkShape.sol";
import {ModelParts} from "./exact/ModelParts.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDemands} from "./interfaces/IDemands.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {OrderTerms, OrderTermsHash, Participant} from "./types/OrderTerms.sol";
import {ShardTree} from "./types/ShardTree.sol";
import {SignedMessages} from "./types/SignedMessages.sol";

/// @notice Described in {IDemands}.
contract Demands is DemandBook, ReentrancyGuardTransient {
    using OrderTermsHash for OrderTerms;

    constructor(
        IERC20 token_,
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        IDatasetRegistry datasets_,
        uint32 answerSeconds_
    ) DemandBook(token_, answerSeconds_) Disputes(escrow_, commitment_, datasets_) {}

    /// @inheritdoc IDemands
    function demandReceipt(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external nonReentrant {
        bytes32 order = _digest(terms.hash());
        if (msg.sender != terms.broker) revert Demands_Unauthorized(order, msg.sender);
        IOrderEscrow.State state = _requireParticipants(order, participants);
        if (state != IOrderEscrow.State.Matched) revert Demands_NotMatched(order);
        (bytes32 modelDigest, bytes32 seed) = _requireModel(order, shard, modelDigests);
        if (seed == 0) revert Demands_SeedNotDrawn(order);
        uint256 answerBy = block.timestamp + answerSeconds;
        if (answerBy > terms.deliverBy) revert Demands_TooLateToDemand(order, answerBy, terms.deliverBy);

        Demand memory demand;
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

        Demand memory demand;
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

        Demand memory demand;
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
        Demand memory demand = _requireOpen(order, shard, Kind.Receipt);
        _checkPrivacy(order, shard, demand, receipt);
        if (!_isSignedBy(demand.contributor, _hashReceipt(order, shard, demand, receipt), signature)) {
            revert Demands_InvalidReceipt(order, shard, demand.contributor);
        }
        emit ReceiptAnswered(order, shard, msg.sender, receipt, signature);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerModel(bytes32 order, uint32 shard, bytes calldata model) external nonReentrant {
        Demand memory demand = _requireOpen(order, shard, Kind.Model);
        bytes32 found = sha256(model);
        if (found != demand.subject) revert Disputes_WrongModel(found, demand.subject);
        emit ModelAnswered(order, shard, msg.sender, model);
        _close(order, shard, demand);
    }

    /// @inheritdoc IDemands
    function answerModelFromParts(bytes32 order, uint32 shard, address[] calldata parts) external nonReentrant {
        Demand memory demand = _requireOpen(order, shard, Kind.Model);
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
        Demand memory demand = _requireOpen(order, shard, Kind.Chunk);
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
        bytes32 order = _digest(terms.hash());
        Demand memory demand = _demands[order][shard];
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

    /// @dev Private data is the buyer's: nobody else may have it laid open.
    function _requireReader(bytes32 order, OrderTerms calldata terms) private view {
        if (terms.deliveryKey != 0 && msg.sender != terms.buyer) revert Demands_Unauthorized(order, msg.sender);
    }

    /// @dev A demand of the first window may be answered late; the window after it has room for one more. Without this
    /// bound a demander who answers itself could put off the settlement for ever.
    function _requireNotTooLate(bytes32 order, uint256 challengeSeconds) private view {
        (, uint64 publishedAt, , , , , ) = escrow.orderOf(order);
        uint256 last = publishedAt + 2 * challengeSeconds + answerSeconds;
        if (block.timestamp > last) revert Demands_NoMoreDemands(order, last);
    }

    function _hashReceipt(
        bytes32 order,
        uint32 shard,
        Demand memory demand,
        Receipt calldata receipt
    ) private view returns (bytes32) {
        (, , , , bytes32 seed) = commitment.commitmentOf(order);
        return
            keccak256(
                abi.encode(
                    SignedMessages.SHARD_RECEIPT_TYPEHASH,
                    order,
                    shard,
                    demand.subject,
                    seed,
                    demand.rows,
                    receipt.shardRoot,
                    receipt.epsilonMicro,
                    receipt.deltaE12,
                    receipt.contentDigest
                )
            );
    }

    /// @dev As {DatasetRegistry} checks it, so that an answer can be published.
    function _checkPrivacy(
        bytes32 order,
        uint32 shard,
        Demand memory demand,
        Receipt calldata receipt
    ) private pure {
        if (demand.epsilonMicro == 0) return;
        if (
            receipt.epsilonMicro == 0 ||
            receipt.epsilonMicro > demand.epsilonMicro ||
            receipt.deltaE12 > demand.deltaE12
        ) {
            revert Demands_PrivacyOutsideTerms(order, shard, receipt.epsilonMicro, receipt.deltaE12);
        }
    }

    /// @dev The chunk that holds the row, in the length that the shape demands (docs/spec/merkle.md, rule 1).
    /// No row has width zero, and no length would fit it.
    /// @return pathLength siblings that the chunk has in a tree of the shard's rows.
    /// @return sides where they stand. A tree of another shape could hold a second chunk for the same place.
    function _checkChunk(
        Demand memory demand,
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

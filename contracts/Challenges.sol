// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Disputes} from "./disputes/Disputes.sol";
import {RowAttempts} from "./disputes/RowAttempts.sol";
import {ModelBytes} from "./exact/ModelBytes.sol";
import {ChunkShape} from "./exact/ChunkShape.sol";
import {ModelParts} from "./exact/ModelParts.sol";
import {IChallenges} from "./interfaces/IChallenges.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRowVerifier} from "./interfaces/IRowVerifier.sol";
import {OrderTerms, Participant} from "./types/OrderTerms.sol";
import {ShardTree} from "./types/ShardTree.sol";

/// @notice Described in {IChallenges}.
contract Challenges is IChallenges, Disputes, RowAttempts {
    /// @dev Stands for the model itself in the commitment of {challengeModel}.
    uint64 private constant _MODEL_CHUNK = type(uint64).max;

    /// @inheritdoc IChallenges
    mapping(bytes32 commitment => uint256 blockNumber) public committedAt;

    constructor(
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        IDatasetRegistry datasets_,
        IRowVerifier verifier_
    ) Disputes(escrow_, commitment_, datasets_) RowAttempts(verifier_) {}

    /// @inheritdoc IChallenges
    function commit(bytes32 commitment_) external {
        // Whoever sees a commitment may send it again; it keeps its first block, so that this gains nothing.
        if (committedAt[commitment_] != 0) return;
        committedAt[commitment_] = block.number;
        emit ChallengeCommitted(commitment_);
    }

    /// @inheritdoc IChallenges
    function challenge(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        Claim calldata claim,
        Evidence calldata evidence,
        bytes32 salt,
        uint256[] calldata descendants
    ) external {
        uint256 since = _requireCommitted(claim, salt);
        (bytes32 order, bytes32 datasetRoot) = _requireInWindow(terms, participants, claim.dataset);
        IRowVerifier.RowQuery memory query = _queryOf(order, participants, claim, evidence.modelDigests);
        (query.schemaDigest, query.sizeClass) = (terms.schemaDigest, terms.sizeClass);
        _checkProofs(datasetRoot, participants.length, claim, evidence);
        _checkConditions(terms.conditions, evidence.conditions);
        query.attempt = _attemptsFor(query, evidence.conditions, since);

        IRowVerifier.Verdict verdict = _judge(claim, evidence, query);
        emit FalseRow(claim.dataset, claim.shard, claim.chunk, claim.row, msg.sender, verdict);
        _convict(terms, participants, claim.dataset, claim.shard, descendants);
    }

    /// @inheritdoc IChallenges
    function challengeModel(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32[] calldata modelDigests,
        bytes calldata model,
        address[] calldata modelParts,
        bytes32 salt,
        uint256[] calldata descendants
    ) external {
        _requireCommitted(Claim(dataset, shard, _MODEL_CHUNK, 0), salt);
        (bytes32 order, ) = _requireInWindow(terms, participants, dataset);
        (bytes32 expected, ) = _requireModel(order, shard, modelDigests);

        bytes32 found = model.length == 0 ? _digestOf(modelParts) : sha256(model);
        if (found != expected) revert Disputes_WrongModel(found, expected);
        IRowVerifier.Verdict verdict = verifier.judgeModel(model, modelParts, terms.schemaDigest, terms.sizeClass);
        if (verdict == IRowVerifier.Verdict.Agrees) revert Challenges_ModelIsSound(dataset, shard);
        emit FalseModel(dataset, shard, msg.sender, verdict);
        _convict(terms, participants, dataset, shard, descendants);
    }

    function _convict(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        uint256[] calldata descendants
    ) private {
        bool whole = escrow.convict(terms, participants, shard, msg.sender);
        datasets.revokeShard(dataset, shard, whole);
        // What was derived from the shards that stand stands too.
        if (!whole) return;
        for (uint256 i = 0; i < descendants.length; ++i) {
            datasets.flag(descendants[i]);
        }
    }

    function _requireCommitted(Claim memory claim, bytes32 salt) private view returns (uint256 since) {
        bytes32 commitment_ = keccak256(
            abi.encode(msg.sender, claim.dataset, claim.shard, claim.chunk, claim.row, salt)
        );
        since = committedAt[commitment_];
        if (since == 0 || since >= block.number) revert Challenges_NotCommitted(commitment_);
    }

    function _queryOf(
        bytes32 order,
        Participant[] calldata participants,
        Claim calldata claim,
        bytes32[] calldata modelDigests
    ) private view returns (IRowVerifier.RowQuery memory query) {
        (query.modelDigest, query.seed) = _requireModel(order, claim.shard, modelDigests);
        query.shard = claim.shard;
        query.chunk = claim.chunk;
        query.row = claim.row;
        query.shardRows = participants[claim.shard].rows;
        for (uint256 i = 0; i < claim.shard; ++i) {
            query.requestRow += participants[i].rows;
        }
    }

    /// @dev Never `Agrees`: a row that is true, in a chunk that is in its place, reverts.
    function _judge(
        Claim calldata claim,
        Evidence calldata evidence,
        IRowVerifier.RowQuery memory query
    ) private view returns (IRowVerifier.Verdict) {
        (IRowVerifier.Verdict verdict, uint256 width) = verifier.judge(
            evidence.model,
            evidence.modelParts,
            evidence.conditions,
            query,
            evidence.chunkBytes
        );
        if (verdict != IRowVerifier.Verdict.Agrees) return verdict;
        if (_isInPlace(evidence, query, width)) {
            revert Challenges_RowAgrees(claim.dataset, claim.shard, claim.chunk, claim.row);
        }
        return IRowVerifier.Verdict.Differs;
    }

    /// @dev Whether a true chunk's path has the shape of the tree over the shard's rows. Under the root of the true
    /// rows no other path fits; bits behind the path say nothing.
    function _isInPlace(
        Evidence calldata evidence,
        IRowVerifier.RowQuery memory query,
        uint256 width
    ) private pure returns (bool) {
        uint256 chunks = Math.ceilDiv(query.shardRows, ChunkShape.rowsPerChunk(width));
        (uint256 length, uint256 sides) = ShardTree.shapeOf(query.chunk, chunks);
        return evidence.chunkProof.length == length && evidence.chunkPath & ((1 << length) - 1) == sides;
    }

    function _digestOf(address[] calldata modelParts) private view returns (bytes32) {
        (uint256 ptr, uint256 length) = ModelParts.load(modelParts);
        return ModelBytes.digest(ptr, length);
    }

    function _checkProofs(
        bytes32 datasetRoot,
        uint256 shards,
        Claim calldata claim,
        Evidence calldata evidence
    ) private pure {
        _requireShard(claim.dataset, datasetRoot, evidence.shardRoot, claim.shard, shards, evidence.shardProof);
        bytes32 root = ShardTree.rootOf(claim.chunk, evidence.chunkBytes, evidence.chunkProof, evidence.chunkPath);
        if (root != evidence.shardRoot) {
            revert Challenges_WrongChunkProof(claim.dataset, claim.shard, claim.chunk);
        }
    }

    function _checkConditions(bytes32 expected, bytes calldata conditions) private pure {
        bytes32 found = conditions.length == 0 ? bytes32(0) : sha256(conditions);
        if (found != expected) revert Challenges_WrongConditions(found, expected);
    }
}

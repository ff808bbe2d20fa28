// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDisputes} from "./IDisputes.sol";
import {IRowVerifier} from "./IRowVerifier.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";

/// @title Refuting published rows
/// @notice Inside the challenge window anyone who has the bytes shows that a row did not come from the committed
/// model and the drawn seed. In the same transaction the shard is out ({IOrderEscrow.convict}): its signer's stake is
/// taken, the challenger is rewarded, and if nothing is left of the data set it is revoked and its descendants are
/// flagged. If the row is true, the call reverts and costs its gas only.
///
/// A challenge is committed to first, at least one block before it is shown: whoever copies it from the queue of
/// transactions has no commitment of its own that is old enough. A commitment binds the challenger's address.
///
/// @dev Privileges: none. This contract holds no money and decides nothing but what the evidence shows. There is no
/// owner.
interface IChallenges is IDisputes {
    /// @notice The row that is said to be false.
    struct Claim {
        uint256 dataset;
        uint32 shard;
        /// Number of the chunk in the shard.
        uint64 chunk;
        /// Number of the row in the chunk.
        uint32 row;
    }

    struct Evidence {
        /// Of all shards, as committed.
        bytes32[] modelDigests;
        bytes32 shardRoot;
        /// From the shard up to the data set's root.
        bytes32[] shardProof;
        bytes chunkBytes;
        /// From the chunk up to the shard's root.
        bytes32[] chunkProof;
        /// Bit k is 1 when sibling k of `chunkProof` stands left.
        uint256 chunkPath;
        /// Empty when it is stored as code.
        bytes model;
        /// Where the model is stored ({IModelStore}); used when `model` is empty.
        address[] modelParts;
        /// In bytes; empty for whole tables.
        bytes conditions;
    }

    /// @notice Someone will show something, from the next block on.
    event ChallengeCommitted(bytes32 indexed commitment);
    /// @notice A row was shown to be false.
    event FalseRow(
        uint256 indexed dataset,
        uint32 indexed shard,
        uint64 chunk,
        uint32 row,
        address indexed challenger,
        IRowVerifier.Verdict verdict
    );
    /// @notice The bytes committed to are no model, or none that the terms allow.
    event FalseModel(
        uint256 indexed dataset,
        uint32 indexed shard,
        address indexed challenger,
        IRowVerifier.Verdict verdict
    );

    /// @notice Commit first, with this value, at least one block before.
    error Challenges_NotCommitted(bytes32 commitment);
    /// @notice The row is true.
    error Challenges_RowAgrees(uint256 dataset, uint32 shard, uint64 chunk, uint32 row);
    error Challenges_ModelIsSound(uint256 dataset, uint32 shard);
    /// @notice The proof does not lead from this chunk to the shard's root.
    error Challenges_WrongChunkProof(uint256 dataset, uint32 shard, uint64 chunk);
    /// @notice The bytes have another SHA-256 than the conditions of the terms.
    error Challenges_WrongConditions(bytes32 found, bytes32 expected);

    /// @notice Announces a challenge without telling which. A value that is known keeps its first block.
    /// @param commitment keccak256(abi.encode(challenger, dataset, shard, chunk, row, salt)).
    function commit(bytes32 commitment) external;

    /// @notice Shows that a row is false, or that its chunk has a wrong length or does not stand where a tree over the
    /// shard's rows has it, or that its model is none or none that the terms allow. Attempts that were shown before
    /// ({IRowAttempts}) are not made again.
    /// @param salt of the commitment.
    /// @param descendants data sets to flag, parents before their children; others can be flagged later by anyone.
    function challenge(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        Claim calldata claim,
        Evidence calldata evidence,
        bytes32 salt,
        uint256[] calldata descendants
    ) external;

    /// @notice Shows that the bytes committed to as a shard's model break a rule of docs/spec/model.md, are for another
    /// schema than the terms', or, where the terms promise the size class, beyond it. The commitment is made with chunk
    /// 2^64 - 1 and row 0.
    /// @param modelDigests of all shards, as committed.
    /// @param model empty when `modelParts` says where it is stored.
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
    ) external;

    /// @return Block of a commitment; zero when there is none.
    function committedAt(bytes32 commitment) external view returns (uint256);
}

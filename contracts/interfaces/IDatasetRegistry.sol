// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderTerms, Participant} from "../types/OrderTerms.sol";

/// @title Published data sets, one ERC-721 token each
/// @notice A record is complete or absent: every contributor's receipt and evaluation is checked before the token is
/// minted to the buyer, and nothing of it changes afterwards. Storage keeps digests; the events carry the record.
/// @dev Privileges: an order's broker alone may publish its data set, once, under signatures of all its contributors;
/// the token's holder may transfer it. There is no owner.
interface IDatasetRegistry {
    /// @notice What a record is worth now.
    enum Status {
        None,
        Valid,
        Revoked,
        Flagged
    }

    /// @notice One contributor's shard; contributor and rows come from the order's participants.
    struct ShardRecord {
        /// SHA-256 of the model bytes, as committed.
        bytes32 modelDigest;
        /// Merkle root over the shard's rows.
        bytes32 shardRoot;
        /// Spent in training, in 1e-6; zero claims no privacy.
        uint64 epsilonMicro;
        /// In 1e-12.
        uint64 deltaE12;
        /// SHA-256 of the canonical content document (CIDs, wrapped key, privacy statement).
        bytes32 contentDigest;
        /// The contributor's signature over ShardReceipt.
        bytes receipt;
    }

    /// @notice One contributor's score of the pooled data set.
    struct EvaluationRecord {
        uint32 scoreMicro;
        /// Over Evaluation(order, datasetRoot, scoreMicro, sharesDigest).
        bytes signature;
    }

    struct DatasetRecord {
        /// SHA-256 of the canonical manifest.
        bytes32 manifestDigest;
        /// SHA-256 of the score file.
        bytes32 scoreDigest;
        /// Version of the row specification; the rows stay verifiable under it.
        uint16 specVersion;
        /// Part of real data behind the models, declared by the contributors, in 1e-6.
        uint32 realFractionMicro;
        /// Data sets this one was derived from, ascending; empty when trained on real tables only.
        uint256[] parents;
        /// Division of the price among the participants; sums to 10,000.
        uint16[] sharesBps;
        /// One per participant, in their order.
        ShardRecord[] shards;
        /// One per participant, in their order.
        EvaluationRecord[] evaluations;
    }

    /// @param epsilonMicro largest of the shards', whose tables are disjoint; zero when any shard claims no privacy.
    /// @param deltaE12 largest of the shards'; zero when any shard claims no privacy.
    /// @param depth 0 for real tables only, else one more than the deepest parent.
    event DatasetPublished(
        uint256 indexed id,
        bytes32 indexed order,
        bytes32 manifestDigest,
        bytes32 datasetRoot,
        bytes32 seed,
        bytes32 scoreDigest,
        uint64 rows,
        uint64 epsilonMicro,
        uint64 deltaE12,
        uint16 depth,
        uint16 specVersion,
        uint32 realFractionMicro,
        uint256[] parents,
        uint16[] sharesBps
    );
    event ShardRecorded(
        uint256 indexed id,
        uint32 indexed shard,
        address indexed contributor,
        bytes32 modelDigest,
        bytes32 shardRoot,
        uint64 rows,
        uint64 epsilonMicro,
        uint64 deltaE12,
        bytes32 contentDigest,
        bytes receipt
    );
    event EvaluationRecorded(uint256 indexed id, address indexed contributor, uint32 scoreMicro, bytes signature);

    /// @notice The contract `by` found the data set false, or withheld.
    event DatasetRevoked(uint256 indexed id, address by);
    /// @notice The data set `parent`, which this one derives from, is revoked or flagged.
    event DatasetFlagged(uint256 indexed id, uint256 parent);

    error DatasetRegistry_NothingToFlag(uint256 id);
    error DatasetRegistry_Unauthorized(bytes32 order, address caller);
    error DatasetRegistry_NotMatched(bytes32 order);
    error DatasetRegistry_WrongParticipants(bytes32 order);
    error DatasetRegistry_TooLate(bytes32 order, uint256 deliverBy);
    error DatasetRegistry_SeedNotDrawn(bytes32 order);
    error DatasetRegistry_LengthMismatch(
        uint256 participants,
        uint256 shards,
        uint256 evaluations,
        uint256 sharesBps
    );
    /// @notice The models are not those that were committed before the seed.
    error DatasetRegistry_WrongModels(bytes32 order);
    error DatasetRegistry_InvalidReceipt(uint256 shard, address contributor);
    /// @notice The shard spent more than the terms allow, or claims no privacy where the terms ask for it.
    error DatasetRegistry_PrivacyOutsideTerms(uint256 shard, uint64 epsilonMicro, uint64 deltaE12);
    error DatasetRegistry_InvalidEvaluation(uint256 shard, address contributor);
    error DatasetRegistry_ScoreTooLow(uint256 medianMicro, uint256 minScoreMicro);
    error DatasetRegistry_SharesMismatch(uint256 sumBps, uint256 wholeBps);
    error DatasetRegistry_UnknownVersion(uint16 specVersion);
    error DatasetRegistry_FractionOutOfRange(uint256 realFractionMicro, uint256 maximum);
    error DatasetRegistry_UnknownParent(uint256 parent);
    error DatasetRegistry_ParentsNotAscending(uint256 parent, uint256 previous);

    /// @notice Records a data set and mints its token to the buyer. Broker only, up to `deliverBy`, once the order is
    /// matched and its seed drawn.
    /// @dev The root of the data set is computed here, so that the evaluations are over the shards recorded. The median
    /// of an even number of scores is the lower middle one.
    /// @param participants as matched.
    /// @return id of the token; ids count from 1.
    function publish(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        DatasetRecord calldata record
    ) external returns (uint256 id);

    /// @notice Marks a data set revoked. Challenges and demands only.
    function revoke(uint256 id) external;

    /// @notice Marks a data set that derives from a revoked or flagged one. Anyone.
    function flag(uint256 id) external;

    /// @return Data sets that this one derives from.
    function parentsOf(uint256 id) external view returns (uint256[] memory);

    /// @return Part (1e-4) that derived data sets and resales owe to the contributors of this one.
    function royaltyBpsOf(uint256 id) external view returns (uint16);

    /// @return order id of the order that was delivered.
    /// @return manifestDigest SHA-256 of the canonical manifest.
    /// @return recordDigest keccak256(abi.encode(order, seed, datasetRoot, manifestDigest, scoreDigest, specVersion,
    /// realFractionMicro, parents, sharesBps, bytes32[] shards)), where shard k stands as
    /// keccak256(abi.encode(contributor, EIP-712 struct hash of its ShardReceipt)).
    /// @return datasetRoot SHA-256 Merkle root over the shard roots.
    /// @return publishedAt chain time in seconds.
    /// @return rows in all.
    /// @return depth 0 for real tables only.
    /// @return specVersion version of the row specification.
    /// @return status None for an unknown id.
    /// @return realFractionMicro part of real data, in 1e-6.
    /// @return royaltyBps as in the terms.
    function datasetOf(
        uint256 id
    )
        external
        view
        returns (
            bytes32 order,
            bytes32 manifestDigest,
            bytes32 recordDigest,
            bytes32 datasetRoot,
            uint64 publishedAt,
            uint64 rows,
            uint16 depth,
            uint16 specVersion,
            Status status,
            uint32 realFractionMicro,
            uint16 royaltyBps
        );
}

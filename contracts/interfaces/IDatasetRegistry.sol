// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {IOrderEscrow} from "./IOrderEscrow.sol";

/// @title Published data sets, one ERC-721 token each
/// @notice A record is complete or absent: the receipt of every contributor that is not out, and the evaluations of
/// more than half of them, are checked before the token is minted to the buyer, and nothing of it changes afterwards
/// but its status. Storage keeps digests; the events carry the record.
///
/// None --publish--> Valid --revokeShard, one of several--> Reduced
///                     |                                     \--revokeShard, the last--> Revoked
///                     |--revokeShard, the last, or the terms call a part worthless--> Revoked
///                     \--flag--> Flagged --revokeShard, the last--> Revoked
///
/// @dev Privileges:
/// - an order's broker alone may publish its data set, once, under the signatures said above;
/// - the challenges and the demands contract may revoke a shard;
/// - anyone may flag what derives from a revoked or flagged data set;
/// - the token's holder may transfer it, whatever its status.
/// There is no owner.
///
/// Standards: ERC-721 with metadata that the chain writes itself ({IERC721Metadata-tokenURI}, docs/spec/market.md),
/// ERC-4906 (the metadata changes with the status), ERC-2981 (a hint: nothing forces a marketplace to pay it),
/// ERC-165. ERC-7007 is not claimed: its addAigcData would attach content to a token after the mint, and here
/// nothing is attached after the mint. What it calls verify is the row verifier's.
interface IDatasetRegistry {
    /// @notice What a record is worth now.
    enum Status {
        None,
        Valid,
        /// Nothing is left of it: rows were proven false, or what had to be shown was withheld.
        Revoked,
        /// Derived from a data set that is revoked or flagged; nothing is known against its own rows.
        Flagged,
        /// Shards of it were revoked ({ShardRevoked}); the others stand as before.
        Reduced
    }

    /// @notice What the chain knows of a data set beyond its events.
    struct Dataset {
        /// Id of the order that was delivered.
        bytes32 order;
        /// SHA-256 of the canonical manifest.
        bytes32 manifestDigest;
        /// keccak256(abi.encode(order, seed, datasetRoot, manifestDigest, scoreDigest, specVersion, realFractionMicro
        /// (computed), parents, sharesBps, bytes32[] shards)), where shard k stands as
        /// keccak256(abi.encode(contributor, EIP-712 struct hash of its ShardReceipt)).
        bytes32 recordDigest;
        /// SHA-256 Merkle root over the shard roots.
        bytes32 datasetRoot;
        /// Chain time in seconds.
        uint40 publishedAt;
        /// In all, those of dropped shards left out.
        uint64 rows;
        /// 0 for real tables only, else one more than the deepest parent.
        uint16 depth;
        /// Version of the row specification.
        uint16 specVersion;
        /// None for an unknown id.
        Status status;
        /// Least part of real rows in any training of its lineage, computed from what was declared for it and for its
        /// ancestors, in 1e-6.
        uint32 realFractionMicro;
        /// Part (1e-4) of the prices of derived data sets and resales that its contributors are owed.
        uint16 royaltyBps;
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
        /// Over Evaluation(order, datasetRoot, scoreMicro, sharesDigest, scoreDigest).
        bytes signature;
    }

    struct DatasetRecord {
        /// SHA-256 of the canonical manifest.
        bytes32 manifestDigest;
        /// SHA-256 of the score file.
        bytes32 scoreDigest;
        /// Data sets this one was derived from, ascending, as the terms fix them; empty when trained on real tables
        /// only.
        uint256[] parents;
        /// Division of the price among the participants; sums to 10,000. Zero for a shard that is out. At least half
        /// of its part by rows, rounded down, for a contributor that answered a demand with another evaluation.
        uint16[] sharesBps;
        /// One per participant, in their order. For a shard that is out everything is zero and empty but the model
        /// digest, which is as committed.
        ShardRecord[] shards;
        /// One per participant, in their order. Zero and empty for a shard that is out, and for a contributor that
        /// was excused: it answered a demand with another evaluation, or not at all ({IDemands.excuseOf}).
        EvaluationRecord[] evaluations;
    }

    /// @param epsilonMicro largest of the shards', whose tables are disjoint; zero when any shard claims no privacy.
    /// @param deltaE12 largest of the shards'; zero when any shard claims no privacy.
    /// @param depth 0 for real tables only, else one more than the deepest parent.
    /// @param realFractionMicro least of the terms' ownRealMicro and of the parents' real fractions, computed: no
    /// training in the whole lineage had a smaller part of real rows.
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
    /// @notice One shard of a new data set; none for a shard that was dropped ({IOrderEscrow.ShardDropped}).
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
    /// @notice One evaluation that was signed for the record; none for a contributor that is out or excused.
    event EvaluationRecorded(uint256 indexed id, address indexed contributor, uint32 scoreMicro, bytes signature);
    /// @notice `by`, the challenges or the demands contract, found the data set false or withheld.
    event DatasetRevoked(uint256 indexed id, address indexed by);
    /// @notice `by`, the challenges or the demands contract, found one shard of the data set false or withheld.
    event ShardRevoked(uint256 indexed id, uint32 indexed shard, address indexed by);
    /// @notice `parent`, from which the data set derives, is revoked or flagged.
    event DatasetFlagged(uint256 indexed id, uint256 indexed parent);

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
    /// @notice The shard is out: nothing of it can be recorded but its model's digest.
    error DatasetRegistry_ShardOut(uint256 shard);
    /// @notice The shard spent more than the terms allow, or claims no privacy where the terms ask for it.
    error DatasetRegistry_PrivacyOutsideTerms(uint256 shard, uint64 epsilonMicro, uint64 deltaE12);
    error DatasetRegistry_InvalidEvaluation(uint256 shard, address contributor);
    /// @notice Only a contributor whose evaluation was demanded can be left out.
    error DatasetRegistry_EvaluationMissing(uint256 shard, address contributor);
    /// @notice Needed are evaluations of more than half of the contributors that are not out and did not fall silent.
    error DatasetRegistry_NoQuorum(uint256 evaluations, uint256 contributors);
    /// @notice A contributor that answered with another evaluation gets at least half of its part by rows.
    error DatasetRegistry_ShareTooSmall(uint256 shard, uint256 shareBps, uint256 minimumBps);
    error DatasetRegistry_ScoreTooLow(uint256 medianMicro, uint256 minScoreMicro);
    error DatasetRegistry_SharesMismatch(uint256 sumBps, uint256 wholeBps);
    /// @notice The record's parents are not those of the terms; digests of both, zero for none.
    error DatasetRegistry_WrongParents(bytes32 order, bytes32 found, bytes32 expected);
    error DatasetRegistry_TooManyParents(uint256 count, uint256 maximum);
    error DatasetRegistry_ParentsNotAscending(uint256 parent, uint256 previous);
    error DatasetRegistry_ParentNotValid(uint256 parent, Status status);
    /// @notice The parent's order is in `state`; only what is settled may have children.
    error DatasetRegistry_ParentNotSettled(uint256 parent, IOrderEscrow.State state);
    /// @notice Only the challenges and the demands contract may revoke.
    error DatasetRegistry_NotAJudge(uint256 id, address caller);
    error DatasetRegistry_WrongStatus(uint256 id, Status status);
    /// @notice No parent of the data set is revoked or flagged.
    error DatasetRegistry_ParentsStand(uint256 id);
    /// @notice The token moves once its order is settled: until then a challenge refunds whoever ordered the data set.
    error DatasetRegistry_WindowOpen(uint256 id, bytes32 order);

    /// @notice Records a data set and mints its token to the buyer. Broker only, up to {IOrderEscrow.deliverByOf},
    /// once the order is matched and its seed drawn. Row specification and own real part are those of the terms.
    /// @dev The root of the data set is computed here, so that the evaluations are over the shards recorded; a shard
    /// that is out has root zero. The median is over the evaluations of the record, and over those in answer to a
    /// demand that are about the same root; of an even number it is the lower middle one.
    /// @param participants as matched.
    /// @return id of the token; ids count from 1.
    function publish(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        DatasetRecord calldata record
    ) external returns (uint256 id);

    /// @notice Marks a shard of a data set false, for good. Challenges and demands contract only, which have convicted
    /// it before ({IOrderEscrow.convict}, once a shard).
    /// @param whole whether nothing of the data set is left.
    function revokeShard(uint256 id, uint32 shard, bool whole) external;

    /// @notice Marks a data set as derived from a false one. Anyone; parents before children. Does nothing for one
    /// that is flagged or revoked already.
    function flag(uint256 id) external;

    /// @return Zeros, with status None, for an unknown id.
    function datasetOf(uint256 id) external view returns (Dataset memory);

    /// @return Data sets it was derived from, ascending.
    function parentsOf(uint256 id) external view returns (uint256[] memory);

    /// @return Part (1e-4) owed to its contributors; zero for an unknown id.
    function royaltyBpsOf(uint256 id) external view returns (uint16);

    /// @return The order escrow, which knows the state of every data set's order.
    function escrow() external view returns (IOrderEscrow);
}

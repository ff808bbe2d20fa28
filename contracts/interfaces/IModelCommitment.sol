// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Participant} from "../types/OrderTerms.sol";

/// @title Models and salts first, then the seed
/// @notice Contributors fix their models, and a secret salt each; the hash of a block that does not exist yet, and
/// all the salts, then decide the seed. So whoever produces that block chooses blindly as long as one contributor
/// keeps its salt until the hash is fixed. A contributor that does not reveal its salt, which can be demanded
/// ({IDemands}), loses its whole stake, and the seed is made of the same hash and the others' salts: a new block's
/// producer would know these.
///
/// None --commit--> Committed --fixHash, after the target block--> Fixed --drawSeed, with the salts--> Drawn
///                     |  \--drawSeed: both in one call--> Drawn
///                     \--redraw, when the hash is out of reach: a new target block--> Committed
///
/// A block that nobody used while the chain knew its hash (256 blocks, or 8,191 where it keeps them by EIP-2935) is
/// replaced by a new one; that costs the broker part of its bond and is counted for everybody to see. Once fixed, a
/// hash stays. Each step but a redraw leaves at least one time to answer until the deadline ({IOrderEscrow.prolong}),
/// so that what comes next can be demanded in time.
/// @dev Privileges: none. Signatures decide what is committed; anyone may relay, fix, draw and redraw.
interface IModelCommitment {
    /// @notice The models of one order, and its seed.
    struct Commitment {
        /// keccak256(abi.encodePacked(bytes32[] modelDigests)); zero before the commit.
        bytes32 modelsDigest;
        /// Block of the commit.
        uint64 commitBlock;
        /// Block whose hash decides the seed.
        uint64 targetBlock;
        /// Number of appointed blocks so far: 1 when no draw was missed.
        uint32 draws;
        /// Zero before the draw.
        bytes32 seed;
    }

    /// @notice What else the seed is made of.
    struct Salts {
        /// keccak256(abi.encodePacked(bytes32[] saltDigests)); zero before the commit.
        bytes32 saltsDigest;
        /// Hash of the target block, when it was fixed before the draw; else zero.
        bytes32 fixedHash;
    }

    /// @notice The models of a matched order are fixed; the seed comes from the hash of block `targetBlock` and the
    /// salts. Zero and empty for a shard that is out.
    event ModelsCommitted(bytes32 indexed order, bytes32[] modelDigests, bytes[] signatures, uint64 targetBlock);
    /// @notice Emitted with {ModelsCommitted}; zero for a shard that is out.
    event SaltsCommitted(bytes32 indexed order, bytes32[] saltDigests);
    /// @notice The hash of the target block is on chain for good; from here on salts can be demanded.
    event HashFixed(bytes32 indexed order, uint64 targetBlock, bytes32 blockHash);
    /// @notice The order has its seed, from the `draws`-th block that was appointed.
    event SeedDrawn(bytes32 indexed order, bytes32 seed, uint64 targetBlock, uint32 draws);
    /// @notice Emitted with {SeedDrawn}; zero for a shard that was out.
    event SaltsRevealed(bytes32 indexed order, bytes32[] salts);
    /// @notice A draw was missed; the new one is number `draws`.
    event SeedMissed(bytes32 indexed order, uint32 draws);

    error ModelCommitment_DelayOutOfRange(uint256 delayBlocks, uint256 minimum, uint256 maximum);
    error ModelCommitment_NotMatched(bytes32 order);
    error ModelCommitment_WrongParticipants(bytes32 order);
    error ModelCommitment_AlreadyCommitted(bytes32 order);
    error ModelCommitment_LengthMismatch(
        uint256 participants,
        uint256 modelDigests,
        uint256 saltDigests,
        uint256 signatures
    );
    error ModelCommitment_InvalidSignature(uint256 shard, address contributor);
    /// @notice The shard is out: its digests and its salt are zero, its signature is empty.
    error ModelCommitment_ShardOut(uint256 shard);
    error ModelCommitment_NotCommitted(bytes32 order);
    error ModelCommitment_AlreadyDrawn(bytes32 order);
    /// @notice The hash of the target block is fixed already, for good.
    error ModelCommitment_AlreadyFixed(bytes32 order);
    /// @notice The seed can be drawn once block `targetBlock` has a successor.
    error ModelCommitment_TooEarly(bytes32 order, uint256 targetBlock);
    /// @notice The hash of block `targetBlock` is out of the chain's reach; redraw.
    error ModelCommitment_DrawMissed(bytes32 order, uint256 targetBlock);
    /// @notice Possible only up to chain time `deliverBy`.
    error ModelCommitment_TooLate(bytes32 order, uint256 deliverBy);
    /// @notice The draw is not due yet, or can still be made.
    error ModelCommitment_NotMissed(bytes32 order, uint256 targetBlock);
    /// @notice These are not the salts' digests that were committed.
    error ModelCommitment_WrongSaltDigests(bytes32 order);
    /// @notice keccak256(abi.encode(order, shard, salt)) is not what the contributor of shard `shard` committed to.
    error ModelCommitment_WrongSalt(bytes32 order, uint256 shard);

    /// @notice Fixes models and salts of a matched order, once, up to the deadline.
    /// @param participants as matched.
    /// @param modelDigests SHA-256 of each participant's model bytes, shard by shard.
    /// @param saltDigests keccak256(abi.encode(order, shard, salt)) of each participant's secret salt.
    /// @param signatures each participant's over ModelCommitment(order, shard, modelDigest, saltDigest).
    function commit(
        bytes32 order,
        Participant[] calldata participants,
        bytes32[] calldata modelDigests,
        bytes32[] calldata saltDigests,
        bytes[] calldata signatures
    ) external;

    /// @notice Stores the hash of the target block, so that there is time to collect the salts. A hash that the chain
    /// does not know, or that is zero, is none.
    function fixHash(bytes32 order) external;

    /// @notice Draws the seed: keccak256(abi.encode(order, modelsDigest, block hash,
    /// keccak256(abi.encodePacked(bytes32[] salts)))), up to the deadline.
    /// @param saltDigests as committed.
    /// @param salts one per shard; zero for a shard that is out.
    function drawSeed(
        bytes32 order,
        bytes32[] calldata saltDigests,
        bytes32[] calldata salts
    ) external returns (bytes32 seed);

    /// @notice Appoints a new block when the hash of the last one is out of reach and was not fixed; up to the
    /// deadline.
    function redraw(bytes32 order) external;

    /// @return Zeros before the commit.
    function commitmentOf(bytes32 order) external view returns (Commitment memory);

    /// @return Zeros before the commit.
    function saltsOf(bytes32 order) external view returns (Salts memory);

    /// @return Whether anyone could know a seed of the order, drawn or not: an appointed block exists already. From
    /// then on giving the order up would be a choice among seeds.
    function couldSeedBeKnown(bytes32 order) external view returns (bool);
}

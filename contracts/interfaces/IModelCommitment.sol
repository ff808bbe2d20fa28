// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Participant} from "../types/OrderTerms.sol";

/// @title Models first, then the seed
/// @notice Contributors fix their models; the hash of a block that does not exist yet then decides the seed. Only who
/// produces that block can influence it. A draw that nobody made while the chain knew the hash (256 blocks, or 8,191
/// where it keeps them by EIP-2935) is repeated with a new block; that costs the broker part of its bond and is
/// counted for everybody to see. Commit and draw come early enough for a receipt to be demanded afterwards.
/// @dev Privileges: none. Signatures decide what is committed; anyone may relay, draw and redraw.
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

    /// @notice The models of a matched order are fixed; the seed comes from the hash of block `targetBlock`.
    event ModelsCommitted(bytes32 indexed order, bytes32[] modelDigests, bytes[] signatures, uint64 targetBlock);
    /// @notice The order has its seed, from the `draws`-th block that was appointed.
    event SeedDrawn(bytes32 indexed order, bytes32 seed, uint64 targetBlock, uint32 draws);
    /// @notice A draw was missed; the new one is number `draws`.
    event SeedMissed(bytes32 indexed order, uint32 draws);

    error ModelCommitment_DelayOutOfRange(uint256 delayBlocks, uint256 minimum, uint256 maximum);
    error ModelCommitment_NotMatched(bytes32 order);
    error ModelCommitment_WrongParticipants(bytes32 order);
    error ModelCommitment_AlreadyCommitted(bytes32 order);
    error ModelCommitment_LengthMismatch(uint256 participants, uint256 modelDigests, uint256 signatures);
    error ModelCommitment_InvalidSignature(uint256 shard, address contributor);
    error ModelCommitment_NotCommitted(bytes32 order);
    error ModelCommitment_AlreadyDrawn(bytes32 order);
    /// @notice The seed can be drawn once block `targetBlock` has a successor.
    error ModelCommitment_TooEarly(bytes32 order, uint256 targetBlock);
    /// @notice The hash of block `targetBlock` is out of the chain's reach; redraw.
    error ModelCommitment_DrawMissed(bytes32 order, uint256 targetBlock);
    /// @notice What comes next may last until chain time `needed`, and the order ends after `deliverBy`.
    error ModelCommitment_TooLate(bytes32 order, uint256 needed, uint256 deliverBy);
    /// @notice The draw is not due yet, or can still be made.
    error ModelCommitment_NotMissed(bytes32 order, uint256 targetBlock);

    /// @notice Fixes the models of a matched order, once; at least twice the time of an answer before its deadline.
    /// @param participants as matched.
    /// @param modelDigests SHA-256 of each participant's model bytes, shard by shard.
    /// @param signatures each participant's over ModelCommitment(order, shard, modelDigest).
    function commit(
        bytes32 order,
        Participant[] calldata participants,
        bytes32[] calldata modelDigests,
        bytes[] calldata signatures
    ) external;

    /// @notice Draws the seed: keccak256(abi.encode(order, modelsDigest, blockhash(targetBlock))), at least the time
    /// of an answer before the order's deadline. A hash that the chain does not know, or that is zero, draws nothing.
    function drawSeed(bytes32 order) external returns (bytes32 seed);

    /// @notice Appoints a new block after a missed draw, as long as a draw has time.
    function redraw(bytes32 order) external;

    /// @return Zeros before the commit.
    function commitmentOf(bytes32 order) external view returns (Commitment memory);

    /// @return Whether anyone could know a seed of the order, drawn or not: an appointed block exists already. From
    /// then on giving the order up would be a choice among seeds.
    function couldSeedBeKnown(bytes32 order) external view returns (bool);
}

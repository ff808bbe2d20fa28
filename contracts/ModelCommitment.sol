// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {BlockHashes} from "./types/BlockHashes.sol";
import {OrderLists} from "./types/OrderLists.sol";
import {Participant} from "./types/OrderTerms.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";

/// @notice Described in {IModelCommitment}.
contract ModelCommitment is IModelCommitment, TesseraDomain {
    /// @dev Every chain answers for the hashes of this many blocks before the current one.
    uint256 private constant _BLOCKHASH_WINDOW = 256;

    IOrderEscrow public immutable escrow;
    /// @notice Blocks between a commit and the block that decides its seed.
    uint64 public immutable seedDelayBlocks;
    /// @notice Chain time that a contributor has to answer a demand, as the escrow says.
    uint32 public immutable answerSeconds;

    mapping(bytes32 order => Commitment commitment) private _commitments;

    constructor(IOrderEscrow escrow_, uint64 seedDelayBlocks_) TesseraDomain(address(escrow_)) {
        if (seedDelayBlocks_ == 0 || seedDelayBlocks_ > _BLOCKHASH_WINDOW) {
            revert ModelCommitment_DelayOutOfRange(seedDelayBlocks_, 1, _BLOCKHASH_WINDOW);
        }
        escrow = escrow_;
        seedDelayBlocks = seedDelayBlocks_;
        answerSeconds = escrow_.limits().answerSeconds;
    }

    /// @inheritdoc IModelCommitment
    function commit(
        bytes32 order,
        Participant[] calldata participants,
        bytes32[] calldata modelDigests,
        bytes[] calldata signatures
    ) external {
        _checkOrder(order, participants);
        // Time for the draw, and then for an answer: who commits late must not escape the demand for its receipt.
        _requireTimeLeft(order, 2 * uint256(answerSeconds));
        Commitment storage stored = _commitments[order];
        if (stored.commitBlock != 0) revert ModelCommitment_AlreadyCommitted(order);
        _checkSignatures(order, participants, modelDigests, signatures);

        uint64 targetBlock = uint64(BlockHashes.current()) + seedDelayBlocks;
        stored.modelsDigest = OrderLists.digest(modelDigests);
        stored.commitBlock = uint64(BlockHashes.current());
        stored.targetBlock = targetBlock;
        stored.draws = 1;
        emit ModelsCommitted(order, modelDigests, signatures, targetBlock);
    }

    /// @inheritdoc IModelCommitment
    function drawSeed(bytes32 order) external returns (bytes32 seed) {
        Commitment storage stored = _requireUndrawn(order);
        uint64 targetBlock = stored.targetBlock;
        if (BlockHashes.current() <= targetBlock) revert ModelCommitment_TooEarly(order, targetBlock);
        _requireTimeLeft(order, answerSeconds);
        bytes32 hash = BlockHashes.of_(targetBlock);
        // Never from a hash that is none: everybody could have computed that seed before the commit.
        if (hash == 0) revert ModelCommitment_DrawMissed(order, targetBlock);

        seed = keccak256(abi.encode(order, stored.modelsDigest, hash));
        stored.seed = seed;
        emit SeedDrawn(order, seed, targetBlock, stored.draws);
    }

    /// @inheritdoc IModelCommitment
    function redraw(bytes32 order) external {
        Commitment storage stored = _requireUndrawn(order);
        uint64 missed = stored.targetBlock;
        if (BlockHashes.current() <= missed || BlockHashes.of_(missed) != 0) {
            revert ModelCommitment_NotMissed(order, missed);
        }
        _requireTimeLeft(order, answerSeconds);

        uint32 draws = stored.draws + 1;
        stored.draws = draws;
        stored.targetBlock = uint64(BlockHashes.current()) + seedDelayBlocks;
        emit SeedMissed(order, draws);

        escrow.cutBond(order);
    }

    /// @inheritdoc IModelCommitment
    function commitmentOf(bytes32 order) external view returns (Commitment memory) {
        return _commitments[order];
    }

    /// @inheritdoc IModelCommitment
    function couldSeedBeKnown(bytes32 order) external view returns (bool) {
        Commitment storage stored = _commitments[order];
        return stored.commitBlock != 0 && (stored.draws > 1 || BlockHashes.current() > stored.targetBlock);
    }

    function _checkOrder(bytes32 order, Participant[] calldata participants) private view {
        IOrderEscrow.Order memory found = escrow.orderOf(order);
        if (found.state != IOrderEscrow.State.Matched) revert ModelCommitment_NotMatched(order);
        if (OrderLists.digest(participants) != found.participantsDigest) {
            revert ModelCommitment_WrongParticipants(order);
        }
    }

    function _checkSignatures(
        bytes32 order,
        Participant[] calldata participants,
        bytes32[] calldata modelDigests,
        bytes[] calldata signatures
    ) private view {
        uint256 count = participants.length;
        if (modelDigests.length != count || signatures.length != count) {
            revert ModelCommitment_LengthMismatch(count, modelDigests.length, signatures.length);
        }
        for (uint256 i = 0; i < count; ++i) {
            bytes32 structHash = SignedMessages.modelCommitment(order, uint32(i), modelDigests[i]);
            if (!_isSignedBy(participants[i].contributor, structHash, signatures[i])) {
                revert ModelCommitment_InvalidSignature(i, participants[i].contributor);
            }
        }
    }

    function _requireUndrawn(bytes32 order) private view returns (Commitment storage stored) {
        stored = _commitments[order];
        if (stored.commitBlock == 0) revert ModelCommitment_NotCommitted(order);
        if (stored.seed != 0) revert ModelCommitment_AlreadyDrawn(order);
    }

    function _requireTimeLeft(bytes32 order, uint256 needed) private view {
        uint256 deliverBy = escrow.deliverByOf(order);
        if (block.timestamp + needed > deliverBy) {
            revert ModelCommitment_TooLate(order, block.timestamp + needed, deliverBy);
        }
    }
}

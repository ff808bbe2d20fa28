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

    mapping(bytes32 order => Commitment commitment) private _commitments;
    mapping(bytes32 order => Salts salts) private _salts;

    constructor(IOrderEscrow escrow_, uint64 seedDelayBlocks_) TesseraDomain(address(escrow_)) {
        if (seedDelayBlocks_ == 0 || seedDelayBlocks_ > _BLOCKHASH_WINDOW) {
            revert ModelCommitment_DelayOutOfRange(seedDelayBlocks_, 1, _BLOCKHASH_WINDOW);
        }
        escrow = escrow_;
        seedDelayBlocks = seedDelayBlocks_;
    }

    /// @inheritdoc IModelCommitment
    function commit(
        bytes32 order,
        Participant[] calldata participants,
        bytes32[] calldata modelDigests,
        bytes32[] calldata saltDigests,
        bytes[] calldata signatures
    ) external {
        _checkOrder(order, participants);
        _requireInTime(order);
        Commitment storage stored = _commitments[order];
        if (stored.commitBlock != 0) revert ModelCommitment_AlreadyCommitted(order);
        _checkSignatures(order, participants, modelDigests, saltDigests, signatures);

        uint64 targetBlock = uint64(BlockHashes.current()) + seedDelayBlocks;
        stored.modelsDigest = OrderLists.digest(modelDigests);
        _salts[order].saltsDigest = OrderLists.digest(saltDigests);
        stored.commitBlock = uint64(BlockHashes.current());
        stored.targetBlock = targetBlock;
        stored.draws = 1;
        emit ModelsCommitted(order, modelDigests, signatures, targetBlock);
        emit SaltsCommitted(order, saltDigests);

        escrow.prolong(order);
    }

    /// @inheritdoc IModelCommitment
    function fixHash(bytes32 order) external {
        _requireInTime(order);
        Commitment storage stored = _requireUndrawn(order);
        if (_salts[order].fixedHash != 0) revert ModelCommitment_AlreadyFixed(order);

        bytes32 hash = _hashOf(order, stored.targetBlock);
        _salts[order].fixedHash = hash;
        emit HashFixed(order, stored.targetBlock, hash);

        escrow.prolong(order);
    }

    /// @inheritdoc IModelCommitment
    function drawSeed(
        bytes32 order,
        bytes32[] calldata saltDigests,
        bytes32[] calldata salts
    ) external returns (bytes32 seed) {
        _requireInTime(order);
        Commitment storage stored = _requireUndrawn(order);
        Salts storage fixed_ = _salts[order];
        bytes32 hash = fixed_.fixedHash;
        if (hash == 0) hash = _hashOf(order, stored.targetBlock);
        if (OrderLists.digest(saltDigests) != fixed_.saltsDigest) revert ModelCommitment_WrongSaltDigests(order);
        _checkSalts(order, saltDigests, salts);

        seed = keccak256(abi.encode(order, stored.modelsDigest, hash, keccak256(abi.encodePacked(salts))));
        stored.seed = seed;
        emit SeedDrawn(order, seed, stored.targetBlock, stored.draws);
        emit SaltsRevealed(order, salts);

        escrow.prolong(order);
    }

    /// @inheritdoc IModelCommitment
    function redraw(bytes32 order) external {
        _requireInTime(order);
        Commitment storage stored = _requireUndrawn(order);
        if (_salts[order].fixedHash != 0) revert ModelCommitment_AlreadyFixed(order);
        uint64 missed = stored.targetBlock;
        if (BlockHashes.current() <= missed || BlockHashes.of_(missed) != 0) {
            revert ModelCommitment_NotMissed(order, missed);
        }

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
    function saltsOf(bytes32 order) external view returns (Salts memory) {
        return _salts[order];
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
        bytes32[] calldata saltDigests,
        bytes[] calldata signatures
    ) private view {
        uint256 count = participants.length;
        if (modelDigests.length != count || saltDigests.length != count || signatures.length != count) {
            revert ModelCommitment_LengthMismatch(
                count,
                modelDigests.length,
                saltDigests.length,
                signatures.length
            );
        }
        uint256 out = escrow.shardsOf(order).out;
        for (uint256 i = 0; i < count; ++i) {
            if ((out >> i) & 1 == 1) {
                bool isEmpty = modelDigests[i] == 0 && saltDigests[i] == 0 && signatures[i].length == 0;
                if (!isEmpty) revert ModelCommitment_ShardOut(i);
                continue;
            }
            address contributor = participants[i].contributor;
            bytes32 structHash = SignedMessages.modelCommitment(order, uint32(i), modelDigests[i], saltDigests[i]);
            if (!_isSignedBy(contributor, structHash, signatures[i])) {
                revert ModelCommitment_InvalidSignature(i, contributor);
            }
        }
    }

    /// @dev The salts' digests are those of the commit, one per participant.
    function _checkSalts(bytes32 order, bytes32[] calldata saltDigests, bytes32[] calldata salts) private view {
        if (salts.length != saltDigests.length) revert ModelCommitment_WrongSalt(order, salts.length);
        uint256 out = escrow.shardsOf(order).out;
        for (uint256 i = 0; i < salts.length; ++i) {
            if ((out >> i) & 1 == 1) {
                if (salts[i] != 0) revert ModelCommitment_ShardOut(i);
            } else if (SignedMessages.digestOfSalt(order, uint32(i), salts[i]) != saltDigests[i]) {
                revert ModelCommitment_WrongSalt(order, i);
            }
        }
    }

    /// @dev Never a hash that is none: everybody could have computed that seed before the commit.
    function _hashOf(bytes32 order, uint64 targetBlock) private view returns (bytes32 hash) {
        if (BlockHashes.current() <= targetBlock) revert ModelCommitment_TooEarly(order, targetBlock);
        hash = BlockHashes.of_(targetBlock);
        if (hash == 0) revert ModelCommitment_DrawMissed(order, targetBlock);
    }

    function _requireUndrawn(bytes32 order) private view returns (Commitment storage stored) {
        stored = _commitments[order];
        if (stored.commitBlock == 0) revert ModelCommitment_NotCommitted(order);
        if (stored.seed != 0) revert ModelCommitment_AlreadyDrawn(order);
    }

    function _requireInTime(bytes32 order) private view {
        uint256 deliverBy = escrow.deliverByOf(order);
        if (block.timestamp > deliverBy) revert ModelCommitment_TooLate(order, deliverBy);
    }
}

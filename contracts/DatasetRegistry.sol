// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {DatasetToken} from "./DatasetToken.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDemands} from "./interfaces/IDemands.sol";
import {IModelCommitment} from "./interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRoyalties} from "./interfaces/IRoyalties.sol";
import {DatasetTree} from "./types/DatasetTree.sol";
import {OrderLists} from "./types/OrderLists.sol";
import {OrderTerms, Participant} from "./types/OrderTerms.sol";
import {ShardReceipt, ShardReceipts} from "./types/ShardReceipt.sol";
import {SignedMessages} from "./types/SignedMessages.sol";
import {TesseraDomain} from "./types/TesseraDomain.sol";
import {WHOLE_BPS} from "./types/Units.sol";

/// @notice Described in {IDatasetRegistry}.
contract DatasetRegistry is DatasetToken, TesseraDomain {
    using ShardReceipts for ShardReceipt;

    /// @dev What publication derives from a record, carried between its steps.
    struct Derived {
        bytes32 order;
        bytes32 seed;
        bytes32 datasetRoot;
        bytes32 sharesDigest;
        uint64 rows;
        uint64 epsilonMicro;
        uint64 deltaE12;
        uint32 realFractionMicro;
        uint16 royaltyBps;
        uint16 depth;
        uint16 specVersion;
        uint256 out;
        bytes32[] shardDigests;
    }

    uint256 public constant MAX_PARENTS = 8;

    IOrderEscrow public immutable escrow;
    IModelCommitment public immutable commitment;

    /// @notice Data sets published so far; the newest id.
    uint256 public count;

    constructor(
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        address challenges_,
        address demands_,
        IRoyalties royalties_
    ) DatasetToken(challenges_, demands_, royalties_) TesseraDomain(address(escrow_)) {
        escrow = escrow_;
        commitment = commitment_;
    }

    /// @inheritdoc IDatasetRegistry
    function publish(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        DatasetRecord calldata record
    ) external returns (uint256 id) {
        Derived memory derived;
        derived.order = _orderId(terms);
        (derived.royaltyBps, derived.specVersion) = (terms.royaltyBps, terms.specVersion);
        _checkOrder(derived.order, terms.broker, participants);
        IOrderEscrow.Shards memory found = escrow.shardsOf(derived.order);
        (derived.out, derived.rows) = (found.out, terms.rows - found.droppedRows);
        _checkShape(derived.out, participants.length, record);
        derived.seed = _checkModels(derived.order, record.shards);
        _checkShards(derived, terms, participants, record.shards);
        derived.sharesDigest = OrderLists.digest(record.sharesBps);
        _checkEvaluations(derived, terms.minScoreMicro, participants, record);
        _checkLineage(derived, terms.parents, terms.ownRealMicro, record.parents);

        id = ++count;
        _store(id, derived, record);
        // Not _safeMint: a buyer that is a contract without a receiver hook would block its own delivery.
        _mint(terms.buyer, id);
        _log(id, derived, participants, record);

        escrow.markPublished(derived.order, derived.sharesDigest);
    }

    /// @dev Locked while a challenge may still give the buyer its money back: who buys the token meanwhile would have
    /// neither. Minting comes before the window opens.
    function _update(address to, uint256 id, address auth) internal override returns (address from) {
        from = super._update(to, id, auth);
        if (from == address(0)) return from;
        bytes32 order = _datasets[id].order;
        if (escrow.orderOf(order).state == IOrderEscrow.State.Published) {
            revert DatasetRegistry_WindowOpen(id, order);
        }
    }

    function _store(uint256 id, Derived memory derived, DatasetRecord calldata record) private {
        _datasets[id] = StoredDataset({
            order: derived.order,
            manifestDigest: record.manifestDigest,
            recordDigest: keccak256(
                abi.encode(
                    derived.order,
                    derived.seed,
                    derived.datasetRoot,
                    record.manifestDigest,
                    record.scoreDigest,
                    derived.specVersion,
                    derived.realFractionMicro,
                    record.parents,
                    record.sharesBps,
                    derived.shardDigests
                )
            ),
            datasetRoot: derived.datasetRoot,
            publishedAt: uint40(block.timestamp),
            rows: derived.rows,
            epsilonMicro: derived.epsilonMicro,
            realFractionMicro: derived.realFractionMicro,
            royaltyBps: derived.royaltyBps,
            depth: derived.depth,
            specVersion: derived.specVersion,
            status: Status.Valid
        });
        if (record.parents.length != 0) _parents[id] = record.parents;
    }

    function _log(
        uint256 id,
        Derived memory derived,
        Participant[] calldata participants,
        DatasetRecord calldata record
    ) private {
        _logDataset(id, derived, record);
        for (uint256 i = 0; i < participants.length; ++i) {
            if (_isOut(derived.out, i)) continue;
            address contributor = participants[i].contributor;
            ShardRecord calldata shard = record.shards[i];
            emit ShardRecorded(
                id,
                uint32(i),
                contributor,
                shard.modelDigest,
                shard.shardRoot,
                participants[i].rows,
                shard.epsilonMicro,
                shard.deltaE12,
                shard.contentDigest,
                shard.receipt
            );
            EvaluationRecord calldata evaluation = record.evaluations[i];
            if (evaluation.signature.length == 0) continue;
            emit EvaluationRecorded(id, contributor, evaluation.scoreMicro, evaluation.signature);
        }
    }

    function _logDataset(uint256 id, Derived memory derived, DatasetRecord calldata record) private {
        emit DatasetPublished(
            id,
            derived.order,
            record.manifestDigest,
            derived.datasetRoot,
            derived.seed,
            record.scoreDigest,
            derived.rows,
            derived.epsilonMicro,
            derived.deltaE12,
            derived.depth,
            derived.specVersion,
            derived.realFractionMicro,
            record.parents,
            record.sharesBps
        );
    }

    function _checkOrder(bytes32 order, address broker, Participant[] calldata participants) private view {
        if (msg.sender != broker) revert DatasetRegistry_Unauthorized(order, msg.sender);
        IOrderEscrow.Order memory found = escrow.orderOf(order);
        if (found.state != IOrderEscrow.State.Matched) revert DatasetRegistry_NotMatched(order);
        uint256 deliverBy = escrow.deliverByOf(order);
        if (block.timestamp > deliverBy) revert DatasetRegistry_TooLate(order, deliverBy);
        if (OrderLists.digest(participants) != found.participantsDigest) {
            revert DatasetRegistry_WrongParticipants(order);
        }
    }

    function _checkModels(bytes32 order, ShardRecord[] calldata shards) private view returns (bytes32 seed) {
        IModelCommitment.Commitment memory committed = commitment.commitmentOf(order);
        seed = committed.seed;
        if (seed == 0) revert DatasetRegistry_SeedNotDrawn(order);

        bytes32[] memory modelDigests = new bytes32[](shards.length);
        for (uint256 i = 0; i < shards.length; ++i) {
            modelDigests[i] = shards[i].modelDigest;
        }
        if (OrderLists.digest(modelDigests) != committed.modelsDigest) revert DatasetRegistry_WrongModels(order);
    }

    /// @dev Receipts and privacy of every shard; fills the root, the digests and the epsilon of the data set.
    function _checkShards(
        Derived memory derived,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        ShardRecord[] calldata shards
    ) private view {
        uint256 length = shards.length;
        bytes32[] memory roots = new bytes32[](length);
        derived.shardDigests = new bytes32[](length);
        bool allPrivate = true;
        for (uint256 i = 0; i < length; ++i) {
            ShardRecord calldata shard = shards[i];
            if (_isOut(derived.out, i)) {
                if (shard.shardRoot != 0 || shard.receipt.length != 0) revert DatasetRegistry_ShardOut(i);
                continue;
            }
            address contributor = participants[i].contributor;
            ShardReceipt memory receipt = _receiptOf(derived, i, participants[i].rows, shard);
            if (!receipt.keepsPrivacy(terms.epsilonMicro, terms.deltaE12)) {
                revert DatasetRegistry_PrivacyOutsideTerms(i, shard.epsilonMicro, shard.deltaE12);
            }
            bytes32 structHash = receipt.hash();
            if (!_isSignedBy(contributor, structHash, shard.receipt)) {
                revert DatasetRegistry_InvalidReceipt(i, contributor);
            }
            roots[i] = shard.shardRoot;
            derived.shardDigests[i] = keccak256(abi.encode(contributor, structHash));
            if (shard.epsilonMicro == 0) allPrivate = false;
            if (shard.epsilonMicro > derived.epsilonMicro) derived.epsilonMicro = shard.epsilonMicro;
            if (shard.deltaE12 > derived.deltaE12) derived.deltaE12 = shard.deltaE12;
        }
        if (!allPrivate) (derived.epsilonMicro, derived.deltaE12) = (0, 0);
        derived.datasetRoot = DatasetTree.root(roots);
    }

    /// @dev Evaluations for this very record from more than half of those that stand and did not fall silent; and the
    /// median of what is said of its root.
    function _checkEvaluations(
        Derived memory derived,
        uint256 minScoreMicro,
        Participant[] calldata participants,
        DatasetRecord calldata record
    ) private view {
        uint256[] memory scores = new uint256[](participants.length);
        uint256 heard = 0;
        uint256 signed = 0;
        uint256 voters = 0;
        for (uint256 i = 0; i < participants.length; ++i) {
            EvaluationRecord calldata evaluation = record.evaluations[i];
            if (_isOut(derived.out, i)) {
                if (evaluation.signature.length != 0) revert DatasetRegistry_ShardOut(i);
            } else if (evaluation.signature.length != 0) {
                _checkEvaluation(derived, i, participants[i].contributor, evaluation, record.scoreDigest);
                scores[heard] = evaluation.scoreMicro;
                ++heard;
                ++signed;
                ++voters;
            } else {
                IDemands.Excuse memory excuse = IDemands(demands).excuseOf(derived.order, uint32(i));
                if (excuse.absence == IDemands.Absence.None) {
                    revert DatasetRegistry_EvaluationMissing(i, participants[i].contributor);
                }
                if (excuse.absence == IDemands.Absence.Silent) continue;
                _checkShare(derived.rows, i, participants[i].rows, record.sharesBps[i]);
                ++voters;
                // Who disagrees about shares or score file is heard about the score all the same.
                if (excuse.datasetRoot != derived.datasetRoot) continue;
                scores[heard] = excuse.scoreMicro;
                ++heard;
            }
        }
        if (2 * signed <= voters) revert DatasetRegistry_NoQuorum(signed, voters);
        uint256 median = _median(scores, heard);
        if (median < minScoreMicro) revert DatasetRegistry_ScoreTooLow(median, minScoreMicro);
    }

    function _checkEvaluation(
        Derived memory derived,
        uint256 index,
        address contributor,
        EvaluationRecord calldata evaluation,
        bytes32 scoreDigest
    ) private view {
        bytes32 structHash = SignedMessages.evaluation(
            derived.order,
            derived.datasetRoot,
            evaluation.scoreMicro,
            derived.sharesDigest,
            scoreDigest
        );
        if (!_isSignedBy(contributor, structHash, evaluation.signature)) {
            revert DatasetRegistry_InvalidEvaluation(index, contributor);
        }
    }

    /// @dev Fills depth and real fraction from the parents, which must be those of the terms.
    function _checkLineage(
        Derived memory derived,
        bytes32 parentsDigest,
        uint256 ownRealMicro,
        uint256[] calldata parents
    ) private view {
        uint256 length = parents.length;
        bytes32 found = OrderLists.digest(parents);
        if (found != parentsDigest) revert DatasetRegistry_WrongParents(derived.order, found, parentsDigest);
        if (length > MAX_PARENTS) revert DatasetRegistry_TooManyParents(length, MAX_PARENTS);

        uint256 least = ownRealMicro;
        uint256 previous = 0;
        for (uint256 i = 0; i < length; ++i) {
            uint256 parent = parents[i];
            if (parent <= previous) revert DatasetRegistry_ParentsNotAscending(parent, previous);
            previous = parent;
            _checkParent(parent);
            uint16 next = _datasets[parent].depth + 1;
            if (next > derived.depth) derived.depth = next;
            least = Math.min(least, _datasets[parent].realFractionMicro);
        }
        // At most a million, as the escrow holds of the terms.
        derived.realFractionMicro = uint32(least);
    }

    /// @dev Settled: its window is closed, nobody can prove it false any more.
    function _checkParent(uint256 parent) private view {
        Status status = _datasets[parent].status;
        if (status != Status.Valid) revert DatasetRegistry_ParentNotValid(parent, status);
        IOrderEscrow.State state = escrow.orderOf(_datasets[parent].order).state;
        if (state != IOrderEscrow.State.Settled) revert DatasetRegistry_ParentNotSettled(parent, state);
    }

    function _checkShape(uint256 out, uint256 participants, DatasetRecord calldata record) private pure {
        if (
            record.shards.length != participants ||
            record.evaluations.length != participants ||
            record.sharesBps.length != participants
        ) {
            revert DatasetRegistry_LengthMismatch(
                participants,
                record.shards.length,
                record.evaluations.length,
                record.sharesBps.length
            );
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < participants; ++i) {
            uint256 share = record.sharesBps[i];
            if (share != 0 && _isOut(out, i)) revert DatasetRegistry_ShardOut(i);
            sum += share;
        }
        if (sum != WHOLE_BPS) revert DatasetRegistry_SharesMismatch(sum, WHOLE_BPS);
    }

    /// @dev Who did not sign the shares is not at the mercy of those who did.
    function _checkShare(uint256 allRows, uint256 index, uint256 rows, uint256 share) private pure {
        uint256 minimum = (WHOLE_BPS * rows) / (2 * allRows);
        if (share < minimum) revert DatasetRegistry_ShareTooSmall(index, share, minimum);
    }

    /// @dev The lower middle one of the first `heard` scores, of which there is at least one. Reorders them.
    function _median(uint256[] memory scores, uint256 heard) private pure returns (uint256) {
        // The unused places are zero: sorted, they stand first.
        return Arrays.sort(scores)[scores.length - heard + (heard - 1) / 2];
    }

    function _isOut(uint256 out, uint256 shard) private pure returns (bool) {
        return (out >> shard) & 1 == 1;
    }

    function _receiptOf(
        Derived memory derived,
        uint256 index,
        uint64 rows,
        ShardRecord calldata shard
    ) private pure returns (ShardReceipt memory) {
        return
            ShardReceipt({
                order: derived.order,
                shard: uint32(index),
                modelDigest: shard.modelDigest,
                seed: derived.seed,
                rows: rows,
                shardRoot: shard.shardRoot,
                epsilonMicro: shard.epsilonMicro,
                deltaE12: shard.deltaE12,
                contentDigest: shard.contentDigest
            });
    }
}

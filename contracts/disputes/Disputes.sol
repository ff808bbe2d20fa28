// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../interfaces/IDatasetRegistry.sol";
import {IDisputes} from "../interfaces/IDisputes.sol";
import {IModelCommitment} from "../interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "../interfaces/IOrderEscrow.sol";
import {DatasetTree} from "../types/DatasetTree.sol";
import {OrderLists} from "../types/OrderLists.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {TesseraDomain} from "../types/TesseraDomain.sol";

/// @notice The checks that stand before every challenge and demand: which order, in time, whose shard, which model.
abstract contract Disputes is IDisputes, TesseraDomain {
    IOrderEscrow public immutable escrow;
    IModelCommitment public immutable commitment;
    IDatasetRegistry public immutable datasets;

    constructor(
        IOrderEscrow escrow_,
        IModelCommitment commitment_,
        IDatasetRegistry datasets_
    ) TesseraDomain(address(escrow_)) {
        escrow = escrow_;
        commitment = commitment_;
        datasets = datasets_;
    }

    /// @dev A published order of this data set and these terms, inside its window.
    function _requireInWindow(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset
    ) internal view returns (bytes32 order, bytes32 datasetRoot) {
        order = _orderId(terms);
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(dataset);
        if (found.order != order) revert Disputes_OtherOrder(dataset, found.order, order);
        datasetRoot = found.datasetRoot;
        IOrderEscrow.State state = _requireParticipants(order, participants);
        if (state != IOrderEscrow.State.Published) revert Disputes_NotPublished(order, state);
        uint256 endsAt = escrow.windowOf(terms);
        if (block.timestamp > endsAt) revert Disputes_WindowClosed(order, endsAt);
    }

    function _requireParticipants(
        bytes32 order,
        Participant[] calldata participants
    ) internal view returns (IOrderEscrow.State) {
        IOrderEscrow.Order memory found = escrow.orderOf(order);
        if (OrderLists.digest(participants) != found.participantsDigest) revert Disputes_WrongParticipants(order);
        return found.state;
    }

    /// @return modelDigest of one shard.
    /// @return seed zero before the draw.
    function _requireModel(
        bytes32 order,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) internal view returns (bytes32 modelDigest, bytes32 seed) {
        IModelCommitment.Commitment memory committed = commitment.commitmentOf(order);
        if (OrderLists.digest(modelDigests) != committed.modelsDigest) revert Disputes_WrongModels(order);
        if (shard >= modelDigests.length) revert Disputes_UnknownShard(order, shard);
        return (modelDigests[shard], committed.seed);
    }

    function _requireShard(
        uint256 dataset,
        bytes32 datasetRoot,
        bytes32 shardRoot,
        uint32 shard,
        uint256 shards,
        bytes32[] calldata proof
    ) internal pure {
        if (!DatasetTree.includes(datasetRoot, shardRoot, shard, shards, proof)) {
            revert Disputes_WrongShardProof(dataset, shard);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "./IOrderEscrow.sol";

/// @title What challenges and demands check alike
interface IDisputes {
    /// @notice The data set was delivered for another order than these terms'.
    error Disputes_OtherOrder(uint256 dataset, bytes32 found, bytes32 expected);
    error Disputes_NotPublished(bytes32 order, IOrderEscrow.State state);
    /// @notice The window ended at chain time `endsAt`.
    error Disputes_WindowClosed(bytes32 order, uint256 endsAt);
    error Disputes_WrongParticipants(bytes32 order);
    error Disputes_UnknownShard(bytes32 order, uint32 shard);
    /// @notice These are not the digests (of models, or of salts) that were committed.
    error Disputes_WrongModels(bytes32 order);
    /// @notice The proof does not lead from this shard root to the data set's root.
    error Disputes_WrongShardProof(uint256 dataset, uint32 shard);
    /// @notice The bytes have another SHA-256 than the committed model.
    error Disputes_WrongModel(bytes32 found, bytes32 expected);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedValues} from "./exact/AllowedValues.sol";
import {ChunkShape} from "./exact/ChunkShape.sol";
import {ConditionBytes} from "./exact/ConditionBytes.sol";
import {ExactModel} from "./exact/ExactModel.sol";
import {ModelBound} from "./exact/ModelBound.sol";
import {ModelBytes} from "./exact/ModelBytes.sol";
import {ModelParts} from "./exact/ModelParts.sol";
import {ModelReader} from "./exact/ModelReader.sol";
import {RowFunction} from "./exact/RowFunction.sol";
import {RowNoise, RowNoiseMaker} from "./exact/RowNoise.sol";
import {Workspace} from "./exact/Workspace.sol";
import {IRowVerifier} from "./interfaces/IRowVerifier.sol";

/// @notice Described in {IRowVerifier}.
/// @dev Every function opens the workspace before anything else uses memory.
contract RowVerifier is IRowVerifier {
    /// @inheritdoc IRowVerifier
    function judge(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict verdict) {
        Workspace.open();
        return _judge(ModelBytes.load(model), model.length, conditions, query, chunk);
    }

    /// @inheritdoc IRowVerifier
    function judgeStored(
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict verdict) {
        Workspace.open();
        (uint256 ptr, uint256 length) = ModelParts.load(parts);
        return _judge(ptr, length, conditions, query, chunk);
    }

    /// @inheritdoc IRowVerifier
    function rowOf(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query
    ) external view returns (bytes memory row) {
        Workspace.open();
        uint256 ptr = ModelBytes.load(model);
        _requireDigest(ptr, model.length, query.modelDigest);
        (ExactModel memory read, bool ok) = ModelReader.read(ptr, model.length);
        if (!ok) revert RowVerifier_MalformedModel(query.modelDigest);
        uint256 shardRow = uint256(query.chunk) * ChunkShape.rowsPerChunk(read.rowWidth) + query.row;
        (row, ok) = _row(read, conditions, query, shardRow);
        if (!ok) revert RowVerifier_NoSuchRow(shardRow);
    }

    /// @inheritdoc IRowVerifier
    function isSound(bytes calldata model) external pure returns (bool sound) {
        Workspace.open();
        return _isSound(ModelBytes.load(model), model.length);
    }

    /// @inheritdoc IRowVerifier
    function isSoundStored(address[] calldata parts) external view returns (bool sound) {
        Workspace.open();
        (uint256 ptr, uint256 length) = ModelParts.load(parts);
        return _isSound(ptr, length);
    }

    /// @inheritdoc IRowVerifier
    function rowWidthOf(bytes calldata model) external pure returns (uint256 width) {
        Workspace.open();
        return _rowWidth(ModelBytes.load(model), model.length);
    }

    /// @inheritdoc IRowVerifier
    function rowWidthOfStored(address[] calldata parts) external view returns (uint256 width) {
        Workspace.open();
        (uint256 ptr, uint256 length) = ModelParts.load(parts);
        return _rowWidth(ptr, length);
    }

    /// @inheritdoc IRowVerifier
    function verify(
        bytes calldata prompt,
        bytes calldata aigcData,
        bytes calldata proof
    ) external view returns (bool success) {
        Workspace.open();
        if (prompt.length != 128) return false;
        (bytes32 digest, bytes32 seed, uint256 shard, uint256 row) = abi.decode(
            prompt,
            (bytes32, bytes32, uint256, uint256)
        );
        if (shard > type(uint32).max || row > type(uint64).max) return false;
        uint256 ptr = ModelBytes.load(proof);
        if (ModelBytes.digest(ptr, proof.length) != digest) return false;
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, proof.length);
        if (!ok) return false;
        RowNoise memory noise = RowNoiseMaker.open(digest, seed, uint32(shard), row, RowFunction.words(model));
        AllowedValues memory everything;
        bytes memory made;
        (made, ok) = RowFunction.make(model, noise, everything);
        return ok && keccak256(made) == keccak256(aigcData);
    }

    function _judge(
        uint256 ptr,
        uint256 length,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) private view returns (Verdict) {
        _requireDigest(ptr, length, query.modelDigest);
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, length);
        if (!ok) return Verdict.Malformed;
        uint256 width = model.rowWidth;
        uint256 perChunk = ChunkShape.rowsPerChunk(width);
        uint256 rows = ChunkShape.rowsIn(query.chunk, query.shardRows, perChunk);
        if (rows == 0 || chunk.length != rows * width) return Verdict.Differs;
        if (query.row >= rows) revert RowVerifier_RowOutsideChunk(query.row, rows);
        bytes memory row;
        (row, ok) = _row(model, conditions, query, uint256(query.chunk) * perChunk + query.row);
        uint256 start = query.row * width;
        bool same = ok && keccak256(row) == keccak256(chunk[start:start + width]);
        return same ? Verdict.Agrees : Verdict.Differs;
    }

    /// @dev `exists` is false where no such row can be.
    function _row(
        ExactModel memory model,
        bytes calldata conditions,
        RowQuery calldata query,
        uint256 shardRow
    ) private pure returns (bytes memory row, bool exists) {
        AllowedValues memory allowed;
        if (conditions.length != 0) {
            (allowed, exists) = ConditionBytes.read(
                ModelBytes.load(conditions),
                conditions.length,
                query.requestRow + shardRow,
                model.columns
            );
            if (!exists) return (row, false);
        }
        RowNoise memory noise = RowNoiseMaker.open(
            query.modelDigest,
            query.seed,
            query.shard,
            shardRow,
            RowFunction.words(model)
        );
        return RowFunction.make(model, noise, allowed);
    }

    function _rowWidth(uint256 ptr, uint256 length) private pure returns (uint256) {
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, length);
        return ok ? model.rowWidth : 0;
    }

    function _isSound(uint256 ptr, uint256 length) private pure returns (bool) {
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, length);
        return ok && ModelBound.holds(model);
    }

    function _requireDigest(uint256 ptr, uint256 length, bytes32 expected) private view {
        bytes32 found = ModelBytes.digest(ptr, length);
        if (found != expected) revert RowVerifier_WrongModel(found, expected);
    }
}

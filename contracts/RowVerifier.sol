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
import {PrefixSteps, RowMaker} from "./exact/RowMaker.sol";
import {RowNoise, RowNoiseMaker} from "./exact/RowNoise.sol";
import {SizeClass} from "./exact/SizeClass.sol";
import {Workspace} from "./exact/Workspace.sol";
import {IRowVerifier} from "./interfaces/IRowVerifier.sol";

/// @notice Described in {IRowVerifier}.
/// @dev Every function opens the workspace before anything else uses memory.
contract RowVerifier is IRowVerifier {
    using RowFunction for RowMaker;
    using SizeClass for PrefixSteps;

    /// @dev `sizeClass` of terms that promise models inside the class.
    uint8 private constant _IN_CLASS = 1;

    /// @inheritdoc IRowVerifier
    function judge(
        bytes calldata model,
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict verdict, uint256 rowWidth) {
        Workspace.open();
        (uint256 ptr, uint256 length) = _load(model, parts);
        return _judge(ptr, length, conditions, query, chunk);
    }

    /// @inheritdoc IRowVerifier
    function tryAttempts(
        bytes calldata model,
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        uint256 count
    ) external view returns (uint256 attempt) {
        Workspace.open();
        (uint256 ptr, uint256 length) = _load(model, parts);
        (RowMaker memory maker, , bool exists) = _make(ptr, length, conditions, query);
        if (!exists || query.attempt >= RowFunction.ATTEMPTS) return RowFunction.ATTEMPTS;
        uint256 left = RowFunction.ATTEMPTS - query.attempt;
        return maker.firstMet(query.attempt, query.attempt + (count < left ? count : left));
    }

    /// @inheritdoc IRowVerifier
    function rowOf(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query
    ) external view returns (bytes memory row) {
        Workspace.open();
        (RowMaker memory maker, uint256 shardRow, bool exists) = _make(
            ModelBytes.load(model),
            model.length,
            conditions,
            query
        );
        if (!exists || maker.firstMet(query.attempt, RowFunction.ATTEMPTS) >= RowFunction.ATTEMPTS) {
            revert RowVerifier_NoSuchRow(shardRow);
        }
        return maker.encode();
    }

    /// @inheritdoc IRowVerifier
    function judgeModel(
        bytes calldata model,
        address[] calldata parts,
        bytes32 schemaDigest,
        uint8 sizeClass
    ) external view returns (Verdict verdict) {
        Workspace.open();
        (uint256 ptr, uint256 length) = _load(model, parts);
        verdict = _judgeHeader(ptr, length, schemaDigest, sizeClass);
        if (verdict != Verdict.Agrees) return verdict;
        (ExactModel memory read, bool ok) = ModelReader.read(ptr, length);
        return ok && ModelBound.holds(read) ? Verdict.Agrees : Verdict.Malformed;
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
        RowMaker memory maker;
        (maker, ok) = RowFunction.open(model, noise, everything);
        return ok && maker.firstMet(0, 1) == 0 && keccak256(maker.encode()) == keccak256(aigcData);
    }

    function _judge(
        uint256 ptr,
        uint256 length,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) private view returns (Verdict verdict, uint256 width) {
        _requireDigest(ptr, length, query.modelDigest);
        verdict = _judgeHeader(ptr, length, query.schemaDigest, query.sizeClass);
        if (verdict != Verdict.Agrees) return (verdict, 0);
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, length);
        if (!ok) return (Verdict.Malformed, 0);
        width = model.rowWidth;
        uint256 perChunk = ChunkShape.rowsPerChunk(width);
        uint256 rows = ChunkShape.rowsIn(query.chunk, query.shardRows, perChunk);
        if (rows == 0 || chunk.length != rows * width) return (Verdict.Differs, width);
        if (query.row >= rows) revert RowVerifier_RowOutsideChunk(query.row, rows);
        verdict = _judgeRow(model, conditions, query, uint256(query.chunk) * perChunk + query.row, chunk);
    }

    function _judgeRow(
        ExactModel memory model,
        bytes calldata conditions,
        RowQuery calldata query,
        uint256 shardRow,
        bytes calldata chunk
    ) private pure returns (Verdict) {
        (RowMaker memory maker, bool ok) = _open(model, conditions, query, shardRow);
        if (!ok) return Verdict.Differs;
        if (query.sizeClass == _IN_CLASS && !maker.prefix.isInClass()) return Verdict.OutsideClass;
        if (maker.firstMet(query.attempt, RowFunction.ATTEMPTS) >= RowFunction.ATTEMPTS) return Verdict.Differs;
        uint256 start = query.row * model.rowWidth;
        bool same = keccak256(maker.encode()) == keccak256(chunk[start:start + model.rowWidth]);
        return same ? Verdict.Agrees : Verdict.Differs;
    }

    function _make(
        uint256 ptr,
        uint256 length,
        bytes calldata conditions,
        RowQuery calldata query
    ) private view returns (RowMaker memory maker, uint256 shardRow, bool exists) {
        _requireDigest(ptr, length, query.modelDigest);
        (ExactModel memory model, bool ok) = ModelReader.read(ptr, length);
        if (!ok) revert RowVerifier_MalformedModel(query.modelDigest);
        shardRow = uint256(query.chunk) * ChunkShape.rowsPerChunk(model.rowWidth) + query.row;
        (maker, exists) = _open(model, conditions, query, shardRow);
    }

    /// @dev Ready for attempts; `exists` is false where no such row can be.
    function _open(
        ExactModel memory model,
        bytes calldata conditions,
        RowQuery calldata query,
        uint256 shardRow
    ) private pure returns (RowMaker memory maker, bool exists) {
        AllowedValues memory allowed;
        if (conditions.length != 0) {
            (allowed, exists) = ConditionBytes.read(
                ModelBytes.load(conditions),
                conditions.length,
                query.requestRow + shardRow,
                model.columns
            );
            if (!exists) return (maker, false);
        }
        RowNoise memory noise = RowNoiseMaker.open(
            query.modelDigest,
            query.seed,
            query.shard,
            shardRow,
            RowFunction.words(model)
        );
        return RowFunction.open(model, noise, allowed);
    }

    /// @dev `Agrees` for bytes shorter than a header: the reader refuses them.
    function _judgeHeader(
        uint256 ptr,
        uint256 length,
        bytes32 schemaDigest,
        uint8 sizeClass
    ) private pure returns (Verdict) {
        if (length < ModelReader.HEADER) return Verdict.Agrees;
        if (sizeClass == _IN_CLASS && !SizeClass.holds(ptr, length)) return Verdict.OutsideClass;
        return ModelReader.schemaDigest(ptr) == schemaDigest ? Verdict.Agrees : Verdict.OtherSchema;
    }

    function _load(
        bytes calldata model,
        address[] calldata parts
    ) private view returns (uint256 ptr, uint256 length) {
        if (model.length == 0) return ModelParts.load(parts);
        return (ModelBytes.load(model), model.length);
    }

    function _requireDigest(uint256 ptr, uint256 length, bytes32 expected) private view {
        bytes32 found = ModelBytes.digest(ptr, length);
        if (found != expected) revert RowVerifier_WrongModel(found, expected);
    }
}

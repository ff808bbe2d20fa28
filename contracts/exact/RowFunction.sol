// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {AutoregressiveRow} from "./AutoregressiveRow.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {MlpRow} from "./MlpRow.sol";
import {RowMaker} from "./RowMaker.sol";
import {RowNoise, RowNoiseMaker} from "./RowNoise.sol";
import {Workspace} from "./Workspace.sol";

/// @notice row = G(model, seed, shard, row number), with conditions (docs/spec/rows.md, docs/spec/conditions.md).
library RowFunction {
    using AllowedRanges for AllowedValues;
    using Codebook for ExactModel;
    using RowNoiseMaker for RowNoise;

    uint256 private constant _ATTEMPTS = 64;

    /// @notice The bytes of the row; `exists` is false if its number is too large for the noise counter, if a
    /// conditioned column allows none of its codes, or if no attempt meets the conditions.
    function make(
        ExactModel memory model,
        RowNoise memory noise,
        AllowedValues memory allowed
    ) internal pure returns (bytes memory row, bool exists) {
        if (!noise.exists() || !_canBeMet(model, allowed)) return (row, false);
        RowMaker memory maker;
        maker.model = model;
        maker.noise = noise;
        maker.allowed = allowed;
        maker.values = new uint256[](model.columns);
        bool mlp = model.architecture == 1;
        if (mlp) MlpRow.prepare(maker);
        else AutoregressiveRow.prepare(maker);
        for (uint256 attempt = 0; attempt < _ATTEMPTS; ++attempt) {
            noise.draw(attempt);
            if (mlp ? MlpRow.attempt(maker) : AutoregressiveRow.attempt(maker)) return (_encode(maker), true);
        }
        return (row, false);
    }

    /// @notice Noise words of a row.
    function words(ExactModel memory model) internal pure returns (uint256) {
        return model.latentWords() + model.columns;
    }

    /// @dev Rule 7 of docs/spec/conditions.md.
    function _canBeMet(ExactModel memory model, AllowedValues memory allowed) private pure returns (bool) {
        for (uint256 column = 0; column < model.columns; ++column) {
            if (!allowed.names(column)) continue;
            uint256 code = model.firstCodes[column];
            uint256 end = model.firstCodes[column + 1];
            for (; code < end; ++code) {
                (uint256 low, uint256 width) = model.range(code);
                if (allowed.count(column, low, width) != 0) break;
            }
            if (code == end) return false;
        }
        return true;
    }

    /// @dev Rule 15 of docs/spec/rows.md.
    function _encode(RowMaker memory maker) private pure returns (bytes memory row) {
        ExactModel memory model = maker.model;
        uint256 ptr = Workspace.reserve(32 + model.rowWidth);
        uint256 length = model.rowWidth;
        // A bytes array: its length, then the bytes. `reserve` leaves a spare word for the last store below.
        assembly ("memory-safe") {
            row := ptr
            mstore(row, length)
        }
        ptr += 32;
        for (uint256 column = 0; column < model.columns; ++column) {
            uint256 bytes_ = model.valueWidth(column);
            uint256 value = maker.values[column];
            // The value's low bytes at the front of a word; what the store writes behind them is overwritten by the
            // next column.
            assembly ("memory-safe") {
                mstore(ptr, shl(sub(256, shl(3, bytes_)), value))
            }
            unchecked {
                ptr += bytes_;
            }
        }
    }
}

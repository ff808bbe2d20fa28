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

    /// @notice Attempts that a row has.
    uint256 internal constant ATTEMPTS = 64;

    /// @notice All that attempts at the row need; `exists` is false if its number is too large for the noise counter,
    /// or if a conditioned column allows none of its codes: then no attempt makes it.
    function open(
        ExactModel memory model,
        RowNoise memory noise,
        AllowedValues memory allowed
    ) internal pure returns (RowMaker memory maker, bool exists) {
        if (!noise.exists() || !_canBeMet(model, allowed)) return (maker, false);
        maker.model = model;
        maker.noise = noise;
        maker.allowed = allowed;
        maker.values = new uint256[](model.columns);
        if (model.architecture == 1) MlpRow.prepare(maker);
        else AutoregressiveRow.prepare(maker);
        exists = true;
    }

    /// @notice The first of the attempts `from` .. `end` - 1 that meets the conditions, its values in `maker`; `end` if
    /// none does.
    function firstMet(RowMaker memory maker, uint256 from, uint256 end) internal pure returns (uint256 attempt) {
        bool mlp = maker.model.architecture == 1;
        for (attempt = from; attempt < end; ++attempt) {
            maker.noise.draw(attempt);
            if (mlp ? MlpRow.attempt(maker) : AutoregressiveRow.attempt(maker)) return attempt;
        }
    }

    /// @notice Noise words of a row.
    function words(ExactModel memory model) internal pure returns (uint256) {
        return model.latentWords() + model.columns;
    }

    /// @notice The bytes of the values of the attempt that was made last (docs/spec/rows.md, rule 15).
    function encode(RowMaker memory maker) internal pure returns (bytes memory row) {
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
}

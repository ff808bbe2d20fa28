// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActivationBuffer, Activations} from "./Activations.sol";
import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {BigEndian} from "./BigEndian.sol";
import {CodeDraw} from "./CodeDraw.sol";
import {ColumnValues} from "./ColumnValues.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {Layers} from "./Layers.sol";
import {RowMaker} from "./RowMaker.sol";
import {Workspace} from "./Workspace.sol";

/// @notice Architecture 1: one network from latent noise to the logits of all columns.
library MlpRow {
    using ActivationBuffer for Activations;
    using AllowedRanges for AllowedValues;
    using Codebook for ExactModel;
    using ColumnValues for RowMaker;

    /// @notice Reserves what a row needs besides its noise.
    function prepare(RowMaker memory maker) internal pure {
        ExactModel memory model = maker.model;
        uint256 widest = 0;
        for (uint256 layer = 0; layer < model.depth; ++layer) {
            uint256 width = BigEndian.u16(model.widthsAt + 2 * layer);
            if (width > widest) widest = width;
        }
        maker.x = ActivationBuffer.reserve(widest > model.inputs ? widest : model.inputs);
        for (uint256 column = 0; column < model.columns; ++column) {
            uint256 count = model.codeCount(column);
            if (count > widest) widest = count;
        }
        maker.sums = Workspace.reserve(4 * widest + 32);
        maker.weights = Workspace.reserve(32 * widest);
    }

    /// @notice Makes the row of the noise that has been drawn. Stops at the first conditioned column that is not met.
    function attempt(RowMaker memory maker) internal pure returns (bool met) {
        ExactModel memory model = maker.model;
        _latent(maker);
        uint256 ptr = model.bodyAt;
        uint256 inputs = model.inputs;
        unchecked {
            for (uint256 layer = 0; layer < model.depth; ++layer) {
                uint256 width = BigEndian.u16(model.widthsAt + 2 * layer);
                Layers.hidden(maker.x, ptr, width, model.aMax, maker.sums);
                ptr += width * inputs + 5 * width;
                inputs = width;
            }
        }
        // Conditioned columns first: most attempts end there, before the other columns' weights are touched.
        return _columns(maker, true) && _columns(maker, false);
    }

    /// @dev Rule 5 of docs/spec/rows.md: byte j of the row's first words, low bytes first, looked up in NORMAL.
    function _latent(RowMaker memory maker) private pure {
        uint256 inputs = maker.model.inputs;
        uint256 words = maker.noise.words;
        uint256 out = maker.x.end;
        uint256 table = Workspace.NORMAL;
        // Input j goes to the byte before input j - 1. `word` loses its lowest byte each time; a new one is loaded
        // after eight.
        assembly ("memory-safe") {
            let word := 0
            for {
                let j := 0
            } lt(j, inputs) {
                j := add(j, 1)
            } {
                if iszero(and(j, 7)) {
                    word := mload(words)
                    words := add(words, 32)
                }
                out := sub(out, 1)
                mstore8(out, byte(0, mload(add(table, and(word, 0xff)))))
                word := shr(8, word)
            }
        }
        maker.x.set(inputs);
    }

    /// @dev Draws either the conditioned columns or the others.
    function _columns(RowMaker memory maker, bool conditioned) private pure returns (bool met) {
        for (uint256 column = 0; column < maker.model.columns; ++column) {
            if (maker.allowed.names(column) != conditioned) continue;
            if (!_column(maker, column)) return false;
        }
        return true;
    }

    function _column(RowMaker memory maker, uint256 column) private pure returns (bool met) {
        ExactModel memory model = maker.model;
        unchecked {
            uint256 first = model.firstCodes[column];
            uint256 count = model.codeCount(column);
            uint256 shifts = model.lastAt + model.codes * maker.x.inputs;
            int256 largest = Layers.output(
                maker.x,
                model.lastAt + first * maker.x.inputs,
                shifts + first,
                shifts + model.codes + 4 * first,
                count,
                maker.sums,
                maker.weights
            );
            uint256 sum = CodeDraw.weigh(maker.weights, count, largest);
            uint256 noise = maker.word(column);
            return maker.set(column, first + CodeDraw.pick(maker.weights, sum, noise), noise);
        }
    }
}

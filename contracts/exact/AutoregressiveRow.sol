// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActivationBuffer} from "./Activations.sol";
import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {AutoregressiveStep} from "./AutoregressiveStep.sol";
import {CodeDraw} from "./CodeDraw.sol";
import {ColumnValues} from "./ColumnValues.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {PrefixDraw} from "./PrefixDraw.sol";
import {RowMaker} from "./RowMaker.sol";
import {RunningVector, RunningVectors} from "./RunningVector.sol";
import {Workspace} from "./Workspace.sol";

/// @notice Architecture 2: column after column in the model's draw order.
library AutoregressiveRow {
    using AllowedRanges for AllowedValues;
    using AutoregressiveStep for RowMaker;
    using Codebook for ExactModel;
    using ColumnValues for RowMaker;
    using RunningVectors for RunningVector;

    /// @notice Reserves what a row needs besides its noise.
    function prepare(RowMaker memory maker) internal pure {
        ExactModel memory model = maker.model;
        uint256 widest = model.neurons;
        maker.x = ActivationBuffer.reserve(widest > model.inputs ? widest : model.inputs);
        for (uint256 column = 0; column < model.columns; ++column) {
            uint256 count = model.codeCount(column);
            if (count > widest) widest = count;
        }
        maker.sums = Workspace.reserve(4 * widest + 32);
        maker.weights = Workspace.reserve(32 * widest);
        maker.running = RunningVectors.reserve(model.inputs);
        if (maker.allowed.counts.length != 0) PrefixDraw.prepare(maker);
    }

    /// @notice Makes the row of the noise that has been drawn. Stops at the first conditioned column that is not met.
    function attempt(RowMaker memory maker) internal pure returns (bool met) {
        uint256 vector = maker.running.ptr;
        uint256 columns = maker.model.columns;
        maker.running.reset();
        unchecked {
            for (uint256 step = 0; step < columns; ++step) {
                uint256 code;
                (code, met) = step < maker.prefix.steps ? _drawPrefix(maker, step) : _draw(maker, step);
                if (!met) return false;
                if (step + 1 < columns) maker.move(vector, code, vector);
            }
        }
        return true;
    }

    function _draw(RowMaker memory maker, uint256 step) private pure returns (uint256 code, bool met) {
        uint256 column = maker.model.columnOf(step);
        uint256 noise = maker.word(column);
        uint256 sum = maker.weigh(step, maker.running.ptr, maker.weights);
        unchecked {
            code = maker.model.firstCodes[column] + CodeDraw.pick(maker.weights, sum, noise);
        }
        met = maker.set(column, code, noise);
    }

    function _drawPrefix(RowMaker memory maker, uint256 step) private pure returns (uint256 code, bool met) {
        uint256 column = maker.model.columnOf(step);
        uint256 noise = maker.word(column);
        uint256 weights;
        uint256 sum;
        if (step == 0 && maker.prefix.firstSum != 0) {
            weights = maker.prefix.frames[0] + RunningVectors.bytesOf(maker.model.inputs);
            sum = maker.prefix.firstSum;
        } else {
            (weights, sum, ) = PrefixDraw.weigh(maker, step, maker.running.ptr);
            if (step == 0) maker.prefix.firstSum = sum;
        }
        unchecked {
            code = maker.model.firstCodes[column] + CodeDraw.pick(weights, sum, noise);
        }
        if (!maker.allowed.names(column)) return (code, maker.set(column, code, noise));
        maker.setAllowed(column, code, noise);
        return (code, true);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {AutoregressiveStep} from "./AutoregressiveStep.sol";
import {BigEndian} from "./BigEndian.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {PrefixSteps, RowMaker} from "./RowMaker.sol";
import {RunningVectors} from "./RunningVector.sol";
import {Workspace} from "./Workspace.sol";

/// @notice The prefix steps of a conditioned row of architecture 2 (docs/spec/conditions.md, rules 6 to 10).
/// @dev Products: factors and chances are at most 2^32, weights at most 2^20, so nothing passes 2^96.
library PrefixDraw {
    using AllowedRanges for AllowedValues;
    using AutoregressiveStep for RowMaker;
    using Codebook for ExactModel;

    uint256 private constant _MAX_STATES = 256;

    /// @notice Counts the prefix steps and their work, computes the factors of their codes and reserves their frames.
    function prepare(RowMaker memory maker) internal pure {
        ExactModel memory model = maker.model;
        PrefixSteps memory prefix = maker.prefix;
        prefix.factorsAt = Workspace.reserve(32 * model.codes);
        uint256 states = 1;
        uint256 evaluations = 1;
        uint256 work = 0;
        unchecked {
            for (uint256 step = 0; step < model.columns && states <= _MAX_STATES; ++step) {
                uint256 column = model.columnOf(step);
                work += evaluations * _workOf(model, column);
                if (maker.allowed.names(column)) {
                    prefix.steps = step + 1;
                    prefix.work = work;
                }
                uint256 count = _setFactors(maker, column);
                states *= count;
                // Once from the start of every step up to this one, for each state its codes leave.
                evaluations = evaluations * count + 1;
            }
            prefix.frames = new uint256[](prefix.steps);
            for (uint256 step = 0; step < prefix.steps; ++step) {
                uint256 count = model.codeCount(model.columnOf(step));
                prefix.frames[step] = Workspace.reserve(RunningVectors.bytesOf(model.inputs) + 32 * count);
            }
        }
    }

    /// @notice Writes the weights of the codes of prefix step `step` from the running vector at `from`.
    /// @return weights where they stand; they know the conditions up to the last prefix step.
    /// @return met their sum.
    /// @return all the sum of all codes' weights without conditions.
    function weigh(
        RowMaker memory maker,
        uint256 step,
        uint256 from
    ) internal pure returns (uint256 weights, uint256 met, uint256 all) {
        unchecked {
            weights = maker.prefix.frames[step] + RunningVectors.bytesOf(maker.model.inputs);
            all = maker.weigh(step, from, weights);
            uint256 column = maker.model.columnOf(step);
            uint256 code = maker.model.firstCodes[column];
            uint256 factors = maker.prefix.factorsAt + 32 * code;
            bool isLast = step + 1 == maker.prefix.steps;
            uint256 end = weights + 32 * maker.model.codeCount(column);
            for (uint256 ptr = weights; ptr < end; ptr += 32) {
                uint256 share = BigEndian.word(factors);
                if (share != 0 && !isLast) share = _share(maker, step, from, code, share);
                share *= BigEndian.word(ptr);
                BigEndian.put(ptr, share);
                met += share;
                factors += 32;
                ++code;
            }
        }
    }

    /// @dev Rule 9: the factor of an allowed code, times the chance that the later prefix steps are met after it.
    function _share(
        RowMaker memory maker,
        uint256 step,
        uint256 from,
        uint256 code,
        uint256 factor
    ) private pure returns (uint256 share) {
        unchecked {
            uint256 after_ = maker.prefix.frames[step + 1];
            maker.move(from, code, after_);
            (, uint256 met, uint256 all) = weigh(maker, step + 1, after_);
            // Rule 9 takes a chance of 0 for 1, and a share of 0 for 1; of two times one the first changes nothing.
            share = (factor * (met / all)) >> 32;
            return share == 0 ? 1 : share;
        }
    }

    /// @dev Of one evaluation of the step that draws `column`. Widths count in whole words of 32 inputs.
    function _workOf(ExactModel memory model, uint256 column) private pure returns (uint256) {
        unchecked {
            uint256 inputs = (model.inputs + 31) & ~uint256(31);
            uint256 neurons = (model.neurons + 31) & ~uint256(31);
            uint256 count = model.codeCount(column);
            return
                5 * (inputs * model.neurons + neurons * count) + 70 * inputs + 80 * neurons + 500 * count + 4000;
        }
    }

    /// @dev Rule 6 for the codes of one column. Returns how many of them are allowed.
    function _setFactors(RowMaker memory maker, uint256 column) private pure returns (uint256 allowedCodes) {
        bool free = !maker.allowed.names(column);
        unchecked {
            uint256 end = maker.model.firstCodes[column + 1];
            uint256 factors = maker.prefix.factorsAt;
            for (uint256 code = maker.model.firstCodes[column]; code < end; ++code) {
                (uint256 low, uint256 width) = maker.model.range(code);
                uint256 count = free ? width : maker.allowed.count(column, low, width);
                BigEndian.put(factors + 32 * code, (count << 32) / width);
                if (count != 0) ++allowedCodes;
            }
        }
    }
}

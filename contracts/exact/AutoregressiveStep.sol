// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeDraw} from "./CodeDraw.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {Layers} from "./Layers.sol";
import {RowMaker} from "./RowMaker.sol";
import {RunningVector, RunningVectors} from "./RunningVector.sol";

/// @notice One step of architecture 2 (docs/spec/rows.md, rules 11 to 14).
library AutoregressiveStep {
    using Codebook for ExactModel;
    using RunningVectors for RunningVector;

    /// @notice Writes at `to` the weights of the codes of step `step`, from the running vector at `from`.
    function weigh(
        RowMaker memory maker,
        uint256 step,
        uint256 from,
        uint256 to
    ) internal pure returns (uint256 sum) {
        ExactModel memory model = maker.model;
        unchecked {
            uint256 ptr = model.steps[step];
            maker.running.activate(from, ptr, model.aMax, maker.x);
            ptr += 4 * model.inputs;
            Layers.hidden(maker.x, ptr, model.neurons, model.aMax, maker.sums);
            ptr += model.neurons * model.inputs + 5 * model.neurons;
            uint256 count = model.codeCount(model.columnOf(step));
            uint256 shifts = ptr + count * model.neurons;
            int256 largest = Layers.output(maker.x, ptr, shifts, shifts + count, count, maker.sums, to);
            return CodeDraw.weigh(to, count, largest);
        }
    }

    /// @notice Writes at `to` the running vector at `from` after `code`, counted among all codes, was drawn.
    function move(RowMaker memory maker, uint256 from, uint256 code, uint256 to) internal pure {
        unchecked {
            maker.running.add(from, maker.model.lastAt + code * maker.model.inputs, to);
        }
    }
}

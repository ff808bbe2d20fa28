// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activations} from "./Activations.sol";
import {AllowedValues} from "./AllowedValues.sol";
import {ExactModel} from "./ExactModel.sol";
import {RowNoise} from "./RowNoise.sol";
import {RunningVector} from "./RunningVector.sol";

/// @notice All that making one row needs, reserved once.
struct RowMaker {
    ExactModel model;
    RowNoise noise;
    AllowedValues allowed;
    Activations x;
    /// Address of the dot products of a layer, four bytes each.
    uint256 sums;
    /// Address of the logits, then weights of a column, a word each.
    uint256 weights;
    /// The row's values, by column.
    uint256[] values;
    /// Architecture 2 only.
    RunningVector running;
    PrefixSteps prefix;
}

/// @notice The prefix steps of architecture 2 (docs/spec/conditions.md, rule 8).
struct PrefixSteps {
    uint256 steps;
    /// Address of the allowed share of each of the D codes in 2^32ths (rule 6), a word each.
    uint256 factorsAt;
    /// For each prefix step: address of its running vector, and after it of its codes' weights.
    uint256[] frames;
    /// Sum of the weights of step 0, which no attempt changes; 0 until they are known.
    uint256 firstSum;
    /// What all evaluations of one attempt cost (docs/spec/conditions.md, "Work").
    uint256 work;
}

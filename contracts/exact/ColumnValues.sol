// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {BigEndian} from "./BigEndian.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {RowMaker} from "./RowMaker.sol";

/// @notice From a column's code to its value, and whether the value meets the conditions.
library ColumnValues {
    using AllowedRanges for AllowedValues;
    using Codebook for ExactModel;

    /// @notice The noise word of a column.
    function word(RowMaker memory maker, uint256 column) internal pure returns (uint256) {
        unchecked {
            return BigEndian.word(maker.noise.words + 32 * (maker.model.latentWords() + column));
        }
    }

    /// @notice Sets the column's value by rule 10 of docs/spec/rows.md. `code` counts among all codes.
    /// @return met whether the value is allowed.
    function set(
        RowMaker memory maker,
        uint256 column,
        uint256 code,
        uint256 noise
    ) internal pure returns (bool met) {
        (uint256 low, uint256 width) = maker.model.range(code);
        unchecked {
            uint256 value = low + (((noise >> 32) * width) >> 32);
            maker.values[column] = value;
            return !maker.allowed.names(column) || maker.allowed.holds(column, value);
        }
    }

    /// @notice Sets the value of a conditioned column of a prefix step by rule 11 of docs/spec/conditions.md.
    function setAllowed(RowMaker memory maker, uint256 column, uint256 code, uint256 noise) internal pure {
        (uint256 low, uint256 width) = maker.model.range(code);
        unchecked {
            uint256 count = maker.allowed.count(column, low, width);
            uint256 number = ((noise >> 32) * count) >> 32;
            maker.values[column] = maker.allowed.pick(column, low, number);
        }
    }
}

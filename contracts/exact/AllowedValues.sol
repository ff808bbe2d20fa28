// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";

/// @notice The values that the rows of one segment may take, by column. A column without ranges is not conditioned.
struct AllowedValues {
    /// Address of the column's ranges in memory: u32 low, u32 high, inclusive, ascending.
    uint256[] ranges;
    uint256[] counts;
}

library AllowedRanges {
    /// @notice Whether a column is conditioned. Nothing is when there are no conditions at all.
    function names(AllowedValues memory allowed, uint256 column) internal pure returns (bool) {
        return allowed.counts.length != 0 && allowed.counts[column] != 0;
    }

    /// @notice Whether `value` of a conditioned column is allowed.
    function holds(AllowedValues memory allowed, uint256 column, uint256 value) internal pure returns (bool) {
        uint256 i = _firstFrom(allowed, column, value);
        if (i == allowed.counts[column]) return false;
        (uint256 low, ) = _range(allowed, column, i);
        return low <= value;
    }

    /// @notice How many of the values low .. low + width - 1 of a conditioned column are allowed.
    function count(
        AllowedValues memory allowed,
        uint256 column,
        uint256 low,
        uint256 width
    ) internal pure returns (uint256 total) {
        unchecked {
            uint256 end = low + width;
            for (uint256 i = _firstFrom(allowed, column, low); i < allowed.counts[column]; ++i) {
                (uint256 from, uint256 to) = _clipped(allowed, column, i, low, end);
                if (from >= to) break;
                total += to - from;
            }
        }
    }

    /// @notice Allowed value number `number`, from 0, among low .. low + width - 1 of a conditioned column.
    /// @dev `number` is below `count` of the same values.
    function pick(
        AllowedValues memory allowed,
        uint256 column,
        uint256 low,
        uint256 width,
        uint256 number
    ) internal pure returns (uint256 value) {
        unchecked {
            for (uint256 i = _firstFrom(allowed, column, low); ; ++i) {
                (uint256 from, uint256 to) = _clipped(allowed, column, i, low, low + width);
                if (number < to - from) return from + number;
                number -= to - from;
            }
        }
    }

    /// @dev The first range that ends at `value` or later, by halving; the number of ranges if none does.
    function _firstFrom(
        AllowedValues memory allowed,
        uint256 column,
        uint256 value
    ) private pure returns (uint256 first) {
        unchecked {
            uint256 end = allowed.counts[column];
            while (first < end) {
                uint256 middle = (first + end) / 2;
                (, uint256 high) = _range(allowed, column, middle);
                if (high < value) first = middle + 1;
                else end = middle;
            }
        }
    }

    /// @dev The part of a range inside low .. end - 1, as from .. to - 1; empty if from >= to.
    function _clipped(
        AllowedValues memory allowed,
        uint256 column,
        uint256 i,
        uint256 low,
        uint256 end
    ) private pure returns (uint256 from, uint256 to) {
        (from, to) = _range(allowed, column, i);
        unchecked {
            ++to;
        }
        if (from < low) from = low;
        if (to > end) to = end;
    }

    function _range(
        AllowedValues memory allowed,
        uint256 column,
        uint256 i
    ) private pure returns (uint256 low, uint256 high) {
        unchecked {
            uint256 both = BigEndian.word(allowed.ranges[column] + 8 * i);
            return (both >> 224, (both >> 192) & type(uint32).max);
        }
    }
}

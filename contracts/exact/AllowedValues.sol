// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";

/// @notice The values that the rows of one segment may take, by column. A column without ranges is not conditioned.
struct AllowedValues {
    /// Address of the column's ranges in memory: u32 low, u32 high, inclusive, ascending.
    uint256[] ranges;
    uint256[] counts;
    /// Address of how many values stand in the ranges before each, a word a range, and in all of them at the end.
    uint256[] sums;
}

library AllowedRanges {
    /// @notice Whether a column is conditioned. Nothing is when there are no conditions at all.
    function names(AllowedValues memory allowed, uint256 column) internal pure returns (bool) {
        return allowed.counts.length != 0 && allowed.counts[column] != 0;
    }

    /// @notice Sets the ranges of a column, `number` at `ptr`.
    function set(AllowedValues memory allowed, uint256 column, uint256 ptr, uint256 number) internal pure {
        uint256[] memory sums = new uint256[](number + 1);
        uint256 at;
        // The numbers stand behind the array's length.
        assembly ("memory-safe") {
            at := add(sums, 32)
        }
        (allowed.ranges[column], allowed.counts[column], allowed.sums[column]) = (ptr, number, at);
        unchecked {
            uint256 total = 0;
            for (uint256 i = 0; i < number; ++i) {
                at += 32;
                total += BigEndian.u32(ptr + 4) + 1 - BigEndian.u32(ptr);
                BigEndian.put(at, total);
                ptr += 8;
            }
        }
    }

    /// @notice Whether `value` of a conditioned column is allowed.
    function holds(AllowedValues memory allowed, uint256 column, uint256 value) internal pure returns (bool) {
        return count(allowed, column, value, 1) != 0;
    }

    /// @notice How many of the values low .. low + width - 1 of a conditioned column are allowed.
    function count(
        AllowedValues memory allowed,
        uint256 column,
        uint256 low,
        uint256 width
    ) internal pure returns (uint256 total) {
        unchecked {
            return _below(allowed, column, low + width) - _below(allowed, column, low);
        }
    }

    /// @notice Allowed value number `number`, from 0, among low .. of a conditioned column.
    /// @dev There are more than `number` of them.
    function pick(
        AllowedValues memory allowed,
        uint256 column,
        uint256 low,
        uint256 number
    ) internal pure returns (uint256 value) {
        unchecked {
            number += _below(allowed, column, low);
            uint256 sums = allowed.sums[column];
            uint256 first = 0;
            uint256 end = allowed.counts[column];
            // The last range before which at most `number` values stand.
            while (first + 1 < end) {
                uint256 middle = (first + end) >> 1;
                if (BigEndian.word(sums + 32 * middle) <= number) first = middle;
                else end = middle;
            }
            return BigEndian.u32(allowed.ranges[column] + 8 * first) + number - BigEndian.word(sums + 32 * first);
        }
    }

    /// @dev How many allowed values are below `value`.
    function _below(AllowedValues memory allowed, uint256 column, uint256 value) private pure returns (uint256) {
        unchecked {
            uint256 ranges = allowed.ranges[column];
            uint256 number = allowed.counts[column];
            uint256 first = 0;
            uint256 end = number;
            // The first range that ends at `value` or later, by halving.
            while (first < end) {
                uint256 middle = (first + end) >> 1;
                if (BigEndian.u32(ranges + 8 * middle + 4) < value) first = middle + 1;
                else end = middle;
            }
            uint256 before = BigEndian.word(allowed.sums[column] + 32 * first);
            if (first == number) return before;
            uint256 low = BigEndian.u32(ranges + 8 * first);
            return low < value ? before + value - low : before;
        }
    }
}

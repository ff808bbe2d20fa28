// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedValues} from "./AllowedValues.sol";
import {BigEndian} from "./BigEndian.sol";
import {IRowVerifier} from "../interfaces/IRowVerifier.sol";

/// @notice Reads the conditions of an order in bytes (docs/spec/conditions.md, rules 2 to 5 and "In bytes").
/// @dev Reverts on bytes that are no conditions: the buyer has signed their digest, so only a mistake brings them here.
/// All numbers are below 2^50.
library ConditionBytes {
    uint256 private constant _MAX_SEGMENTS = 4096;
    uint256 private constant _MAX_RANGES = 65_536;
    uint256 private constant _MAX_ROWS = 1 << 32;
    uint256 private constant _SPREAD = 40_503;

    /// @notice What row `row` of the request may hold in a model of `columns` columns. The bytes stand in memory.
    /// @return allowed by column; empty if the row's segment names no column.
    /// @return exists false if there is no such row, or the segment names a column that the model does not have.
    function read(
        uint256 ptr,
        uint256 length,
        uint256 row,
        uint256 columns
    ) internal pure returns (AllowedValues memory allowed, bool exists) {
        unchecked {
            uint256 rows = _totalRows(ptr, ptr + length);
            if (row >= rows) return (allowed, false);
            uint256 place = mulmod(row, _stride(rows), rows);
            uint256 segment = ptr + 2;
            while (place >= BigEndian.u32(segment)) {
                place -= BigEndian.u32(segment);
                segment = _next(segment, ptr + length, ptr);
            }
            return _segment(segment, columns, ptr);
        }
    }

    /// @dev Walks the whole structure once.
    function _totalRows(uint256 ptr, uint256 end) private pure returns (uint256 rows) {
        unchecked {
            _require(ptr + 2 <= end, 0);
            uint256 segments = BigEndian.u16(ptr);
            _require(segments != 0 && segments <= _MAX_SEGMENTS, 0);
            uint256 segment = ptr + 2;
            for (uint256 i = 0; i < segments; ++i) {
                _require(segment + 6 <= end, segment - ptr);
                uint256 count = BigEndian.u32(segment);
                _require(count != 0, segment - ptr);
                rows += count;
                segment = _next(segment, end, ptr);
            }
            _require(segment == end && rows <= _MAX_ROWS, segment - ptr);
        }
    }

    /// @dev The segment after the one at `segment`.
    function _next(uint256 segment, uint256 end, uint256 start) private pure returns (uint256 ptr) {
        unchecked {
            uint256 columns = BigEndian.u16(segment + 4);
            ptr = segment + 6;
            for (uint256 i = 0; i < columns; ++i) {
                _require(ptr + 6 <= end, ptr - start);
                uint256 ranges = BigEndian.u32(ptr + 2);
                _require(ranges != 0 && ranges <= _MAX_RANGES, ptr - start);
                ptr += 6 + 8 * ranges;
                _require(ptr <= end, ptr - start);
            }
        }
    }

    /// @dev The smallest number from floor(rows * 40503 / 65536) on, and from 1 on, that has no divisor in common with
    /// `rows`.
    function _stride(uint256 rows) private pure returns (uint256 stride) {
        unchecked {
            stride = (rows * _SPREAD) / 65_536;
            if (stride == 0) stride = 1;
            while (!_coprime(stride, rows)) ++stride;
        }
    }

    function _coprime(uint256 a, uint256 b) private pure returns (bool) {
        while (b != 0) (a, b) = (b, a % b);
        return a == 1;
    }

    function _segment(
        uint256 ptr,
        uint256 columns,
        uint256 start
    ) private pure returns (AllowedValues memory allowed, bool exists) {
        unchecked {
            uint256 conditioned = BigEndian.u16(ptr + 4);
            if (conditioned == 0) return (allowed, true);
            allowed.ranges = new uint256[](columns);
            allowed.counts = new uint256[](columns);
            ptr += 6;
            uint256 next = 0;
            for (uint256 i = 0; i < conditioned; ++i) {
                uint256 column = BigEndian.u16(ptr);
                uint256 count = BigEndian.u32(ptr + 2);
                _require(column >= next, ptr - start);
                if (column >= columns) return (allowed, false);
                next = column + 1;
                allowed.ranges[column] = ptr + 6;
                allowed.counts[column] = count;
                ptr = _checkRanges(ptr + 6, count, start);
            }
            return (allowed, true);
        }
    }

    /// @dev Ranges ascend with a gap between any two (rule 3). Returns where they end.
    function _checkRanges(uint256 ptr, uint256 count, uint256 start) private pure returns (uint256 end) {
        unchecked {
            end = ptr + 8 * count;
            uint256 least = 0;
            for (; ptr < end; ptr += 8) {
                uint256 low = BigEndian.u32(ptr);
                uint256 high = BigEndian.u32(ptr + 4);
                _require(low >= least && high >= low, ptr - start);
                least = high + 2;
            }
        }
    }

    function _require(bool holds, uint256 position) private pure {
        if (!holds) revert IRowVerifier.RowVerifier_MalformedConditions(position);
    }
}

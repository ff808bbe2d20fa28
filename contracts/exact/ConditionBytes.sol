// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedRanges, AllowedValues} from "./AllowedValues.sol";
import {BigEndian} from "./BigEndian.sol";
import {SizeClass} from "./SizeClass.sol";

/// @notice Reads the conditions of an order in bytes (docs/spec/conditions.md, rules 2 to 5 and "In bytes").
/// @dev All numbers are below 2^50. Bytes behind the end are read, but count for nothing.
library ConditionBytes {
    using AllowedRanges for AllowedValues;

    uint256 private constant _MAX_SEGMENTS = 4096;
    uint256 private constant _MAX_RANGES = 65_536;
    uint256 private constant _MAX_ROWS = 1 << 32;
    uint256 private constant _SPREAD = 40_503;
    uint256 private constant _NOWHERE = type(uint256).max;

    /// @notice The conditions break docs/spec/conditions.md ("In bytes") at this byte.
    error ConditionBytes_Malformed(uint256 position);
    error ConditionBytes_TooLong(uint256 length, uint256 most);
    /// @notice The segments hold another number of rows than the order.
    error ConditionBytes_OtherRows(uint256 found, uint256 expected);

    /// @notice Reverts unless `data` are conditions of an order's rows that the chain can read: well-formed, for `rows`
    /// rows, and at most `SizeClass.MAX_CONDITION_BYTES` long.
    function check(bytes memory data, uint256 rows) internal pure {
        if (data.length > SizeClass.MAX_CONDITION_BYTES) {
            revert ConditionBytes_TooLong(data.length, SizeClass.MAX_CONDITION_BYTES);
        }
        uint256 ptr;
        // The bytes stand behind the array's length.
        assembly ("memory-safe") {
            ptr := add(data, 32)
        }
        (uint256 total, uint256 position) = _scan(ptr, ptr + data.length);
        if (position != _NOWHERE) revert ConditionBytes_Malformed(position);
        if (total != rows) revert ConditionBytes_OtherRows(total, rows);
    }

    /// @notice What row `row` of the request may hold in a model of `columns` columns. The bytes stand in memory.
    /// @return allowed by column; empty if the row's segment names no column.
    /// @return exists false if the bytes are no conditions, there is no such row, or the segment names a column that
    /// the model does not have.
    function read(
        uint256 ptr,
        uint256 length,
        uint256 row,
        uint256 columns
    ) internal pure returns (AllowedValues memory allowed, bool exists) {
        unchecked {
            (uint256 rows, uint256 position) = _scan(ptr, ptr + length);
            if (position != _NOWHERE || row >= rows) return (allowed, false);
            uint256 place = mulmod(row, _stride(rows), rows);
            uint256 segment = ptr + 2;
            while (place >= BigEndian.u32(segment)) {
                place -= BigEndian.u32(segment);
                segment = _next(segment);
            }
            return _segment(segment, columns);
        }
    }

    /// @dev Walks everything once. `position`: where the first rule is broken, or `_NOWHERE`.
    function _scan(uint256 start, uint256 end) private pure returns (uint256 rows, uint256 position) {
        unchecked {
            uint256 segments = BigEndian.u16(start);
            if (start + 2 > end || segments == 0 || segments > _MAX_SEGMENTS) return (0, 0);
            uint256 ptr = start + 2;
            for (uint256 i = 0; i < segments; ++i) {
                uint256 count = BigEndian.u32(ptr);
                if (ptr + 6 > end || count == 0) return (0, ptr - start);
                rows += count;
                uint256 columns = BigEndian.u16(ptr + 4);
                uint256 next = 0;
                ptr += 6;
                for (uint256 k = 0; k < columns; ++k) {
                    uint256 column = BigEndian.u16(ptr);
                    uint256 ranges = BigEndian.u32(ptr + 2);
                    if (ptr + 6 > end || column < next) return (0, ptr - start);
                    if (ranges == 0 || ranges > _MAX_RANGES) return (0, ptr - start);
                    next = column + 1;
                    ptr += 6;
                    if (ptr + 8 * ranges > end) return (0, ptr - start);
                    bool fine;
                    (ptr, fine) = _scanRanges(ptr, ptr + 8 * ranges);
                    if (!fine) return (0, ptr - start);
                }
            }
            position = ptr != end || rows > _MAX_ROWS ? ptr - start : _NOWHERE;
        }
    }

    /// @dev Ranges ascend with a gap between any two (rule 3). `ptr`: their end, or the first that does not.
    function _scanRanges(uint256 from, uint256 end) private pure returns (uint256 ptr, bool fine) {
        unchecked {
            uint256 least = 0;
            for (ptr = from; ptr < end; ptr += 8) {
                uint256 low = BigEndian.u32(ptr);
                uint256 high = BigEndian.u32(ptr + 4);
                if (low < least || high < low) return (ptr, false);
                least = high + 2;
            }
            return (ptr, true);
        }
    }

    /// @dev The segment after the one at `segment`.
    function _next(uint256 segment) private pure returns (uint256 ptr) {
        unchecked {
            uint256 columns = BigEndian.u16(segment + 4);
            ptr = segment + 6;
            for (uint256 i = 0; i < columns; ++i) {
                ptr += 6 + 8 * BigEndian.u32(ptr + 2);
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
        uint256 columns
    ) private pure returns (AllowedValues memory allowed, bool exists) {
        unchecked {
            uint256 conditioned = BigEndian.u16(ptr + 4);
            if (conditioned == 0) return (allowed, true);
            allowed.ranges = new uint256[](columns);
            allowed.counts = new uint256[](columns);
            allowed.sums = new uint256[](columns);
            ptr += 6;
            for (uint256 i = 0; i < conditioned; ++i) {
                uint256 column = BigEndian.u16(ptr);
                uint256 count = BigEndian.u32(ptr + 2);
                if (column >= columns) return (allowed, false);
                allowed.set(column, ptr + 6, count);
                ptr += 6 + 8 * count;
            }
            return (allowed, true);
        }
    }
}

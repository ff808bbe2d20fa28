// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AllowedRanges, AllowedValues} from "../../../contracts/exact/AllowedValues.sol";
import {ConditionBytes} from "../../../contracts/exact/ConditionBytes.sol";
import {TestBase} from "../support/TestBase.sol";

/// @notice Segments of rows by the shared vectors; counts and places of allowed values by trying them all; what an order
/// may send as conditions.
contract ConditionBytesTest is TestBase {
    using AllowedRanges for AllowedValues;

    function test_SegmentsAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/conditions.json");
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at(".segments", count)); ++count) {
            string memory item = _at(".segments", count);
            bytes memory data = _segments(json, string.concat(item, ".counts"));
            for (uint256 k = 0; vm.keyExistsJson(json, _at(string.concat(item, ".rows"), k)); ++k) {
                uint256 row = vm.parseJsonUint(json, _at(string.concat(item, ".rows"), k));
                uint256 expected = vm.parseJsonUint(json, _at(string.concat(item, ".segments"), k));
                (AllowedValues memory allowed, bool exists) = _read(data, row);
                assertTrue(exists, item);
                assertTrue(allowed.holds(0, expected) && allowed.count(0, 0, 99) == 1, item);
            }
        }
        assertEq(count, 5, "vectors read");
    }

    /// @dev docs/spec/conditions.md: at most 4,096 segments. Each has one row here and conditions nothing.
    function test_TakesAsManySegmentsAsThereMayBeAndNoMore() public pure {
        (, bool exists) = _read(_bare(4_096), 4_095);
        assertTrue(exists, "the last row");
        (, exists) = _read(_bare(4_097), 0);
        assertTrue(!exists, "one too many");
    }

    // -- conditions of an order, B4 -----------------------------------------------------------------------------

    function test_RevertWhen_AnOrdersConditionsAreNone() public {
        _refuses("", 0);
        _refuses(hex"00", 0);
        _refuses(hex"0000", 0);
        _refuses(hex"1001", 0);
        // a segment of no rows, one that is cut off, a byte too many
        _refuses(hex"0001000000000000", 2);
        _refuses(hex"00010000001e", 2);
        _refuses(hex"00010000001e000000", 8);
        // a column cut off, without ranges, with ranges cut off
        _refuses(hex"00010000001e00010000", 8);
        _refuses(hex"00010000001e0001000000000000", 8);
        _refuses(hex"00010000001e0001000000000001000000000000", 14);
        // ranges that are empty, touch; a column twice
        _refuses(hex"00010000001e00010000000000010000000200000001", 14);
        _refuses(hex"00010000001e0001000000000002000000000000000100000002000000ff", 22);
        _refuses(hex"00010000001e000200000000000100000000000000010000000000010000000000000001", 22);
    }

    /// @dev The second segment's ranges touch, and no row of the first is asked for.
    function test_RevertWhen_ASegmentThatNoRowAskedForIsMalformed() public {
        bytes memory first = hex"00020000001e0000";
        _refuses(bytes.concat(first, hex"0000001e0001000000000002000000000000000100000002000000ff"), 28);
    }

    function test_RevertWhen_TheSegmentsHoldAnotherNumberOfRows() public {
        vm.expectRevert(abi.encodeWithSelector(ConditionBytes.ConditionBytes_OtherRows.selector, 30, 31));
        this.check(hex"00010000001e0000", 31);
    }

    /// @dev Measured before: 65,536 ranges, 15.7 M gas of calldata in every challenge, were an order's.
    function test_RevertWhen_AnOrdersConditionsAreLongerThan8192Bytes() public {
        bytes memory longest = _ranges(1_022);
        assertEq(longest.length, 8_190, "bytes");
        this.check(longest, 30);
        assertAtMost(vm.lastCallGas().gasTotalUsed, 500_000, "gas of the longest");
        bytes memory longer = _ranges(1_023);
        vm.expectRevert(abi.encodeWithSelector(ConditionBytes.ConditionBytes_TooLong.selector, 8_198, 8_192));
        this.check(longer, 30);
    }

    function check(bytes calldata data, uint256 rows) external pure {
        ConditionBytes.check(data, rows);
    }

    function _refuses(bytes memory data, uint256 position) private {
        vm.expectRevert(abi.encodeWithSelector(ConditionBytes.ConditionBytes_Malformed.selector, position));
        this.check(data, 30);
    }

    /// @dev Thirty rows with one column in this many ranges.
    function _ranges(uint32 count) private pure returns (bytes memory data) {
        data = abi.encodePacked(hex"00010000001e00010000", count);
        for (uint32 k = 0; k < count; ++k) data = bytes.concat(data, abi.encodePacked(2 * k, 2 * k));
    }

    function _bare(uint256 segments) private pure returns (bytes memory data) {
        data = new bytes(2 + 6 * segments);
        (data[0], data[1]) = (bytes1(uint8(segments >> 8)), bytes1(uint8(segments)));
        for (uint256 k = 0; k < segments; ++k) {
            data[2 + 6 * k + 3] = 0x01;
        }
    }

    function testFuzz_CountsAndPicksWhatIsAllowed(uint8 a, uint8 b, uint8 c, uint8 low, uint8 width) public pure {
        // three ranges with gaps
        uint32 first = a;
        uint32 second = first + 2 + b;
        uint32 third = second + 5 + c;
        bytes memory data = abi.encodePacked(hex"0001000000010001000000000003", first, first);
        (AllowedValues memory allowed, ) = _read(
            bytes.concat(data, abi.encodePacked(second, second + 3, third, third + c)),
            0
        );
        uint256 number = 0;
        for (uint256 value = low; value < uint256(low) + width; ++value) {
            bool inside =
                value == first ||
                    (value >= second && value <= second + 3) ||
                    (value >= third && value <= third + c);
            assertTrue(allowed.holds(0, value) == inside, "holds");
            if (inside) assertEq(allowed.pick(0, low, number++), value, "pick");
        }
        assertEq(allowed.count(0, low, width), number, "count");
    }

    /// @dev One segment for each count, which allows its own number in column 0.
    function _segments(string memory json, string memory list) private view returns (bytes memory data) {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at(list, count)); ++count) {
            uint32 rows = uint32(vm.parseJsonUint(json, _at(list, count)));
            bytes memory column = abi.encodePacked(uint16(0), uint32(1), uint32(count), uint32(count));
            data = bytes.concat(data, abi.encodePacked(rows, uint16(1)), column);
        }
        return bytes.concat(abi.encodePacked(uint16(count)), data);
    }

    function _read(bytes memory data, uint256 row) private pure returns (AllowedValues memory, bool) {
        uint256 start;
        // Where the bytes of the array stand.
        assembly ("memory-safe") {
            start := add(data, 32)
        }
        return ConditionBytes.read(start, data.length, row, 1);
    }

    function _at(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", text(index), "]");
    }
}

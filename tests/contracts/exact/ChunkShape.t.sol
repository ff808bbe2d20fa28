// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkShape} from "../../../contracts/exact/ChunkShape.sol";
import {TestBase} from "../support/TestBase.sol";

/// @notice Rule 1 of docs/spec/merkle.md.
contract ChunkShapeTest is TestBase {
    function test_RowsPerChunkAreThoseOfTheSpecification() public pure {
        uint32[7] memory widths = [uint32(1), 20, 32, 33, 4_096, 4_097, 65_535];
        uint32[7] memory rows = [uint32(4_096), 128, 128, 64, 1, 1, 1];
        for (uint256 k = 0; k < 7; ++k) {
            assertEq(ChunkShape.rowsPerChunk(widths[k]), rows[k], "rows per chunk");
        }
    }

    function testFuzz_RowsPerChunkIsTheLargestPowerOfTwoThatFits(uint256 width) public pure {
        width = bound(width, 1, 20_000);
        uint256 rows = ChunkShape.rowsPerChunk(width);
        assertEq(rows & (rows - 1), 0, "a power of two");
        assertTrue(rows == 1 || rows * width <= 4096, "fits");
        assertTrue(2 * rows * width > 4096, "is the largest");
    }

    function testFuzz_ChunksHoldAllRowsOnce(uint64 shardRows, uint256 power, uint64 chunk) public pure {
        uint256 perChunk = 1 << bound(power, 0, 12);
        uint256 rows = ChunkShape.rowsIn(chunk, shardRows, perChunk);
        uint256 before = uint256(chunk) * perChunk;
        uint256 left = before >= shardRows ? 0 : shardRows - before;
        assertEq(rows, left < perChunk ? left : perChunk, "rows");
    }
}

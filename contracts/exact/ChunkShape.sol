// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Which rows a chunk holds (docs/spec/merkle.md, rule 1).
library ChunkShape {
    uint256 private constant _CHUNK_BYTES = 4096;

    /// @notice The largest power of two p with p * rowWidth <= 4,096, and 1 if a row is wider.
    function rowsPerChunk(uint256 rowWidth) internal pure returns (uint256 rows) {
        rows = 1;
        while (2 * rows * rowWidth <= _CHUNK_BYTES) rows *= 2;
    }

    /// @notice How many rows chunk `chunk` of a shard of `shardRows` rows holds; 0 past the end.
    function rowsIn(uint256 chunk, uint256 shardRows, uint256 perChunk) internal pure returns (uint256 rows) {
        uint256 before = chunk * perChunk;
        if (before >= shardRows) return 0;
        rows = shardRows - before;
        if (rows > perChunk) rows = perChunk;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice SHA-256 Merkle root over shard roots, in the tree shape of RFC 9162, section 2.1.1.
library DatasetTree {
    /// @notice Root of a data set.
    /// @dev Leaf: SHA-256(0x00 || u64 shard index || shard root); node: SHA-256(0x01 || left || right). Pairing level
    /// by level and lifting an odd last node unchanged gives the same tree as splitting at the largest power of two
    /// below n. Overwrites `shardRoots`.
    /// @param shardRoots at least one; the caller checks.
    function root(bytes32[] memory shardRoots) internal pure returns (bytes32) {
        uint256 width = shardRoots.length;
        for (uint256 i = 0; i < width; ++i) {
            shardRoots[i] = sha256(abi.encodePacked(uint8(0), uint64(i), shardRoots[i]));
        }
        while (width > 1) {
            uint256 pairs = width / 2;
            for (uint256 i = 0; i < pairs; ++i) {
                shardRoots[i] = sha256(abi.encodePacked(uint8(1), shardRoots[2 * i], shardRoots[2 * i + 1]));
            }
            if (width % 2 == 1) shardRoots[pairs] = shardRoots[width - 1];
            width = pairs + (width % 2);
        }
        return shardRoots[0];
    }
}

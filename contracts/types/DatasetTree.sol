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

    /// @notice Whether `shardRoot` is shard number `index` of the `count` shards under `datasetRoot`.
    /// @dev RFC 9162, section 2.1.3.2. Index and count fix the length of the proof and the side of every sibling.
    /// @param proof siblings from the leaf up.
    function includes(
        bytes32 datasetRoot,
        bytes32 shardRoot,
        uint256 index,
        uint256 count,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (index >= count) return false;
        uint256 last = count - 1;
        bytes32 node = sha256(abi.encodePacked(uint8(0), uint64(index), shardRoot));
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (index % 2 == 1 || index == last) {
                node = sha256(abi.encodePacked(uint8(1), proof[i], node));
                // A lifted node has no sibling on the levels that it skips.
                while (index % 2 == 0 && index != 0) (index, last) = (index / 2, last / 2);
            } else {
                node = sha256(abi.encodePacked(uint8(1), node, proof[i]));
            }
            (index, last) = (index / 2, last / 2);
        }
        return last == 0 && node == datasetRoot;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Inclusion of a chunk of rows under a shard root (docs/spec/merkle.md).
library ShardTree {
    /// @notice Root that chunk `index` with these bytes has by this path, whatever the shape of the tree.
    /// @dev Free of shape, and still sound: a leaf binds its index and differs from a node in its first byte, so that
    /// under an honest root every path that fits leads to an honest chunk in its own place. A dishonest signer may
    /// have signed any tree; whatever leaf lies under it is its own statement, and a leaf out of place convicts it.
    /// @param path siblings from the leaf up.
    /// @param sides bit k is 1 when sibling k stands left.
    function rootOf(
        uint64 index,
        bytes calldata chunk,
        bytes32[] calldata path,
        uint256 sides
    ) internal pure returns (bytes32 node) {
        node = sha256(abi.encodePacked(uint8(0), index, chunk));
        for (uint256 i = 0; i < path.length; ++i) {
            node =
                (sides >> i) & 1 == 1
                    ? sha256(abi.encodePacked(uint8(1), path[i], node))
                    : sha256(abi.encodePacked(uint8(1), node, path[i]));
        }
    }

    /// @notice The path that leaf `index` of a tree over `count` leaves has.
    /// @param index below `count`.
    /// @return length siblings from the leaf up.
    /// @return sides bit k is 1 when sibling k stands left.
    function shapeOf(uint256 index, uint256 count) internal pure returns (uint256 length, uint256 sides) {
        for (uint256 last = count - 1; last != 0; (index, last) = (index / 2, last / 2)) {
            // The last node of an odd level is lifted and has no sibling there.
            if (index % 2 == 0 && index == last) continue;
            if (index % 2 == 1) sides |= 1 << length;
            ++length;
        }
    }
}

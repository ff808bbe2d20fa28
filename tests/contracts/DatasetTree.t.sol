// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetTree} from "../../contracts/types/DatasetTree.sol";
import {ShardTree} from "../../contracts/types/ShardTree.sol";
import {TestBase} from "./support/TestBase.sol";

contract DatasetTreeTest is TestBase {
    function includes(
        bytes32 root,
        bytes32 shardRoot,
        uint256 index,
        uint256 count,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return DatasetTree.includes(root, shardRoot, index, count, proof);
    }

    function rootOf(
        uint64 index,
        bytes calldata chunk,
        bytes32[] calldata path,
        uint256 sides
    ) external pure returns (bytes32) {
        return ShardTree.rootOf(index, chunk, path, sides);
    }

    function test_RootOfOneShardIsItsLeaf() public pure {
        bytes32[] memory roots = new bytes32[](1);
        roots[0] = sha256("only");
        bytes32 leaf = sha256(abi.encodePacked(bytes1(0), uint64(0), sha256("only")));
        assertEq(DatasetTree.root(roots), leaf, "root");
    }

    function testFuzz_HasTheShapeOfRfc9162(uint256 count, bytes32 salt) public pure {
        bytes32[] memory roots = new bytes32[](bound(count, 1, 40));
        bytes32[] memory leaves = new bytes32[](roots.length);
        for (uint256 k = 0; k < roots.length; ++k) {
            roots[k] = sha256(abi.encode(salt, k));
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), roots[k]));
        }
        assertEq(DatasetTree.root(roots), _split(leaves, 0, leaves.length), "root");
    }

    /// @dev The definition: split at the largest power of two below the width.
    function _split(bytes32[] memory leaves, uint256 from, uint256 to) private pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 half = 1;
        while (half * 2 < to - from) half *= 2;
        bytes32 left = _split(leaves, from, from + half);
        return sha256(abi.encodePacked(bytes1(0x01), left, _split(leaves, from + half, to)));
    }

    /// @dev Siblings by the definition: split at the largest power of two, go down to the leaf.
    function _siblings(
        bytes32[] memory leaves,
        uint256 index
    ) private pure returns (bytes32[] memory path, uint256 sides) {
        bytes32[] memory found = new bytes32[](32);
        bool[] memory left = new bool[](32);
        uint256 length = 0;
        (uint256 from, uint256 to) = (0, leaves.length);
        for (; to - from > 1; ++length) {
            uint256 half = 1;
            while (half * 2 < to - from) half *= 2;
            left[length] = index >= from + half;
            found[length] = left[length] ? _split(leaves, from, from + half) : _split(leaves, from + half, to);
            if (left[length]) from += half;
            else to = from + half;
        }
        path = new bytes32[](length);
        for (uint256 k = 0; k < length; ++k) {
            path[k] = found[length - 1 - k];
            if (left[length - 1 - k]) sides |= 1 << k;
        }
    }

    function testFuzz_IncludesEveryShardByItsPathAndNoOtherWay(
        uint256 count,
        uint256 index,
        bytes32 salt
    ) public view {
        bytes32[] memory roots = new bytes32[](bound(count, 1, 24));
        index = bound(index, 0, roots.length - 1);
        bytes32[] memory leaves = new bytes32[](roots.length);
        for (uint256 k = 0; k < roots.length; ++k) {
            roots[k] = sha256(abi.encode(salt, k));
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), roots[k]));
        }
        bytes32 shardRoot = roots[index];
        _assertIncluded(DatasetTree.root(roots), shardRoot, index, leaves);
    }

    function _assertIncluded(
        bytes32 root,
        bytes32 shardRoot,
        uint256 index,
        bytes32[] memory leaves
    ) private view {
        uint256 count = leaves.length;
        (bytes32[] memory path, uint256 sides) = _siblings(leaves, index);
        assertTrue(this.includes(root, shardRoot, index, count, path), "included");
        assertTrue(!this.includes(root, ~shardRoot, index, count, path), "another root");
        assertTrue(!this.includes(root, shardRoot, index + 1, count, path), "another place");
        assertTrue(!this.includes(root, shardRoot, count, count, path), "no place");
        (uint256 length, uint256 expectedSides) = ShardTree.shapeOf(index, count);
        assertEq(length, path.length, "length of the path");
        assertEq(expectedSides, sides, "sides");
        assertTrue(!this.includes(root, shardRoot, index, count, _resized(path, length + 1)), "a longer path");
        if (length == 0) return;
        assertTrue(!this.includes(root, shardRoot, index, count, _resized(path, length - 1)), "a shorter path");
    }

    /// @dev The first `length` siblings, zeroes behind them.
    function _resized(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory resized) {
        resized = new bytes32[](length);
        for (uint256 k = 0; k < length && k < path.length; ++k) {
            resized[k] = path[k];
        }
    }

    function testFuzz_AChunkHasItsRootByItsPath(uint256 count, uint256 index, bytes32 salt) public view {
        bytes32[] memory leaves = new bytes32[](bound(count, 1, 24));
        index = bound(index, 0, leaves.length - 1);
        for (uint256 k = 0; k < leaves.length; ++k) {
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), abi.encode(salt, k)));
        }
        (bytes32[] memory path, uint256 sides) = _siblings(leaves, index);
        bytes32 root = this.rootOf(uint64(index), abi.encode(salt, index), path, sides);
        assertEq(root, _split(leaves, 0, leaves.length), "root");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetTree} from "../../contracts/types/DatasetTree.sol";
import {TestBase} from "./support/TestBase.sol";

contract DatasetTreeTest is TestBase {
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
}

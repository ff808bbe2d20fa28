// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Workspace} from "./Workspace.sol";

/// @notice From logits to a code (docs/spec/rows.md, rules 8 and 9).
library CodeDraw {
    /// @notice Replaces `count` logits by their weights EXP[min(largest - logit, 768)] and adds them up.
    function weigh(uint256 logits, uint256 count, int256 largest) internal pure returns (uint256 sum) {
        uint256 table = Workspace.EXP;
        // EXP has four bytes an entry, at a constant address. The distance d from the largest logit is never negative.
        // Four codes a turn, then one.
        assembly ("memory-safe") {
            let last := add(logits, mul(32, count))
            for {} lt(add(logits, 96), last) {
                logits := add(logits, 128)
            } {
                let d := sub(largest, mload(logits))
                if gt(d, 768) {
                    d := 768
                }
                d := shr(224, mload(add(table, shl(2, d))))
                mstore(logits, d)
                sum := add(sum, d)
                d := sub(largest, mload(add(logits, 32)))
                if gt(d, 768) {
                    d := 768
                }
                d := shr(224, mload(add(table, shl(2, d))))
                mstore(add(logits, 32), d)
                sum := add(sum, d)
                d := sub(largest, mload(add(logits, 64)))
                if gt(d, 768) {
                    d := 768
                }
                d := shr(224, mload(add(table, shl(2, d))))
                mstore(add(logits, 64), d)
                sum := add(sum, d)
                d := sub(largest, mload(add(logits, 96)))
                if gt(d, 768) {
                    d := 768
                }
                d := shr(224, mload(add(table, shl(2, d))))
                mstore(add(logits, 96), d)
                sum := add(sum, d)
            }
            for {} lt(logits, last) {
                logits := add(logits, 32)
            } {
                let d := sub(largest, mload(logits))
                if gt(d, 768) {
                    d := 768
                }
                d := shr(224, mload(add(table, shl(2, d))))
                mstore(logits, d)
                sum := add(sum, d)
            }
        }
    }

    /// @notice The first code with weight_0 + .. + weight_code > floor(u * sum / 2^32), u the low half of `word`.
    /// @dev u < 2^32, so the target is below the sum and the walk ends inside the weights.
    function pick(uint256 weights, uint256 sum, uint256 word) internal pure returns (uint256 code) {
        // Subtracts weights from the target until it would become negative.
        assembly ("memory-safe") {
            let target := shr(32, mul(and(word, 0xffffffff), sum))
            let ptr := weights
            for {
                let weight := mload(ptr)
            } iszero(lt(target, weight)) {
                weight := mload(ptr)
            } {
                target := sub(target, weight)
                ptr := add(ptr, 32)
            }
            code := shr(5, sub(ptr, weights))
        }
    }
}

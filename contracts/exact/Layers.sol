// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActivationBuffer, Activations} from "./Activations.sol";
import {DotProducts} from "./DotProducts.sol";

/// @notice Hidden and output layers (docs/spec/rows.md, rules 6, 7, 12 and 13).
library Layers {
    using ActivationBuffer for Activations;

    /// @notice x becomes clip((W x + b) >> shift, 0, aMax), spread. `sums` has a word for each neuron.
    /// @param ptr int8 W[neurons][inputs], int32 b[neurons], u8 shift[neurons].
    function hidden(Activations memory x, uint256 ptr, uint256 neurons, uint256 aMax, uint256 sums) internal pure {
        DotProducts.write(x, ptr, neurons, sums);
        uint256 bias;
        unchecked {
            bias = ptr + neurons * x.inputs;
        }
        uint256 offset = x.offset;
        uint256 out = x.end;
        // Eight neurons a turn, in 32-bit lanes. With the offset subtracted and the bias added, its sign bit flipped, a
        // lane is the sum + 2^31; the bound of 2^24 keeps it inside the lane (behind the last neuron it is 0 plus
        // whatever 32 bits stand there). Bit 31 says that the sum is not negative; other lanes become 0. Then each
        // lane is shifted by its own byte; if it is above aMax, ones are or-ed over it, of which aMax (all ones itself)
        // is left. Bytes are stored going backwards; what is stored beyond the last neuron `set` clears.
        assembly ("memory-safe") {
            let ones := 0x0000000100000001000000010000000100000001000000010000000100000001
            let offsets := mul(offset, ones)
            let last := add(bias, mul(4, neurons))
            let shift := last
            for {} lt(bias, last) {
                bias := add(bias, 32)
            } {
                let t := xor(mload(bias), 0x8000000080000000800000008000000080000000800000008000000080000000)
                t := add(sub(mload(sums), offsets), t)
                t := and(t, mul(and(shr(31, t), ones), 0x7fffffff))
                let s := mload(shift)
                out := sub(out, 8)
                let v := shr(byte(0, s), shr(224, t))
                mstore8(add(out, 7), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(1, s), and(shr(192, t), 0xffffffff))
                mstore8(add(out, 6), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(2, s), and(shr(160, t), 0xffffffff))
                mstore8(add(out, 5), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(3, s), and(shr(128, t), 0xffffffff))
                mstore8(add(out, 4), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(4, s), and(shr(96, t), 0xffffffff))
                mstore8(add(out, 3), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(5, s), and(shr(64, t), 0xffffffff))
                mstore8(add(out, 2), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(6, s), and(shr(32, t), 0xffffffff))
                mstore8(add(out, 1), and(or(v, sub(0, gt(v, aMax))), aMax))
                v := shr(byte(7, s), and(t, 0xffffffff))
                mstore8(out, and(or(v, sub(0, gt(v, aMax))), aMax))
                sums := add(sums, 32)
                shift := add(shift, 8)
            }
        }
        x.set(neurons);
    }

    /// @notice The logits ((W x) >> shift) + b of `count` codes, a word each at `logits`, and the largest, as a signed
    /// number.
    function output(
        Activations memory x,
        uint256 weights,
        uint256 shift,
        uint256 bias,
        uint256 count,
        uint256 sums,
        uint256 logits
    ) internal pure returns (int256 largest) {
        DotProducts.write(x, weights, count, sums);
        uint256 offset = x.offset;
        largest = type(int256).min;
        // Four codes a turn, then one. Subtracting the offset from lanes raised by 2^31 and flipping bit 31 again
        // leaves signed 32-bit dot products. Each is moved to the top of the word and shifted down by 224 bits and
        // its own shift, with its sign; the bias is loaded with its sign in the same way.
        assembly ("memory-safe") {
            let signs := 0x8000000080000000800000008000000080000000800000008000000080000000
            let offsets := sub(
                signs,
                mul(offset, 0x0000000100000001000000010000000100000001000000010000000100000001)
            )
            let last := add(logits, mul(32, count))
            for {} lt(add(logits, 96), last) {
                logits := add(logits, 128)
            } {
                let t := xor(add(mload(sums), offsets), signs)
                let b := mload(bias)
                let s := mload(shift)
                let v := add(sar(add(224, byte(0, s)), t), sar(224, b))
                mstore(logits, v)
                if sgt(v, largest) {
                    largest := v
                }
                v := add(sar(add(224, byte(1, s)), shl(32, t)), sar(224, shl(32, b)))
                mstore(add(logits, 32), v)
                if sgt(v, largest) {
                    largest := v
                }
                v := add(sar(add(224, byte(2, s)), shl(64, t)), sar(224, shl(64, b)))
                mstore(add(logits, 64), v)
                if sgt(v, largest) {
                    largest := v
                }
                v := add(sar(add(224, byte(3, s)), shl(96, t)), sar(224, shl(96, b)))
                mstore(add(logits, 96), v)
                if sgt(v, largest) {
                    largest := v
                }
                sums := add(sums, 16)
                bias := add(bias, 16)
                shift := add(shift, 4)
            }
            for {} lt(logits, last) {
                logits := add(logits, 32)
            } {
                let t := xor(add(mload(sums), offsets), signs)
                let v := add(sar(add(224, byte(0, mload(shift))), t), sar(224, mload(bias)))
                mstore(logits, v)
                if sgt(v, largest) {
                    largest := v
                }
                sums := add(sums, 4)
                bias := add(bias, 4)
                shift := add(shift, 1)
            }
        }
    }
}

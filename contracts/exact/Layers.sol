// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActivationBuffer, Activations} from "./Activations.sol";
import {DotProducts} from "./DotProducts.sol";

/// @notice Hidden and output layers (docs/spec/rows.md, rules 6, 7, 12 and 13).
library Layers {
    using ActivationBuffer for Activations;

    /// @notice x becomes clip((W x + b) >> shift, 0, aMax), spread. `sums` has a word for each neuron.
    /// @param ptr int8 W[neurons][inputs], int32 b[neurons], u8 shift[neurons].
    function hidden(
        Activations memory x,
        uint256 ptr,
        uint256 neurons,
        uint256 aMax,
        uint256 sums
    ) internal pure {
        DotProducts.write(x, ptr, neurons, sums);
        uint256 bias;
        unchecked {
            bias = ptr + neurons * x.inputs;
        }
        uint256 offset = x.offset;
        x.clear(neurons);
        uint256 out = x.end;
        // For every neuron: the dot product from the highest 32 bits of its word, less the offset, plus the bias (a
        // signed 32-bit load: the word shifted right by 28 bytes with its sign), shifted with its sign by its own byte.
        // A negative result is multiplied by 0, one above aMax replaced; stored as a byte, going backwards.
        assembly ("memory-safe") {
            let shift := add(bias, mul(4, neurons))
            for {
                let last := shift
            } lt(bias, last) {
                bias := add(bias, 4)
            } {
                let v := add(sub(shr(224, mload(sums)), offset), sar(224, mload(bias)))
                v := sar(byte(0, mload(shift)), v)
                v := mul(v, sgt(v, 0))
                if gt(v, aMax) {
                    v := aMax
                }
                out := sub(out, 1)
                mstore8(out, v)
                sums := add(sums, 32)
                shift := add(shift, 1)
            }
        }
        x.spread();
    }

    /// @notice The logits ((W x) >> shift) + b of `count` codes, a word each at `logits`, and the
    /// largest, as a signed number.
    function output(
        Activations memory x,
        uint256 weights,
        uint256 shift,
        uint256 bias,
        uint256 count,
        uint256 logits
    ) internal pure returns (int256 largest) {
        DotProducts.write(x, weights, count, logits);
        uint256 offset = x.offset;
        largest = type(int256).min;
        // As in a hidden layer, but shifted first; the logit takes the place of the word of products.
        assembly ("memory-safe") {
            for {
                let last := add(logits, mul(32, count))
            } lt(logits, last) {
                logits := add(logits, 32)
            } {
                let v := sar(byte(0, mload(shift)), sub(shr(224, mload(logits)), offset))
                v := add(v, sar(224, mload(bias)))
                mstore(logits, v)
                if sgt(v, largest) {
                    largest := v
                }
                shift := add(shift, 1)
                bias := add(bias, 4)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Workspace} from "./Workspace.sol";

/// @notice A layer's inputs in the two forms that the dot products need.
/// @dev Packed: one byte an input, backwards, ending at `end`: input i is the byte at end - 1 - i, so in every 32-byte
/// word the first input is the lowest byte. Spread: four words for every 32 inputs; word c holds the inputs 4k + c in
/// 32-bit lanes k, lane 0 lowest. See `DotProducts` for why.
struct Activations {
    uint256 inputs;
    /// Words of 32 inputs, rounded up: 1, 2 or a multiple of 4.
    uint256 chunks;
    /// End of the packed bytes.
    uint256 end;
    /// Start of the spread words: `Workspace.SPREAD` for at most 128 inputs.
    uint256 lanes;
    /// Where the spread words of wider layers go.
    uint256 wide;
    /// 128 * sum of the inputs, what the offset of the weights adds to every dot product.
    uint256 offset;
}

/// @dev Numbers of inputs have 16 bits and addresses stay below 2^40, so nothing wraps.
library ActivationBuffer {
    /// @notice Room for at most `widest` inputs.
    function reserve(uint256 widest) internal pure returns (Activations memory x) {
        uint256 chunks = _chunks(widest);
        x.end = Workspace.reserve(32 * chunks) + 32 * chunks;
        if (widest > Workspace.NARROW) x.wide = Workspace.reserve(128 * chunks);
    }

    /// @notice Says that `inputs` packed bytes have been written, and clears what stands before them in their words.
    function set(Activations memory x, uint256 inputs) internal pure {
        uint256 chunks = _chunks(inputs);
        x.inputs = inputs;
        x.chunks = chunks;
        x.lanes = inputs <= Workspace.NARROW ? Workspace.SPREAD : x.wide;
        uint256 end = x.end;
        uint256 last;
        unchecked {
            last = end - 32 * ((inputs + 31) / 32);
        }
        // The word that holds the last inputs keeps its low bytes; words that fill up the chunks become zero.
        assembly ("memory-safe") {
            let tail := and(inputs, 31)
            if tail {
                mstore(last, and(mload(last), sub(shl(shl(3, tail), 1), 1)))
            }
            for {
                let ptr := sub(end, shl(5, chunks))
            } lt(ptr, last) {
                ptr := add(ptr, 32)
            } {
                mstore(ptr, 0)
            }
        }
        _spread(x);
    }

    /// @dev Spreads the packed bytes and sums them.
    function _spread(Activations memory x) private pure {
        uint256 ptr = x.end;
        uint256 to = x.lanes;
        uint256 sum = 0;
        uint256 from;
        unchecked {
            from = ptr - 32 * x.chunks;
        }
        // The lowest byte of each 32-bit lane, after shifting by 0 to 3 bytes. `sum` adds all words lane by lane (each
        // lane stays below 2^32: at most 65,536 inputs of at most 255); the product with a one in every lane then has
        // the total of the eight lanes in its highest.
        assembly ("memory-safe") {
            let mask := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            for {} gt(ptr, from) {
                to := add(to, 128)
            } {
                ptr := sub(ptr, 32)
                let word := mload(ptr)
                let x0 := and(word, mask)
                let x1 := and(shr(8, word), mask)
                let x2 := and(shr(16, word), mask)
                let x3 := and(shr(24, word), mask)
                mstore(to, x0)
                mstore(add(to, 0x20), x1)
                mstore(add(to, 0x40), x2)
                mstore(add(to, 0x60), x3)
                sum := add(sum, add(add(x0, x1), add(x2, x3)))
            }
            sum := shr(224, mul(sum, 0x0000000100000001000000010000000100000001000000010000000100000001))
        }
        unchecked {
            x.offset = 128 * sum;
        }
    }

    function _chunks(uint256 inputs) private pure returns (uint256 chunks) {
        unchecked {
            chunks = (inputs + 31) / 32;
            if (chunks > 2) chunks = (chunks + 3) & ~uint256(3);
        }
    }
}

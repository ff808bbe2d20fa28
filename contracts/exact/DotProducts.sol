// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activations} from "./Activations.sol";

/// @notice Rows of int8 weights, as they stand in the model bytes, times a layer's inputs.
/// @dev One load takes 32 weights of a neuron. Exclusive or with 0x80 in every byte turns each int8 w into w + 128, in
/// 0 .. 255. Shifted by s = 0 to 3 bytes and masked, they are eight numbers in 32-bit lanes; of weights 0 .. 31 in
/// memory order (weight 0 in the highest byte), shift s leaves weight 31 - 4j - s in lane j. The spread word c = 3 - s
/// holds input 4k + c in lane k. Lanes j and 7 - j hold weight and input of the same number, because 4 (7 - j) + 3 - s
/// = 31 - 4j - s; the product of the two words, modulo 2^256, sums exactly those eight pairs in its highest lane. What
/// belongs above falls off; with 65,535 inputs a lane adds up at most 65,535 * 255 * 255 < 2^32, so none carries into
/// the next. Words of products are therefore added first and the highest lane is read once. Inputs beyond the layer's
/// are zero, so that what is read behind a row of weights counts nothing. The highest lane is the dot product plus
/// 128 * (sum of the inputs), `Activations.offset`.
library DotProducts {
    /// @notice Writes, for each of `neurons` rows of weights from `ptr` on, a word with the dot product and its offset in
    /// the highest 32 bits.
    function write(Activations memory x, uint256 ptr, uint256 neurons, uint256 to) internal pure {
        uint256 end;
        unchecked {
            end = to + 32 * neurons;
        }
        if (x.chunks == 1) _oneChunk(ptr, x.inputs, x.lanes, to, end);
        else if (x.chunks == 2) _twoChunks(ptr, x.inputs, x.lanes, to, end);
        else _manyChunks(ptr, x.inputs, x.lanes, x.chunks, to, end);
    }

    /// @dev Up to 32 inputs: their four spread words stay on the stack.
    function _oneChunk(uint256 row, uint256 inputs, uint256 spread, uint256 to, uint256 end) private pure {
        // `sum` is the four masked shifts of the 32 weights at `ptr`, each times its spread word.
        assembly ("memory-safe") {
            let x0 := mload(spread)
            let x1 := mload(add(spread, 0x20))
            let x2 := mload(add(spread, 0x40))
            let x3 := mload(add(spread, 0x60))
            function sum(ptr, a0, a1, a2, a3) -> s {
                let w := xor(mload(ptr), 0x8080808080808080808080808080808080808080808080808080808080808080)
                let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
                s := mul(and(w, m), a3)
                s := add(s, mul(and(shr(8, w), m), a2))
                s := add(s, mul(and(shr(16, w), m), a1))
                s := add(s, mul(and(shr(24, w), m), a0))
            }
            for {

            } lt(to, end) {
                to := add(to, 0x20)
            } {
                mstore(to, sum(row, x0, x1, x2, x3))
                row := add(row, inputs)
            }
        }
    }

    /// @dev Up to 64 inputs: eight spread words on the stack.
    function _twoChunks(uint256 row, uint256 inputs, uint256 spread, uint256 to, uint256 end) private pure {
        // As above, for two loads of 32 weights.
        assembly ("memory-safe") {
            let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let x0 := mload(spread)
            let x1 := mload(add(spread, 0x20))
            let x2 := mload(add(spread, 0x40))
            let x3 := mload(add(spread, 0x60))
            let x4 := mload(add(spread, 0x80))
            let x5 := mload(add(spread, 0xa0))
            let x6 := mload(add(spread, 0xc0))
            let x7 := mload(add(spread, 0xe0))
            for {

            } lt(to, end) {
                to := add(to, 0x20)
            } {
                let w := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                let s := mul(and(w, m), x3)
                s := add(s, mul(and(shr(8, w), m), x2))
                s := add(s, mul(and(shr(16, w), m), x1))
                s := add(s, mul(and(shr(24, w), m), x0))
                w := xor(mload(add(row, 0x20)), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := add(s, mul(and(w, m), x7))
                s := add(s, mul(and(shr(8, w), m), x6))
                s := add(s, mul(and(shr(16, w), m), x5))
                s := add(s, mul(and(shr(24, w), m), x4))
                mstore(to, s)
                row := add(row, inputs)
            }
        }
    }

    /// @dev Any width, 128 inputs at a time.
    function _manyChunks(
        uint256 row,
        uint256 inputs,
        uint256 spread,
        uint256 chunks,
        uint256 to,
        uint256 end
    ) private pure {
        // The inner loop walks four loads of weights and their sixteen spread words in step.
        assembly ("memory-safe") {
            function four(w, x) -> s {
                let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
                w := xor(w, 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := mul(and(w, m), mload(add(x, 0x60)))
                s := add(s, mul(and(shr(8, w), m), mload(add(x, 0x40))))
                s := add(s, mul(and(shr(16, w), m), mload(add(x, 0x20))))
                s := add(s, mul(and(shr(24, w), m), mload(x)))
            }
            let last := add(spread, mul(128, chunks))
            for {

            } lt(to, end) {
                to := add(to, 0x20)
            } {
                let s := 0
                let ptr := row
                for {
                    let x := spread
                } lt(x, last) {
                    x := add(x, 0x80)
                } {
                    s := add(s, four(mload(ptr), x))
                    ptr := add(ptr, 0x20)
                }
                mstore(to, s)
                row := add(row, inputs)
            }
        }
    }
}

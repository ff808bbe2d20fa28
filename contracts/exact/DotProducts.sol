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
    /// @notice Writes, for each of `neurons` rows of weights from `ptr` on, the dot product and its offset as a
    /// big-endian u32 at `to`, and eight times the offset behind the last. `to` has room for 32 bytes more than that.
    function write(Activations memory x, uint256 ptr, uint256 neurons, uint256 to) internal pure {
        uint256 end;
        unchecked {
            end = to + 4 * neurons;
        }
        if (x.chunks == 1) _oneChunk(ptr, x.inputs, x.lanes, to, end);
        else if (x.chunks == 2) _twoChunks(ptr, x.inputs, x.lanes, to, end);
        else if (x.chunks == 4) _fourChunks(ptr, x.inputs, to, end);
        else _manyChunks(ptr, x.inputs, x.lanes, x.chunks, to, end);
        uint256 offset = x.offset;
        // Readers take eight dot products at a time and subtract the offset from each: beyond the last that leaves
        // zero.
        assembly ("memory-safe") {
            mstore(end, mul(offset, 0x0000000100000001000000010000000100000001000000010000000100000001))
        }
    }

    /// @dev Up to 32 inputs: their four spread words stay on the stack.
    function _oneChunk(uint256 row, uint256 inputs, uint256 lanes, uint256 to, uint256 end) private pure {
        // The four masked shifts of 32 weights, each times its spread word, for two neurons a turn (the second may be
        // one too many: it is overwritten). Each word of products is stored over the lower lanes of the one before,
        // so that the highest lanes stand four bytes apart.
        assembly ("memory-safe") {
            let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let x0 := mload(lanes)
            let x1 := mload(add(lanes, 0x20))
            let x2 := mload(add(lanes, 0x40))
            let x3 := mload(add(lanes, 0x60))
            for {} lt(to, end) {
                to := add(to, 8)
            } {
                let w := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                let s := mul(and(w, m), x3)
                s := add(s, mul(and(shr(8, w), m), x2))
                s := add(s, mul(and(shr(16, w), m), x1))
                s := add(s, mul(and(shr(24, w), m), x0))
                mstore(to, s)
                row := add(row, inputs)
                w := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := mul(and(w, m), x3)
                s := add(s, mul(and(shr(8, w), m), x2))
                s := add(s, mul(and(shr(16, w), m), x1))
                s := add(s, mul(and(shr(24, w), m), x0))
                mstore(add(to, 4), s)
                row := add(row, inputs)
            }
        }
    }

    /// @dev Up to 64 inputs: eight spread words on the stack.
    function _twoChunks(uint256 row, uint256 inputs, uint256 lanes, uint256 to, uint256 end) private pure {
        // As above, for two loads of 32 weights a neuron.
        assembly ("memory-safe") {
            let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let x0 := mload(lanes)
            let x1 := mload(add(lanes, 0x20))
            let x2 := mload(add(lanes, 0x40))
            let x3 := mload(add(lanes, 0x60))
            let x4 := mload(add(lanes, 0x80))
            let x5 := mload(add(lanes, 0xa0))
            let x6 := mload(add(lanes, 0xc0))
            let x7 := mload(add(lanes, 0xe0))
            for {} lt(to, end) {
                to := add(to, 8)
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
                w := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := mul(and(w, m), x3)
                s := add(s, mul(and(shr(8, w), m), x2))
                s := add(s, mul(and(shr(16, w), m), x1))
                s := add(s, mul(and(shr(24, w), m), x0))
                w := xor(mload(add(row, 0x20)), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := add(s, mul(and(w, m), x7))
                s := add(s, mul(and(shr(8, w), m), x6))
                s := add(s, mul(and(shr(16, w), m), x5))
                s := add(s, mul(and(shr(24, w), m), x4))
                mstore(add(to, 4), s)
                row := add(row, inputs)
            }
        }
    }

    /// @dev Up to 128 inputs: sixteen spread words, read where `Workspace.SPREAD` fixes them, at 0x400.
    function _fourChunks(uint256 row, uint256 inputs, uint256 to, uint256 end) private pure {
        // As above, for four loads of 32 weights a neuron and one neuron a turn.
        assembly ("memory-safe") {
            let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            for {} lt(to, end) {
                to := add(to, 4)
            } {
                let w := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                let s := mul(and(w, m), mload(0x460))
                s := add(s, mul(and(shr(8, w), m), mload(0x440)))
                s := add(s, mul(and(shr(16, w), m), mload(0x420)))
                s := add(s, mul(and(shr(24, w), m), mload(0x400)))
                w := xor(mload(add(row, 0x20)), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := add(s, mul(and(w, m), mload(0x4e0)))
                s := add(s, mul(and(shr(8, w), m), mload(0x4c0)))
                s := add(s, mul(and(shr(16, w), m), mload(0x4a0)))
                s := add(s, mul(and(shr(24, w), m), mload(0x480)))
                w := xor(mload(add(row, 0x40)), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := add(s, mul(and(w, m), mload(0x560)))
                s := add(s, mul(and(shr(8, w), m), mload(0x540)))
                s := add(s, mul(and(shr(16, w), m), mload(0x520)))
                s := add(s, mul(and(shr(24, w), m), mload(0x500)))
                w := xor(mload(add(row, 0x60)), 0x8080808080808080808080808080808080808080808080808080808080808080)
                s := add(s, mul(and(w, m), mload(0x5e0)))
                s := add(s, mul(and(shr(8, w), m), mload(0x5c0)))
                s := add(s, mul(and(shr(16, w), m), mload(0x5a0)))
                s := add(s, mul(and(shr(24, w), m), mload(0x580)))
                mstore(to, s)
                row := add(row, inputs)
            }
        }
    }

    /// @dev Any width, four chunks (128 inputs) a turn.
    function _manyChunks(
        uint256 row,
        uint256 inputs,
        uint256 lanes,
        uint256 chunks,
        uint256 to,
        uint256 end
    ) private pure {
        // The inner loop walks four loads of weights and their sixteen spread words in step.
        assembly ("memory-safe") {
            let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let last := add(lanes, mul(128, chunks))
            for {} lt(to, end) {
                to := add(to, 4)
            } {
                let s := 0
                let ptr := row
                for {
                    let x := lanes
                } lt(x, last) {
                    x := add(x, 0x200)
                } {
                    let w := xor(mload(ptr), 0x8080808080808080808080808080808080808080808080808080808080808080)
                    s := add(s, mul(and(w, m), mload(add(x, 0x60))))
                    s := add(s, mul(and(shr(8, w), m), mload(add(x, 0x40))))
                    s := add(s, mul(and(shr(16, w), m), mload(add(x, 0x20))))
                    s := add(s, mul(and(shr(24, w), m), mload(x)))
                    w := xor(
                        mload(add(ptr, 0x20)),
                        0x8080808080808080808080808080808080808080808080808080808080808080
                    )
                    s := add(s, mul(and(w, m), mload(add(x, 0xe0))))
                    s := add(s, mul(and(shr(8, w), m), mload(add(x, 0xc0))))
                    s := add(s, mul(and(shr(16, w), m), mload(add(x, 0xa0))))
                    s := add(s, mul(and(shr(24, w), m), mload(add(x, 0x80))))
                    w := xor(
                        mload(add(ptr, 0x40)),
                        0x8080808080808080808080808080808080808080808080808080808080808080
                    )
                    s := add(s, mul(and(w, m), mload(add(x, 0x160))))
                    s := add(s, mul(and(shr(8, w), m), mload(add(x, 0x140))))
                    s := add(s, mul(and(shr(16, w), m), mload(add(x, 0x120))))
                    s := add(s, mul(and(shr(24, w), m), mload(add(x, 0x100))))
                    w := xor(
                        mload(add(ptr, 0x60)),
                        0x8080808080808080808080808080808080808080808080808080808080808080
                    )
                    s := add(s, mul(and(w, m), mload(add(x, 0x1e0))))
                    s := add(s, mul(and(shr(8, w), m), mload(add(x, 0x1c0))))
                    s := add(s, mul(and(shr(16, w), m), mload(add(x, 0x1a0))))
                    s := add(s, mul(and(shr(24, w), m), mload(add(x, 0x180))))
                    ptr := add(ptr, 0x80)
                }
                mstore(to, s)
                row := add(row, inputs)
            }
        }
    }
}

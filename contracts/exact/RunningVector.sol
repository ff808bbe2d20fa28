// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActivationBuffer, Activations} from "./Activations.sol";
import {BigEndian} from "./BigEndian.sol";
import {Workspace} from "./Workspace.sol";

/// @notice The running vector of architecture 2, eight entries a word (docs/spec/rows.md, rules 11 and 14).
/// @dev Entry n stands as n + 2^30 in a 32-bit lane; like the big-endian int32 biases that are added to it, entry 8i is
/// the highest lane of word i. The bound of docs/spec/model.md (rule 10) keeps entries and their sums with a bias
/// within 2^24 of that, so that lanes never touch. Lanes beyond the width hold what follows in the model; they move by
/// less than 2^23 in all, are masked when biases are added and cleared when the result is packed.
struct RunningVector {
    uint256 width;
    /// Address of the entries, 128 bytes for every 32.
    uint256 ptr;
    /// Address of masks of the lanes inside the width.
    uint256 masks;
}

library RunningVectors {
    using ActivationBuffer for Activations;

    uint256 private constant _ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant _ZERO = _ONES << 30;

    function reserve(uint256 width) internal pure returns (RunningVector memory acc) {
        unchecked {
            acc.width = width;
            uint256 size = bytesOf(width);
            acc.ptr = Workspace.reserve(size);
            acc.masks = Workspace.reserve(size);
            for (uint256 i = 0; i < size; i += 32) {
                uint256 inside = 4 * width > i ? 4 * width - i : 0;
                uint256 mask = inside >= 32 ? type(uint256).max : ~(type(uint256).max >> (8 * inside));
                BigEndian.put(acc.masks + i, mask);
            }
        }
    }

    /// @notice Bytes of the entries of a vector.
    function bytesOf(uint256 width) internal pure returns (uint256 size) {
        unchecked {
            return 128 * ((width + 31) / 32);
        }
    }

    /// @notice Sets all entries to 0.
    function reset(RunningVector memory acc) internal pure {
        unchecked {
            uint256 end = acc.ptr + bytesOf(acc.width);
            for (uint256 ptr = acc.ptr; ptr < end; ptr += 32) {
                BigEndian.put(ptr, _ZERO);
            }
        }
    }

    /// @notice x = clip(entries + bias, 0, aMax), spread. `from`: the entries; `bias`: int32[width] in the model.
    function activate(
        RunningVector memory acc,
        uint256 from,
        uint256 bias,
        uint256 aMax,
        Activations memory x
    ) internal pure {
        _pack(from, bias, acc.masks, from + bytesOf(acc.width), aMax, x.end);
        x.set(acc.width);
    }

    /// @dev Packs 32 entries at a time into the word before `out`.
    function _pack(
        uint256 from,
        uint256 bias,
        uint256 masks,
        uint256 end,
        uint256 aMax,
        uint256 out
    ) private pure {
        // With the sign bit of the bias flipped, a lane of t is the sum s + 2^30 + 2^31, so its bit 30 says s >= 0 and
        // the 30 bits below are s then. `y` keeps those bits where s >= 0. Bit 30 of y + (2^30 - 1 - aMax) says y >
        // aMax; there aMax, all ones, is or-ed over y, and the mask aMax leaves it. Lanes of four words become the
        // four bytes of each lane of `p`: byte i of lane 7 - j is entry 8i + j. Swapping halves, quarters and eighths
        // turns the lanes around; with number bits n4 .. n0 of an entry, lane and byte are then (n2 n1 n0, n4 n3).
        // The four exchanges of two of these bits (t picks the places that differ, and is applied on both sides) make
        // that (n4 n3 n2, n1 n0): entry n is byte n from below, which is the packed order of `Activations`.
        assembly ("memory-safe") {
            let ones := 0x0000000100000001000000010000000100000001000000010000000100000001
            let over := mul(ones, sub(0x3fffffff, aMax))
            let clip := mul(ones, aMax)
            for {} lt(from, end) {} {
                let signs := 0x8000000080000000800000008000000080000000800000008000000080000000
                let t := add(mload(from), and(xor(mload(bias), signs), mload(masks)))
                let y := and(t, mul(and(shr(30, t), ones), 0x3fffffff))
                y := and(or(y, mul(and(shr(30, add(y, over)), ones), aMax)), clip)
                let p := y
                t := add(mload(add(from, 0x20)), and(xor(mload(add(bias, 0x20)), signs), mload(add(masks, 0x20))))
                y := and(t, mul(and(shr(30, t), ones), 0x3fffffff))
                y := and(or(y, mul(and(shr(30, add(y, over)), ones), aMax)), clip)
                p := or(p, shl(8, y))
                t := add(mload(add(from, 0x40)), and(xor(mload(add(bias, 0x40)), signs), mload(add(masks, 0x40))))
                y := and(t, mul(and(shr(30, t), ones), 0x3fffffff))
                y := and(or(y, mul(and(shr(30, add(y, over)), ones), aMax)), clip)
                p := or(p, shl(16, y))
                t := add(mload(add(from, 0x60)), and(xor(mload(add(bias, 0x60)), signs), mload(add(masks, 0x60))))
                y := and(t, mul(and(shr(30, t), ones), 0x3fffffff))
                y := and(or(y, mul(and(shr(30, add(y, over)), ones), aMax)), clip)
                p := or(p, shl(24, y))
                from := add(from, 0x80)
                bias := add(bias, 0x80)
                masks := add(masks, 0x80)
                p := or(shl(128, p), shr(128, p))
                let m := 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff
                p := or(shl(64, and(p, m)), and(shr(64, p), m))
                m := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
                p := or(shl(32, and(p, m)), and(shr(32, p), m))
                t := and(xor(p, shr(112, p)), 0x00000000000000000000000000000000ffff0000ffff0000ffff0000ffff0000)
                p := xor(p, xor(t, shl(112, t)))
                t := and(xor(p, shr(56, p)), 0x0000000000000000ff00ff00ff00ff000000000000000000ff00ff00ff00ff00)
                p := xor(p, xor(t, shl(56, t)))
                t := and(xor(p, shr(16, p)), 0x00000000ffff000000000000ffff000000000000ffff000000000000ffff0000)
                p := xor(p, xor(t, shl(16, t)))
                t := and(xor(p, shr(8, p)), 0x0000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff00)
                p := xor(p, xor(t, shl(8, t)))
                out := sub(out, 32)
                mstore(out, p)
            }
        }
    }

    /// @notice Writes at `to` the entries at `from` plus a row of the embedding, int8[width] at `row`. Both may be the
    /// same place.
    function add(RunningVector memory acc, uint256 from, uint256 row, uint256 to) internal pure {
        uint256 end = from + bytesOf(acc.width);
        // 32 entries a load, as w + 128 in 0 .. 255. Byte 31 - n from below holds entry n; the four exchanges of
        // `_pack` in reverse order put entries 8i .. 8i + 7 into byte 3 - i of the eight lanes, the first in the
        // highest lane, where the word i of the vector has them. 128 is taken from every lane again; lanes stay
        // positive.
        assembly ("memory-safe") {
            for {} lt(from, end) {
                row := add(row, 32)
            } {
                let p := xor(mload(row), 0x8080808080808080808080808080808080808080808080808080808080808080)
                let t := and(xor(p, shr(8, p)), 0x0000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff00)
                p := xor(p, xor(t, shl(8, t)))
                t := and(xor(p, shr(16, p)), 0x00000000ffff000000000000ffff000000000000ffff000000000000ffff0000)
                p := xor(p, xor(t, shl(16, t)))
                t := and(xor(p, shr(56, p)), 0x0000000000000000ff00ff00ff00ff000000000000000000ff00ff00ff00ff00)
                p := xor(p, xor(t, shl(56, t)))
                t := and(xor(p, shr(112, p)), 0x00000000000000000000000000000000ffff0000ffff0000ffff0000ffff0000)
                p := xor(p, xor(t, shl(112, t)))
                let m := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
                let half := 0x0000008000000080000000800000008000000080000000800000008000000080
                mstore(to, sub(add(mload(from), and(shr(24, p), m)), half))
                mstore(add(to, 0x20), sub(add(mload(add(from, 0x20)), and(shr(16, p), m)), half))
                mstore(add(to, 0x40), sub(add(mload(add(from, 0x40)), and(shr(8, p), m)), half))
                mstore(add(to, 0x60), sub(add(mload(add(from, 0x60)), and(p, m)), half))
                from := add(from, 0x80)
                to := add(to, 0x80)
            }
        }
    }
}

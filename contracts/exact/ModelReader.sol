// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";
import {ExactTables} from "./ExactTables.sol";

/// @notice Reads model bytes and checks rules 3 to 9 of docs/spec/model.md. Says no instead of reverting, whatever the
/// bytes are; never reads a field before the bytes are known to reach that far.
/// @dev All arithmetic is on numbers below 2^50 (16-bit counts times 16-bit counts times small factors, addresses).
library ModelReader {
    /// @notice Bytes of a header.
    uint256 internal constant HEADER = 80;
    uint256 private constant _MAX_BYTES = 1 << 24;
    uint256 private constant _MAX_CODES_A_COLUMN = 4095;
    uint256 private constant _MAX_SHIFT = 31;
    uint256 private constant _MAGIC = 0x54534d31;
    /// @dev The highest bit of each of four 64-bit lanes.
    uint256 private constant _HIGH = 0x8000000000000000800000000000000080000000000000008000000000000000;

    /// @notice The parts of the model bytes in memory at `ptr`; `ok` is false if a rule is broken.
    function read(uint256 ptr, uint256 length) internal pure returns (ExactModel memory model, bool ok) {
        if (length < HEADER || length > _MAX_BYTES) return (model, false);
        model.ptr = ptr;
        model.end = ptr + length;
        ok = _readHeader(model) && _readColumns(model) && _checkCodes(model);
        if (!ok) return (model, false);
        ok = model.architecture == 1 ? _readLayers(model) : _readSteps(model);
    }

    /// @notice Of the schema whose rows the model makes; `ptr` leads to at least a header.
    function schemaDigest(uint256 ptr) internal pure returns (bytes32 digest) {
        return bytes32(BigEndian.word(ptr + 16));
    }

    function _readHeader(ExactModel memory model) private pure returns (bool) {
        uint256 ptr = model.ptr;
        model.architecture = BigEndian.u8(ptr + 4);
        model.aMax = BigEndian.u8(ptr + 5);
        model.columns = BigEndian.u16(ptr + 6);
        model.codes = BigEndian.u16(ptr + 8);
        model.inputs = BigEndian.u16(ptr + 10);
        model.depth = BigEndian.u8(ptr + 12);
        model.neurons = BigEndian.u16(ptr + 14);
        if (BigEndian.u32(ptr) != _MAGIC || BigEndian.u8(ptr + 13) != 0) return false;
        if (BigEndian.word(ptr + 48) != uint256(ExactTables.DIGEST)) return false;
        if ((model.aMax != 127 && model.aMax != 255) || model.columns == 0 || model.inputs == 0) return false;
        if (model.architecture == 1) return model.depth >= 1 && model.depth <= 4 && model.neurons == 0;
        return model.architecture == 2 && model.depth == 0 && model.neurons != 0;
    }

    function _readColumns(ExactModel memory model) private pure returns (bool) {
        unchecked {
            model.widthsAt = model.ptr + HEADER;
            model.columnsAt = model.widthsAt + 2 * model.depth;
            model.codesAt = model.columnsAt + 3 * model.columns;
            model.bodyAt = model.codesAt + 8 * model.codes;
            if (model.bodyAt > model.end) return false;
            uint256[] memory first = new uint256[](model.columns + 1);
            uint256 total = 0;
            for (uint256 column = 0; column < model.columns; ++column) {
                uint256 count = Codebook.codeCount(model, column);
                uint256 bytes_ = Codebook.valueWidth(model, column);
                if (count == 0 || count > _MAX_CODES_A_COLUMN || bytes_ == 0 || bytes_ > 4) return false;
                model.rowWidth += bytes_;
                total += count;
                first[column + 1] = total;
            }
            model.firstCodes = first;
            return total == model.codes;
        }
    }

    /// @dev Rule 6, four codes at a time.
    function _checkCodes(ExactModel memory model) private pure returns (bool) {
        uint256 from = model.codesAt;
        uint256 good = _HIGH;
        unchecked {
            for (uint256 column = 0; column < model.columns; ++column) {
                uint256 to = from + 8 * Codebook.codeCount(model, column);
                uint256 limit = 1 << (8 * Codebook.valueWidth(model, column));
                // A word holds four codes, each a 64-bit lane: low above width. With 2^63 added, limit - (low +
                // width) and width - 1 keep bit 63 exactly if they are not negative; no lane borrows from the next.
                // Lanes behind the column's last code are let pass.
                assembly ("memory-safe") {
                    let high := 0x8000000000000000800000000000000080000000000000008000000000000000
                    let half := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
                    let limits := add(high, mul(limit, shr(63, high)))
                    for {} lt(from, to) {
                        from := add(from, 32)
                    } {
                        let codes := mload(from)
                        let width := and(codes, half)
                        let low := and(shr(32, codes), half)
                        let fine := and(sub(limits, add(low, width)), sub(add(high, width), shr(63, high)))
                        if gt(add(from, 32), to) {
                            fine := or(fine, shr(shl(3, sub(to, from)), not(0)))
                        }
                        good := and(good, fine)
                    }
                    from := to
                }
            }
        }
        return good == _HIGH;
    }

    /// @dev Architecture 1: hidden layers from `bodyAt`, then the output layer, then nothing.
    function _readLayers(ExactModel memory model) private pure returns (bool) {
        unchecked {
            uint256 ptr = model.bodyAt;
            uint256 inputs = model.inputs;
            for (uint256 layer = 0; layer < model.depth; ++layer) {
                uint256 width = BigEndian.u16(model.widthsAt + 2 * layer);
                if (width == 0) return false;
                ptr += width * inputs + 4 * width;
                if (!_shiftsHold(model, ptr, width)) return false;
                ptr += width;
                inputs = width;
            }
            model.lastAt = ptr;
            ptr += model.codes * inputs;
            return _shiftsHold(model, ptr, model.codes) && ptr + 5 * model.codes == model.end;
        }
    }

    /// @dev Architecture 2: draw order, steps, embedding, then nothing.
    function _readSteps(ExactModel memory model) private pure returns (bool) {
        unchecked {
            uint256 ptr = model.bodyAt + 2 * model.columns;
            if (ptr > model.end) return false;
            model.steps = new uint256[](model.columns);
            model.places = new uint256[](model.columns);
            for (uint256 step = 0; step < model.columns; ++step) {
                uint256 column = Codebook.columnOf(model, step);
                if (column >= model.columns || model.places[column] != 0) return false;
                model.places[column] = step + 1;
                model.steps[step] = ptr;
                ptr += 4 * model.inputs + model.neurons * model.inputs + 4 * model.neurons;
                if (!_shiftsHold(model, ptr, model.neurons)) return false;
                uint256 count = Codebook.codeCount(model, column);
                ptr += model.neurons + count * model.neurons;
                if (!_shiftsHold(model, ptr, count)) return false;
                ptr += 5 * count;
            }
            model.lastAt = ptr;
            return ptr + model.codes * model.inputs == model.end;
        }
    }

    /// @dev Rule 7 for `count` shifts at `ptr`, which must lie inside the bytes.
    function _shiftsHold(ExactModel memory model, uint256 ptr, uint256 count) private pure returns (bool) {
        unchecked {
            uint256 to = ptr + count;
            if (to > model.end) return false;
            uint256 found = 0;
            // 32 shifts at a time, or-ed together; of the last word only the bytes before `to` count. A shift above 31
            // has one of the three high bits of its byte.
            assembly ("memory-safe") {
                for {} lt(add(ptr, 31), to) {
                    ptr := add(ptr, 32)
                } {
                    found := or(found, mload(ptr))
                }
                if lt(ptr, to) {
                    found := or(found, shr(mul(8, sub(32, sub(to, ptr))), mload(ptr)))
                }
            }
            found &= ~uint256(0x1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f);
            return found == 0;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";
import {Codebook, ExactModel} from "./ExactModel.sol";

/// @notice The bound of 2^24 on every partial sum (docs/spec/model.md, rule 10), for a model that has been read.
/// @dev Sums here are below 2^50: at most 65,535 terms of at most 2^31.
library ModelBound {
    using Codebook for ExactModel;

    uint256 private constant _LIMIT = 1 << 24;

    function holds(ExactModel memory model) internal pure returns (bool) {
        return model.architecture == 1 ? _mlp(model) : _autoregressive(model);
    }

    function _mlp(ExactModel memory model) private pure returns (bool) {
        unchecked {
            uint256 ptr = model.bodyAt;
            uint256 inputs = model.inputs;
            for (uint256 layer = 0; layer < model.depth; ++layer) {
                uint256 width = BigEndian.u16(model.widthsAt + 2 * layer);
                if (!_hidden(ptr, width, inputs, model.aMax)) return false;
                ptr += width * inputs + 5 * width;
                inputs = width;
            }
            return _output(ptr, model.codes, inputs, model.aMax);
        }
    }

    function _autoregressive(ExactModel memory model) private pure returns (bool) {
        uint256[] memory reach = new uint256[](model.inputs);
        unchecked {
            for (uint256 step = 0; step < model.columns; ++step) {
                uint256 ptr = model.steps[step];
                uint256 column = model.columnOf(step);
                if (!_inputs(reach, ptr)) return false;
                ptr += 4 * model.inputs;
                if (!_hidden(ptr, model.neurons, model.inputs, model.aMax)) return false;
                ptr += model.neurons * model.inputs + 5 * model.neurons;
                if (!_output(ptr, model.codeCount(column), model.neurons, model.aMax)) return false;
                _extend(model, reach, column);
            }
        }
        return true;
    }

    /// @dev sum |w| * aMax + |b| of each neuron.
    function _hidden(uint256 ptr, uint256 neurons, uint256 inputs, uint256 aMax) private pure returns (bool) {
        unchecked {
            uint256 bias = ptr + neurons * inputs;
            for (uint256 i = 0; i < neurons; ++i) {
                if (_sum(ptr + i * inputs, inputs) * aMax + _magnitude(bias + 4 * i) >= _LIMIT) return false;
            }
        }
        return true;
    }

    /// @dev sum |w| * aMax and |b| of each code, apart.
    function _output(uint256 ptr, uint256 count, uint256 inputs, uint256 aMax) private pure returns (bool) {
        unchecked {
            uint256 bias = ptr + count * inputs + count;
            for (uint256 i = 0; i < count; ++i) {
                if (_sum(ptr + i * inputs, inputs) * aMax >= _LIMIT || _magnitude(bias + 4 * i) >= _LIMIT)
                    return false;
            }
        }
        return true;
    }

    /// @dev How far each entry of the running vector can have come, plus |input bias|. The reach alone stays below
    /// 2^23: at most 65,535 columns, at most 128 each.
    function _inputs(uint256[] memory reach, uint256 bias) private pure returns (bool) {
        unchecked {
            for (uint256 h = 0; h < reach.length; ++h) {
                if (reach[h] + _magnitude(bias + 4 * h) >= _LIMIT) return false;
            }
        }
        return true;
    }

    /// @dev Adds to each entry's reach the largest |E[code][h]| among the codes of a column.
    function _extend(ExactModel memory model, uint256[] memory reach, uint256 column) private pure {
        uint256 inputs = model.inputs;
        uint256 from = model.lastAt + model.firstCodes[column] * inputs;
        uint256 to = model.lastAt + model.firstCodes[column + 1] * inputs;
        // Entry h of every code: bytes from + h, a width apart. |w| of an int8: w xor its sign, less its sign (0 or
        // -1).
        assembly ("memory-safe") {
            for {
                let h := 0
            } lt(h, inputs) {
                h := add(h, 1)
            } {
                let largest := 0
                for {
                    let ptr := add(from, h)
                } lt(ptr, to) {
                    ptr := add(ptr, inputs)
                } {
                    let w := sar(248, mload(ptr))
                    let sign := sar(255, w)
                    w := sub(xor(w, sign), sign)
                    if gt(w, largest) {
                        largest := w
                    }
                }
                let place := add(add(reach, 32), shl(5, h))
                mstore(place, add(mload(place), largest))
            }
        }
    }

    /// @dev sum |w| of `count` int8 at `ptr`.
    function _sum(uint256 ptr, uint256 count) private pure returns (uint256 sum) {
        // 32 bytes a load; of the last load the bytes behind the row are cleared. Each negative byte is inverted and
        // one is added: at most 128, so bytes never carry. Neighbours are added into 16-bit lanes, those into 32-bit
        // lanes (at most 512 each), and a product with a one in every lane has the total of the word in its highest
        // lane.
        assembly ("memory-safe") {
            for {
                let left := count
            } left {} {
                let w := mload(ptr)
                switch lt(left, 32)
                case 1 {
                    let drop := mul(8, sub(32, left))
                    w := shl(drop, shr(drop, w))
                    left := 0
                }
                default {
                    left := sub(left, 32)
                }
                let sign := and(shr(7, w), 0x0101010101010101010101010101010101010101010101010101010101010101)
                w := add(xor(w, mul(sign, 0xff)), sign)
                let m := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                w := add(and(w, m), and(shr(8, w), m))
                m := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                w := add(and(w, m), and(shr(16, w), m))
                w := mul(w, 0x0000000100000001000000010000000100000001000000010000000100000001)
                sum := add(sum, shr(224, w))
                ptr := add(ptr, 32)
            }
        }
    }

    /// @dev |b| of the int32 at `ptr`.
    function _magnitude(uint256 ptr) private pure returns (uint256 value) {
        // The load with its sign; then as for int8.
        assembly ("memory-safe") {
            value := sar(224, mload(ptr))
            let sign := sar(255, value)
            value := sub(xor(value, sign), sign)
        }
    }
}

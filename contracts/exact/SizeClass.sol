// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";
import {ModelReader} from "./ModelReader.sol";
import {PrefixSteps} from "./RowMaker.sol";

/// @notice The class of models any row of which one transaction judges (docs/spec/model.md, "Size class"). The numbers
/// are those of provenance/exact/model.py; tests/vectors/size_class.json holds both to them.
/// @dev Everything here is known from the header, before the bytes are read: reading is bounded by the same numbers.
library SizeClass {
    uint256 internal constant MAX_BYTES = 80_000;
    uint256 internal constant MAX_MULTIPLICATIONS = 64_000;
    uint256 internal constant MAX_COLUMNS = 128;
    uint256 internal constant MAX_CODES = 1024;
    /// @notice Bytes of conditions that an order may have.
    uint256 internal constant MAX_CONDITION_BYTES = 8192;
    /// @notice Prefix steps of a conditioned row, and what all their evaluations in one attempt may cost, in the units
    /// of docs/spec/conditions.md, "Work".
    uint256 internal constant MAX_PREFIX_STEPS = 16;
    uint256 internal constant MAX_PREFIX_WORK = 9_300_000;

    /// @notice Whether model bytes in memory, at least a header, are inside the class.
    function holds(uint256 ptr, uint256 length) internal pure returns (bool) {
        return
            length <= MAX_BYTES &&
            BigEndian.u16(ptr + 6) <= MAX_COLUMNS &&
            BigEndian.u16(ptr + 8) <= MAX_CODES &&
            _multiplications(ptr) <= MAX_MULTIPLICATIONS;
    }

    /// @notice Whether the prefix steps of a conditioned row are.
    function isInClass(PrefixSteps memory prefix) internal pure returns (bool) {
        return prefix.steps <= MAX_PREFIX_STEPS && prefix.work <= MAX_PREFIX_WORK;
    }

    /// @dev Of a row: numbers of entries of all W and V. Products of 16-bit numbers, at most 256 of them.
    function _multiplications(uint256 ptr) private pure returns (uint256 total) {
        unchecked {
            uint256 codes = BigEndian.u16(ptr + 8);
            uint256 inputs = BigEndian.u16(ptr + 10);
            uint256 neurons = BigEndian.u16(ptr + 14);
            if (BigEndian.u8(ptr + 4) == 2) return neurons * (BigEndian.u16(ptr + 6) * inputs + codes);
            uint256 depth = BigEndian.u8(ptr + 12);
            for (uint256 layer = 0; layer < depth; ++layer) {
                uint256 width = BigEndian.u16(ptr + ModelReader.HEADER + 2 * layer);
                total += inputs * width;
                inputs = width;
            }
            return total + inputs * codes;
        }
    }
}

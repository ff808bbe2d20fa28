// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Reads big-endian integers at a memory address. Each loads a whole word and drops what follows the field,
/// so up to 31 bytes behind it are read and thrown away.
library BigEndian {
    function u8(uint256 ptr) internal pure returns (uint256 value) {
        // One byte: the highest of the word.
        assembly ("memory-safe") {
            value := byte(0, mload(ptr))
        }
    }

    function u16(uint256 ptr) internal pure returns (uint256 value) {
        // Two bytes: the word shifted right by 30 bytes.
        assembly ("memory-safe") {
            value := shr(240, mload(ptr))
        }
    }

    function u32(uint256 ptr) internal pure returns (uint256 value) {
        // Four bytes: the word shifted right by 28 bytes.
        assembly ("memory-safe") {
            value := shr(224, mload(ptr))
        }
    }

    function word(uint256 ptr) internal pure returns (uint256 value) {
        // The whole word.
        assembly ("memory-safe") {
            value := mload(ptr)
        }
    }

    /// @notice Writes a whole word.
    function put(uint256 ptr, uint256 value) internal pure {
        // The caller has reserved the 32 bytes at `ptr`.
        assembly ("memory-safe") {
            mstore(ptr, value)
        }
    }
}

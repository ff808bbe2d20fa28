// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ExactTables} from "./ExactTables.sol";

/// @notice The one fixed page of memory: what the inner loops read stands at constant addresses, because adding an
/// offset to a variable base at every multiplication would cost a tenth of a row.
/// @dev 0x400 .. 0x5ff spread activations of layers with at most 128 inputs; 0x600 length of the tables; 0x620 NORMAL;
/// 0x720 EXP; free from 0x1340. `open` is called first in every external function: nothing has been allocated then.
library Workspace {
    uint256 internal constant SPREAD = 0x400;
    uint256 internal constant NORMAL = 0x620;
    uint256 internal constant EXP = 0x720;
    uint256 internal constant END = 0x1340;
    /// @notice Inputs whose spread activations fit the page.
    uint256 internal constant NARROW = 128;

    /// @notice Memory was already in use below the page's end; cannot happen in a deployed build.
    error Workspace_NotFirst(uint256 freeMemory);

    /// @notice Reserves the page and loads the tables into it.
    function open() internal pure {
        uint256 free;
        // Moves the free-memory pointer to the place of the tables, if nobody has used that place; below it, SPREAD is
        // reserved by the same move.
        assembly ("memory-safe") {
            free := mload(0x40)
            if iszero(gt(free, SPREAD)) {
                mstore(0x40, sub(NORMAL, 32))
            }
        }
        if (free > SPREAD) revert Workspace_NotFirst(free);
        bytes memory tables = ExactTables.BYTES;
        // The compiler has put the tables at the pointer: length at NORMAL - 32, bytes from NORMAL. The page ends at a
        // round address behind them.
        assembly ("memory-safe") {
            free := add(tables, 32)
            mstore(0x40, END)
        }
        if (free != NORMAL) revert Workspace_NotFirst(free);
    }

    /// @notice Reserves `bytes_` bytes, which read as zero.
    function reserve(uint256 bytes_) internal pure returns (uint256 ptr) {
        // The pointer moves by whole words and one more, so that a read of 32 bytes at the last one stays inside.
        // Copying from behind the calldata writes zeroes: the compiler does not promise clean memory above the pointer.
        assembly ("memory-safe") {
            ptr := mload(0x40)
            let size := and(add(bytes_, 63), not(31))
            mstore(0x40, add(ptr, size))
            calldatacopy(ptr, calldatasize(), size)
        }
    }
}

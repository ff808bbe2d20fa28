// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Workspace} from "./Workspace.sol";

/// @notice Bytes from calldata into memory, and their SHA-256 there.
library ModelBytes {
    /// @notice Copies `data` to memory, with zeroes behind it.
    function load(bytes calldata data) internal pure returns (uint256 ptr) {
        ptr = Workspace.reserve(data.length);
        // One copy into reserved memory.
        assembly ("memory-safe") {
            calldatacopy(ptr, data.offset, data.length)
        }
    }

    /// @notice SHA-256 of `length` bytes of memory.
    function digest(uint256 ptr, uint256 length) internal view returns (bytes32 value) {
        // Precompile 2; its answer goes to scratch memory. It fails for want of gas only, and then everything does.
        assembly ("memory-safe") {
            if iszero(staticcall(gas(), 2, ptr, length, 0, 32)) {
                revert(0, 0)
            }
            value := mload(0)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Workspace} from "./Workspace.sol";

/// @notice Model bytes that {IModelStore} keeps as contract code, back into memory.
library ModelParts {
    /// @notice An address without code, or with code of one byte, holds no part.
    error ModelParts_NoPart(address ptr);

    /// @notice The parts one after another, with zeroes behind the last.
    /// @dev The bytes of `code` from the second on, whatever the contract is: who reads a model hashes it.
    function load(address[] calldata parts) internal view returns (uint256 ptr, uint256 length) {
        for (uint256 i = 0; i < parts.length; ++i) {
            uint256 size = parts[i].code.length;
            if (size < 2) revert ModelParts_NoPart(parts[i]);
            length += size - 1;
        }
        ptr = Workspace.reserve(length);
        uint256 to = ptr;
        for (uint256 i = 0; i < parts.length; ++i) {
            address part = parts[i];
            // Copies the code without its first byte into reserved memory.
            assembly ("memory-safe") {
                let size := sub(extcodesize(part), 1)
                extcodecopy(part, to, 1, size)
                to := add(to, size)
            }
        }
    }

    /// @notice The same as a bytes array.
    function join(address[] calldata parts) internal view returns (bytes memory model) {
        // Reserves two words and leaves the second for the length: `load` reserves what follows it.
        Workspace.reserve(32);
        (uint256 ptr, uint256 length) = load(parts);
        // The word before the bytes is the one reserved above, so it is free to hold their number.
        assembly ("memory-safe") {
            model := sub(ptr, 32)
            mstore(model, length)
        }
    }
}

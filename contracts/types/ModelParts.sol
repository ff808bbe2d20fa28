// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Reads model bytes that were stored as the code of contracts, part by part ({IModelStore}).
library ModelParts {
    /// @notice No part of a model lies at this address.
    error ModelParts_NoPart(address part);

    /// @notice The parts joined. The code of a part is one zero byte, which keeps it from being run, and then its bytes.
    function read(address[] memory parts) internal view returns (bytes memory model) {
        uint256 size = 0;
        for (uint256 i = 0; i < parts.length; ++i) {
            if (parts[i].code.length < 2) revert ModelParts_NoPart(parts[i]);
            size += parts[i].code.length - 1;
        }
        model = new bytes(size);
        uint256 position = 0;
        for (uint256 i = 0; i < parts.length; ++i) {
            address part = parts[i];
            uint256 length = part.code.length - 1;
            // Copies bytes 1 .. length of the part's code to the place `position` of `model`. Stays inside the bytes that
            // `new bytes(size)` set aside, since the lengths sum up to `size`.
            assembly ("memory-safe") {
                extcodecopy(part, add(add(model, 32), position), 1, length)
            }
            position += length;
        }
    }
}

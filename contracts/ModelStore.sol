// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelStore} from "./interfaces/IModelStore.sol";

/// @notice Described in {IModelStore}.
contract ModelStore is IModelStore {
    /// @dev The chain's limit for code, less the zero byte.
    uint256 private constant _MAX_LENGTH = 24_575;
    /// @dev Creation code that returns whatever follows its first eleven bytes: PUSH1 11, MSIZE, DUP2, CODESIZE, SUB,
    /// DUP1, SWAP3, MSIZE, CODECOPY, RETURN. The byte after it, 00, starts the stored code.
    bytes private constant _PREFIX = hex"600b5981380380925939f300";

    /// @inheritdoc IModelStore
    function store(bytes calldata part) external returns (address stored) {
        bytes memory code = _creationCode(part);
        bytes32 salt = keccak256(part);
        stored = _addressOf(code, salt);
        if (stored.code.length != 0) return stored;
        address created;
        // CREATE2 with no value; the code lies behind the length word of the bytes array.
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            created := create2(0, add(code, 32), mload(code), salt)
        }
        if (created != stored) revert ModelStore_NotCreated(part.length);
        emit PartStored(stored, part.length);
    }

    /// @inheritdoc IModelStore
    function addressOf(bytes calldata part) external view returns (address stored) {
        return _addressOf(_creationCode(part), keccak256(part));
    }

    function _creationCode(bytes calldata part) private pure returns (bytes memory code) {
        if (part.length == 0 || part.length > _MAX_LENGTH) {
            revert ModelStore_LengthOutOfRange(part.length, _MAX_LENGTH);
        }
        return bytes.concat(_PREFIX, part);
    }

    function _addressOf(bytes memory code, bytes32 salt) private view returns (address stored) {
        bytes32 digest = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, keccak256(code)));
        return address(uint160(uint256(digest)));
    }
}

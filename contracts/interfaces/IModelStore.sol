// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Model bytes as contract code
/// @notice Code can be read more cheaply than calldata can be sent. Model bytes are cut into parts of at most 24,575
/// bytes, each stored once by anyone; whoever challenges several rows of one model names the parts.
/// @dev State: none but the contracts it makes, which hold one zero byte, so that they stop when called, and the part.
/// Privileges: none. Money: none. Nothing says that a part is good: who reads it hashes the whole.
interface IModelStore {
    /// @notice A part stands in the code of `stored` from now on.
    event PartStored(address indexed stored, uint256 length);

    /// @notice A part must have 1 to `maximum` bytes.
    error ModelStore_LengthOutOfRange(uint256 length, uint256 maximum);
    /// @notice The part could not be created; the transaction has too little gas for 200 a byte.
    error ModelStore_NotCreated(uint256 length);

    /// @notice Stores a part, unless it is there already.
    /// @return stored where: a function of this contract's address and the bytes, see `addressOf`.
    function store(bytes calldata part) external returns (address stored);

    /// @notice Where a part stands or would stand.
    function addressOf(bytes calldata part) external view returns (address stored);
}

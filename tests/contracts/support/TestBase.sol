// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice Assertions that say what was found and what was expected.
abstract contract TestBase {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Found(string what, uint256 found, uint256 expected);
    error FoundWord(string what, bytes32 found, bytes32 expected);

    /// @dev Deploys a contract as it was built, from its artifact.
    function _create(string memory name, bytes memory arguments) internal returns (address created) {
        bytes memory code = bytes.concat(_creationCode(name), arguments);
        assembly {
            created := create(0, add(code, 32), mload(code))
            if iszero(created) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    function _creationCode(string memory name) internal view returns (bytes memory) {
        string memory path = string.concat("artifacts/contracts/", name, ".sol/", name, ".json");
        return vm.parseJsonBytes(vm.readFile(path), ".bytecode");
    }

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert Found(what, found, expected);
    }

    function assertEq(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert FoundWord(what, found, expected);
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        if (found != expected) {
            revert FoundWord(what, bytes32(uint256(uint160(found))), bytes32(uint256(uint160(expected))));
        }
    }

    function assertAtMost(uint256 found, uint256 maximum, string memory what) internal pure {
        if (found > maximum) revert Found(what, found, maximum);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert Found(what, 0, 1);
    }

    /// @dev A value between `low` and `high`, from a fuzzed word.
    function bound(uint256 word, uint256 low, uint256 high) internal pure returns (uint256) {
        if (low == 0 && high == type(uint256).max) return word;
        return low + (word % (high - low + 1));
    }

    /// @dev Index of a decimal string for JSON keys.
    function text(uint256 value) internal pure returns (string memory) {
        if (value < 10) return string(abi.encodePacked(bytes1(uint8(48 + value))));
        return string.concat(text(value / 10), text(value % 10));
    }
}

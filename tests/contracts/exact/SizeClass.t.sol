// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SizeClass} from "../../../contracts/exact/SizeClass.sol";
import {TestBase} from "../support/TestBase.sol";

/// @notice The numbers of the size class are those of the shared vectors, which hold Python to them too.
contract SizeClassTest is TestBase {
    function test_TheNumbersAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/size_class.json");
        _assertNumber(json, "MAX_PROVABLE_BYTES", SizeClass.MAX_BYTES);
        _assertNumber(json, "MAX_PROVABLE_MULTIPLICATIONS", SizeClass.MAX_MULTIPLICATIONS);
        _assertNumber(json, "MAX_PROVABLE_COLUMNS", SizeClass.MAX_COLUMNS);
        _assertNumber(json, "MAX_PROVABLE_CODES", SizeClass.MAX_CODES);
        _assertNumber(json, "MAX_CONDITION_BYTES", SizeClass.MAX_CONDITION_BYTES);
        _assertNumber(json, "MAX_PREFIX_STEPS", SizeClass.MAX_PREFIX_STEPS);
        _assertNumber(json, "MAX_PREFIX_WORK", SizeClass.MAX_PREFIX_WORK);
    }

    function _assertNumber(string memory json, string memory name, uint256 found) private pure {
        assertEq(found, vm.parseJsonUint(json, string.concat(".numbers.", name)), name);
    }
}

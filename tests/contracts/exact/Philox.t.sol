// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Philox} from "../../../contracts/exact/Philox.sol";
import {TestBase} from "../support/TestBase.sol";

/// @notice Blocks whose counter has no third and fourth word, which is all that rows use.
contract PhiloxTest is TestBase {
    function test_BlocksAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/philox.json");
        // of the five vectors the first four have such counters
        for (uint256 i = 0; i < 4; ++i) {
            string memory item = string.concat(".blocks[", text(i), "]");
            uint256[4] memory words;
            uint256 to;
            // Where the four words of the fixed array stand.
            assembly ("memory-safe") {
                to := words
            }
            Philox.block4(
                _word(json, item, ".counter", 0),
                _word(json, item, ".counter", 1),
                _word(json, item, ".key", 0),
                _word(json, item, ".key", 1),
                to
            );
            for (uint256 k = 0; k < 4; ++k) assertEq(words[k], _word(json, item, ".block", k), item);
        }
    }

    function _word(
        string memory json,
        string memory item,
        string memory list,
        uint256 index
    ) private pure returns (uint256) {
        return vm.parseJsonUint(json, string.concat(item, list, "[", text(index), "]"));
    }
}

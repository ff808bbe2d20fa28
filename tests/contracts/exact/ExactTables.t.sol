// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ExactTables} from "../../../contracts/exact/ExactTables.sol";
import {TestBase} from "../support/TestBase.sol";

/// @notice The tables are the published ones, and the digest that models must name is theirs.
contract ExactTablesTest is TestBase {
    function test_BytesHashToTheDigestOfTheSpecification() public pure {
        bytes32 published = 0xf5d60c326204acfbbd9529cc8deacfbbd5954852296b675873b796c6b8c75475;
        assertEq(ExactTables.BYTES.length, 3332, "length");
        assertEq(sha256(ExactTables.BYTES), published, "bytes");
        assertEq(ExactTables.DIGEST, published, "digest");
    }

    function test_BytesAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/model.json");
        assertEq(keccak256(vm.parseJsonBytes(json, ".tables")), keccak256(ExactTables.BYTES), "tables");
    }
}

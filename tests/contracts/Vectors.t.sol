// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetTree} from "../../contracts/types/DatasetTree.sol";
import {OrderTerms, OrderTermsHash} from "../../contracts/types/OrderTerms.sol";
import {TesseraDomain} from "../../contracts/types/TesseraDomain.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice The domain of an escrow at any address.
contract DomainOf is TesseraDomain {
    using OrderTermsHash for OrderTerms;

    constructor(address escrow) TesseraDomain(escrow) {}

    function orderId(OrderTerms calldata terms) external view returns (bytes32) {
        return _digest(terms.hash());
    }
}

/// @notice The vectors that Python tests read too.
contract VectorsTest is TestBase {
    function test_DataSetRootsAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/merkle.json");
        uint256 count = 0;
        for (; _has(json, ".datasetRoots", count); ++count) {
            string memory item = _at(".datasetRoots", count);
            bytes32[] memory roots = vm.parseJsonBytes32Array(json, string.concat(item, ".shardRoots"));
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(item, ".root"));
            assertEq(DatasetTree.root(roots), expected, item);
        }
        assertTrue(count >= 5, "vectors read");
    }

    function _has(string memory json, string memory list, uint256 index) private view returns (bool) {
        return vm.keyExistsJson(json, _at(list, index));
    }

    function _at(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", text(index), "]");
    }
}

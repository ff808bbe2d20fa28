// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRowVerifier} from "../../../contracts/interfaces/IRowVerifier.sol";
import {TestBase} from "./TestBase.sol";

/// @notice A deployed row verifier and the rows of tests/vectors/verifier.json.
abstract contract VerifierVectors is TestBase {
    struct Case {
        bytes model;
        bytes conditions;
        bytes row;
        uint32 shard;
        uint64 requestRow;
        uint256 number;
        string name;
    }

    IRowVerifier internal verifier;
    string internal json;

    function setUp() public virtual {
        verifier = IRowVerifier(_create("RowVerifier", ""));
        json = vm.readFile("tests/vectors/verifier.json");
    }

    function _case(uint256 index) internal view returns (Case memory item) {
        item.name = string.concat(".rows[", text(index), "]");
        item.model = _model(vm.parseJsonString(json, string.concat(item.name, ".model")));
        item.conditions = vm.parseJsonBytes(json, string.concat(item.name, ".conditions"));
        item.row = vm.parseJsonBytes(json, string.concat(item.name, ".rowBytes"));
        item.shard = uint32(vm.parseJsonUint(json, string.concat(item.name, ".shard")));
        item.requestRow = uint64(vm.parseJsonUint(json, string.concat(item.name, ".requestRow")));
        item.number = vm.parseJsonUint(json, string.concat(item.name, ".row"));
    }

    function _count(string memory list) internal view returns (uint256 count) {
        while (vm.keyExistsJson(json, string.concat(list, "[", text(count), "]"))) ++count;
    }

    function _model(string memory name) internal view returns (bytes memory data) {
        for (uint256 i = 0; data.length == 0; ++i) {
            string memory item = string.concat(".models[", text(i), "]");
            string memory found = vm.parseJsonString(json, string.concat(item, ".name"));
            if (keccak256(bytes(found)) == keccak256(bytes(name))) {
                data = vm.parseJsonBytes(json, string.concat(item, ".bytes"));
            }
        }
    }

    /// @dev A query for row `item.number`, all rows of these vectors being in chunk 0 of a shard of 20 rows.
    function _query(Case memory item) internal view returns (IRowVerifier.RowQuery memory query) {
        query.modelDigest = sha256(item.model);
        query.schemaDigest = _schemaOf(item.model);
        query.sizeClass = 1;
        query.seed = vm.parseJsonBytes32(json, ".seed");
        query.shard = item.shard;
        query.shardRows = 20;
        query.requestRow = item.requestRow;
        query.row = uint32(item.number);
    }

    /// @dev A chunk of 20 rows, all zero but the case's; a row of `width` zeroes where the case has none.
    function _chunk(Case memory item, uint256 width) internal pure returns (bytes memory chunk) {
        chunk = new bytes(20 * width);
        for (uint256 i = 0; i < item.row.length; ++i) {
            chunk[item.number * width + i] = item.row[i];
        }
    }

    /// @dev Bytes of a row, from the model's columns.
    function _rowWidth(bytes memory model) internal pure returns (uint256 width) {
        uint256 columns = (uint256(uint8(model[6])) << 8) + uint8(model[7]);
        uint256 first = 80 + 2 * uint256(uint8(model[12]));
        for (uint256 column = 0; column < columns; ++column) {
            width += uint8(model[first + 3 * column + 2]);
        }
    }

    function _judge(Case memory item) internal view returns (IRowVerifier.Verdict) {
        return _judged(item.model, item.conditions, _query(item), _chunk(item, _rowWidth(item.model)));
    }

    function _judged(
        bytes memory model,
        bytes memory conditions,
        IRowVerifier.RowQuery memory query,
        bytes memory chunk
    ) internal view returns (IRowVerifier.Verdict verdict) {
        (verdict, ) = verifier.judge(model, new address[](0), conditions, query, chunk);
    }

    /// @dev The schema digest in a header.
    function _schemaOf(bytes memory model) internal pure returns (bytes32 digest) {
        if (model.length < 48) return 0;
        // Bytes 16 .. 47 behind the length.
        assembly ("memory-safe") {
            digest := mload(add(model, 48))
        }
    }

    function _assertVerdict(
        IRowVerifier.Verdict found,
        IRowVerifier.Verdict expected,
        string memory what
    ) internal pure {
        assertEq(uint256(found), uint256(expected), what);
    }
}

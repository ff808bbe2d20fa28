// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelStore} from "../../contracts/interfaces/IModelStore.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {ModelParts} from "../../contracts/exact/ModelParts.sol";
import {VerifierVectors} from "./support/VerifierVectors.sol";

/// @notice Plan.
/// judge
///   given bytes of another digest: reverts with both digests
///   given a whole chunk, when the row is none of its rows: reverts with their number
///   given bytes that break the format: Malformed, whatever the bytes
///   when the chunk is short, long, or past the end: Differs
///   when a byte of the row is another: Differs; a byte of another row: Agrees
///   when the conditions have no such row, or are none: Differs
///   given the vectors: Agrees exactly where there is a row
///   given the model in parts: the same; an address without a part reverts
/// rowOf: the vectors; reverts where there is no row or no model
/// judgeModel: Agrees for every model of the vectors, not for those that a reader refuses
/// verify: the row of the prompt and no other
contract RowVerifierTest is VerifierVectors {
    function test_RevertWhen_TheModelHasAnotherDigest() public {
        Case memory item = _case(2);
        IRowVerifier.RowQuery memory query = _query(item);
        query.modelDigest = bytes32(uint256(1));
        bytes memory chunk = _chunk(item, item.row.length);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRowVerifier.RowVerifier_WrongModel.selector,
                sha256(item.model),
                query.modelDigest
            )
        );
        verifier.judge(item.model, new address[](0), "", query, chunk);
    }

    function test_RevertWhen_TheChunkHasNoSuchRow() public {
        Case memory item = _case(2);
        IRowVerifier.RowQuery memory query = _query(item);
        query.row = 20;
        bytes memory chunk = _chunk(item, item.row.length);
        vm.expectRevert(abi.encodeWithSelector(IRowVerifier.RowVerifier_RowOutsideChunk.selector, 20, 20));
        verifier.judge(item.model, new address[](0), "", query, chunk);
    }

    function test_RowsUnderConditionsThatAreNoneDoNotExist() public view {
        _noRow(hex"00");
        _noRow(hex"0000");
        _noRow(hex"1001");
        // a segment of no rows, one that is cut off, a byte too many
        _noRow(hex"0001000000000000");
        _noRow(hex"00010000001e");
        _noRow(hex"00010000001e000000");
        // a column cut off, without ranges, with ranges cut off
        _noRow(hex"00010000001e00010000");
        _noRow(hex"00010000001e0001000000000000");
        _noRow(hex"00010000001e0001000000000001000000000000");
        // ranges that are empty, touch; a column twice
        _noRow(hex"00010000001e00010000000000010000000200000001");
        _noRow(hex"00010000001e0001000000000002000000000000000100000002000000ff");
        _noRow(hex"00010000001e000200000000000100000000000000010000000000010000000000000001");
    }

    function test_RevertWhen_ThereIsNoRowToGive() public {
        Case memory item = _case(44);
        assertEq(item.row.length, 0, "a case without a row");
        IRowVerifier.RowQuery memory query = _query(item);
        vm.expectRevert(abi.encodeWithSelector(IRowVerifier.RowVerifier_NoSuchRow.selector, item.number));
        verifier.rowOf(item.model, item.conditions, query);
        item.model = hex"54534d31";
        query = _query(item);
        bytes32 digest = sha256(item.model);
        vm.expectRevert(abi.encodeWithSelector(IRowVerifier.RowVerifier_MalformedModel.selector, digest));
        verifier.rowOf(item.model, "", query);
    }

    function test_RevertWhen_TheRowCounterIsTooLarge() public {
        Case memory item = _case(2);
        IRowVerifier.RowQuery memory query = _query(item);
        // two latent words and three columns: two blocks a row, 1,024 rows of four bytes a chunk
        query.chunk = uint64(1 << 53);
        query.row = 0;
        vm.expectRevert(abi.encodeWithSelector(IRowVerifier.RowVerifier_NoSuchRow.selector, uint256(1) << 63));
        verifier.rowOf(item.model, "", query);
        query.chunk -= 1;
        query.row = 1023;
        assertEq(verifier.rowOf(item.model, "", query).length, item.row.length, "the last row there is");
    }

    function test_RefusedModelsAreMalformedOrUnsound() public view {
        string memory models = vm.readFile("tests/vectors/model.json");
        uint256 beyondTheBound = 0;
        uint256 i = 0;
        for (; vm.keyExistsJson(models, _refused(i)); ++i) {
            Case memory item = _case(2);
            item.model = vm.parseJsonBytes(models, string.concat(_refused(i), ".bytes"));
            string memory name = vm.parseJsonString(models, string.concat(_refused(i), ".name"));
            assertTrue(!_isSound(item.model), name);
            IRowVerifier.RowQuery memory query = _query(item);
            query.sizeClass = 0;
            IRowVerifier.Verdict verdict = _judged(item.model, "", query, _chunk(item, 4));
            // rule 10 is judgeModel's alone
            if (verdict != IRowVerifier.Verdict.Malformed) ++beyondTheBound;
        }
        assertEq(i, 31, "models read");
        assertEq(beyondTheBound, 4, "models of which only the bound is broken");
    }

    function testFuzz_HostileBytesGetAVerdict(uint256 which, uint256 place, uint8 value, uint256 cut) public view {
        Case memory item = _case(bound(which, 0, 23));
        item.model[bound(place, 0, 127 < item.model.length ? 127 : item.model.length - 1)] = bytes1(value);
        bytes memory model = item.model;
        uint256 length = bound(cut, 0, 3) == 0 ? bound(cut, 0, model.length) : model.length;
        // Shortens the array in place.
        assembly ("memory-safe") {
            mstore(model, length)
        }
        bytes memory chunk = new bytes(20 * 8);
        IRowVerifier.RowQuery memory query = _query(item);
        query.row = 0;
        IRowVerifier.Verdict verdict = _judged(model, "", query, chunk);
        assertTrue(uint256(verdict) < 5, "a verdict");
        if (length < 80) _assertVerdict(verdict, IRowVerifier.Verdict.Malformed, "cut off");
        if (verdict == IRowVerifier.Verdict.Malformed) assertTrue(!_isSound(model), "no sound model");
    }

    function test_ChunksOfAnotherLengthDiffer() public view {
        Case memory item = _case(2);
        IRowVerifier.RowQuery memory query = _query(item);
        bytes memory whole = _chunk(item, 4);
        _assertVerdict(_judged(item.model, "", query, whole), IRowVerifier.Verdict.Agrees, "whole");
        bytes memory chunk = bytes.concat(whole, hex"00");
        _assertVerdict(_judged(item.model, "", query, chunk), IRowVerifier.Verdict.Differs, "long");
        query.shardRows = 21;
        _assertVerdict(_judged(item.model, "", query, whole), IRowVerifier.Verdict.Differs, "short");
        query.chunk = 1;
        _assertVerdict(_judged(item.model, "", query, whole), IRowVerifier.Verdict.Differs, "past the end");
        _assertVerdict(_judged(item.model, "", query, ""), IRowVerifier.Verdict.Differs, "nothing past it");
    }

    function testFuzz_OneOtherByteDiffersInItsRowOnly(uint256 place, uint8 change) public view {
        vm.assume(change != 0);
        Case memory item = _case(10);
        uint256 width = item.row.length;
        bytes memory chunk = _chunk(item, width);
        place = bound(place, 0, chunk.length - 1);
        chunk[place] ^= bytes1(change);
        IRowVerifier.Verdict verdict = _judged(item.model, "", _query(item), chunk);
        bool inside = place / width == item.number;
        _assertVerdict(verdict, inside ? IRowVerifier.Verdict.Differs : IRowVerifier.Verdict.Agrees, "verdict");
    }

    function test_RowsPastTheConditionsDiffer() public view {
        Case memory item = _case(24);
        assertTrue(item.conditions.length != 0, "conditions");
        IRowVerifier.RowQuery memory query = _query(item);
        bytes memory chunk = _chunk(item, item.row.length);
        query.requestRow = 12;
        IRowVerifier.Verdict verdict = _judged(item.model, item.conditions, query, chunk);
        _assertVerdict(verdict, IRowVerifier.Verdict.Differs, "request row 12 of 12");
        // one range of a column that the model does not have
        bytes memory beyond = hex"00010000001e00010003000000010000000000000001";
        query.requestRow = 0;
        verdict = _judged(item.model, beyond, query, chunk);
        _assertVerdict(verdict, IRowVerifier.Verdict.Differs, "column 3 of 3");
    }

    function test_RowsAreThoseOfTheSharedVectors() public view {
        uint256 count = _count(".rows");
        for (uint256 i = 0; i < count; ++i) {
            Case memory item = _case(i);
            bool exists = item.row.length != 0;
            IRowVerifier.Verdict expected = exists ? IRowVerifier.Verdict.Agrees : IRowVerifier.Verdict.Differs;
            _assertVerdict(_judge(item), expected, item.name);
            if (!exists) continue;
            IRowVerifier.RowQuery memory query = _query(item);
            bytes memory row = verifier.rowOf(item.model, item.conditions, query);
            assertEq(keccak256(row), keccak256(item.row), item.name);
        }
        assertEq(count, 60, "vectors read");
    }

    function test_AllModelsOfTheVectorsAreSound() public view {
        uint256 count = _count(".models");
        for (uint256 i = 0; i < count; ++i) {
            string memory item = string.concat(".models[", text(i), "]");
            assertTrue(_isSound(vm.parseJsonBytes(json, string.concat(item, ".bytes"))), item);
        }
        assertEq(count, 14, "models read");
    }

    function test_StoredModelsJudgeAsTheSameBytes() public {
        IModelStore store = IModelStore(_create("ModelStore", ""));
        Case memory item = _case(18);
        address[] memory parts = _stored(store, item.model, 3000);
        IRowVerifier.RowQuery memory query = _query(item);
        bytes memory chunk = _chunk(item, item.row.length);
        (IRowVerifier.Verdict verdict, uint256 width) = verifier.judge("", parts, "", query, chunk);
        _assertVerdict(verdict, IRowVerifier.Verdict.Agrees, "stored");
        assertEq(width, item.row.length, "row width");
        verdict = verifier.judgeModel("", parts, query.schemaDigest, 1);
        _assertVerdict(verdict, IRowVerifier.Verdict.Agrees, "sound");
        chunk[0] ^= 0x01;
        (verdict, ) = verifier.judge("", parts, "", query, chunk);
        _assertVerdict(verdict, IRowVerifier.Verdict.Differs, "altered");
        parts[1] = address(0xdead);
        vm.expectRevert(abi.encodeWithSelector(ModelParts.ModelParts_NoPart.selector, address(0xdead)));
        verifier.judge("", parts, "", query, chunk);
    }

    function test_VerifyHoldsForTheRowOfThePromptAndNoOther() public view {
        Case memory item = _case(9);
        bytes32 digest = sha256(item.model);
        bytes32 seed = vm.parseJsonBytes32(json, ".seed");
        bytes memory prompt = abi.encode(digest, seed, uint32(5), uint64(item.number));
        assertTrue(verifier.verify(prompt, item.row, item.model), "the row");
        assertTrue(
            !verifier.verify(abi.encode(digest, seed, uint32(6), uint64(1)), item.row, item.model),
            "shard"
        );
        assertTrue(!verifier.verify(abi.encode(digest, seed, uint32(5), uint64(0)), item.row, item.model), "row");
        assertTrue(!verifier.verify(abi.encode(seed, seed, uint32(5), uint64(1)), item.row, item.model), "digest");
        assertTrue(
            !verifier.verify(abi.encode(digest, seed, uint64(1 << 32), uint64(1)), item.row, item.model),
            "u32"
        );
        assertTrue(!verifier.verify(abi.encode(digest, seed, uint32(5), 1 << 64), item.row, item.model), "u64");
        assertTrue(!verifier.verify(bytes.concat(prompt, hex"00"), item.row, item.model), "long prompt");
        assertTrue(!verifier.verify(prompt, bytes.concat(item.row, hex"00"), item.model), "long row");
        bytes memory none = hex"54534d31";
        prompt = abi.encode(sha256(none), seed, uint32(5), uint64(1));
        assertTrue(!verifier.verify(prompt, item.row, none), "no model");
    }

    function _refused(uint256 index) private pure returns (string memory) {
        return string.concat(".refused[", text(index), "]");
    }

    function _noRow(bytes memory conditions) private view {
        Case memory item = _case(2);
        IRowVerifier.Verdict verdict = _judged(
            item.model,
            conditions,
            _query(item),
            _chunk(item, item.row.length)
        );
        _assertVerdict(verdict, IRowVerifier.Verdict.Differs, "no conditions");
    }

    function _isSound(bytes memory model) private view returns (bool) {
        bytes32 schema = _schemaOf(model);
        return verifier.judgeModel(model, new address[](0), schema, 1) == IRowVerifier.Verdict.Agrees;
    }

    function _stored(
        IModelStore store,
        bytes memory model,
        uint256 size
    ) private returns (address[] memory parts) {
        parts = new address[]((model.length + size - 1) / size);
        for (uint256 i = 0; i < parts.length; ++i) {
            uint256 length = i + 1 == parts.length ? model.length - i * size : size;
            bytes memory part = new bytes(length);
            for (uint256 k = 0; k < length; ++k) part[k] = model[i * size + k];
            parts[i] = store.store(part);
        }
    }
}

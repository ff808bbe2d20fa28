// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";
import {Vm} from "./support/Vm.sol";

/// @notice What a publication leaves behind: storage, digest, events.
///
/// publish, with everything in order
/// ├── given three shards: it should store the record's digests and its facts
/// ├── it should log the record, every shard and every evaluation, and nothing else
/// └── given one shard without privacy: it should claim none for the data set
contract DatasetRecordTest is Market {
    /// @dev Data of DatasetPublished.
    struct Published {
        bytes32 manifestDigest;
        bytes32 datasetRoot;
        bytes32 seed;
        bytes32 scoreDigest;
        uint64 rows;
        uint64 epsilonMicro;
        uint64 deltaE12;
        uint16 depth;
        uint16 specVersion;
        uint32 realFractionMicro;
        uint256[] parents;
        uint16[] sharesBps;
    }

    /// @dev Data of ShardRecorded.
    struct Shard {
        bytes32 modelDigest;
        bytes32 shardRoot;
        uint64 rows;
        uint64 epsilonMicro;
        uint64 deltaE12;
        bytes32 contentDigest;
        bytes receipt;
    }

    function _seed(bytes32 order) private view returns (bytes32) {
        return commitment.commitmentOf(order).seed;
    }

    function test_StoresTheRecordsDigests() public {
        vm.warp(START + 60);
        (bytes32 order, uint256 id) = _publish(_terms());
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(id);
        assertEq(found.order, order, "order");
        assertEq(found.manifestDigest, record.manifestDigest, "manifest");
        assertEq(found.datasetRoot, _root(record), "root");
        assertEq(found.publishedAt, START + 60, "publishedAt");
        assertEq(found.rows, 1_000, "rows");
        assertEq(found.depth, 0, "depth");
        assertEq(found.specVersion, 1, "version");
        assertEq(uint256(found.status), uint256(IDatasetRegistry.Status.Valid), "status");
        assertEq(found.recordDigest, _recordDigest(order, record), "record");
    }

    /// @dev As the interface describes it, so that a later fraud proof can be checked against calldata. Without
    /// parents the computed real fraction is that of the terms.
    function _recordDigest(
        bytes32 order,
        IDatasetRegistry.DatasetRecord memory record
    ) private view returns (bytes32) {
        bytes32[] memory shards = new bytes32[](3);
        for (uint256 k = 0; k < 3; ++k) {
            shards[k] = keccak256(abi.encode(_node(k), _hashReceipt(order, k, record.shards[k])));
        }
        return keccak256(_encodeRecord(order, record, shards));
    }

    function _encodeRecord(
        bytes32 order,
        IDatasetRegistry.DatasetRecord memory record,
        bytes32[] memory shards
    ) private view returns (bytes memory) {
        return
            abi.encode(
                order,
                _seed(order),
                _root(record),
                record.manifestDigest,
                record.scoreDigest,
                uint16(1),
                uint32(1_000_000),
                record.parents,
                record.sharesBps,
                shards
            );
    }

    function test_LogsTheWholeRecord() public {
        bytes32 order = _draw(_terms());
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.recordLogs();
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        // The first is the ERC-721 transfer, the last the escrow's OrderPublished.
        assertEq(logs.length, 9, "events");
        _assertPublished(logs[1], order, record, 2_000_002, 9_000_002);
        for (uint256 k = 0; k < 3; ++k) {
            _assertShard(logs[2 + 2 * k], k, record.shards[k]);
            _assertEvaluation(logs[3 + 2 * k], k, record.evaluations[k]);
        }
        assertEq(logs[8].emitter, address(escrow), "emitter");
        assertEq(logs[8].topics[0], IOrderEscrow.OrderPublished.selector, "event");
        assertEq(logs[8].topics[1], order, "order");
    }

    function test_OneShardWithoutPrivacyLeavesTheDataSetWithout() public {
        OrderTerms memory terms = _terms();
        (terms.epsilonMicro, terms.deltaE12) = (0, 0);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        (record.shards[1].epsilonMicro, record.shards[1].deltaE12) = (0, 0);
        _signRecord(order, record);
        vm.recordLogs();
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        _assertPublished(vm.getRecordedLogs()[1], order, record, 0, 0);
    }

    function _assertPublished(
        Vm.Log memory log,
        bytes32 order,
        IDatasetRegistry.DatasetRecord memory record,
        uint64 epsilonMicro,
        uint64 deltaE12
    ) private view {
        assertEq(log.topics[0], IDatasetRegistry.DatasetPublished.selector, "event");
        assertEq(uint256(log.topics[1]), 1, "id");
        assertEq(log.topics[2], order, "order");
        Published memory expected;
        expected.manifestDigest = record.manifestDigest;
        expected.datasetRoot = _root(record);
        expected.seed = _seed(order);
        expected.scoreDigest = record.scoreDigest;
        expected.rows = 1_000;
        expected.epsilonMicro = epsilonMicro;
        expected.deltaE12 = deltaE12;
        expected.specVersion = 1;
        expected.realFractionMicro = 1_000_000;
        expected.parents = record.parents;
        expected.sharesBps = record.sharesBps;
        _assertData(log, abi.encode(expected));
    }

    function _assertShard(Vm.Log memory log, uint256 k, IDatasetRegistry.ShardRecord memory shard) private view {
        assertEq(log.topics[0], IDatasetRegistry.ShardRecorded.selector, "event");
        assertEq(uint256(log.topics[1]), 1, "id");
        assertEq(uint256(log.topics[2]), k, "shard");
        assertEq(uint256(log.topics[3]), uint160(_node(k)), "contributor");
        Shard memory expected;
        expected.modelDigest = shard.modelDigest;
        expected.shardRoot = shard.shardRoot;
        expected.rows = _participants()[k].rows;
        expected.epsilonMicro = shard.epsilonMicro;
        expected.deltaE12 = shard.deltaE12;
        expected.contentDigest = shard.contentDigest;
        expected.receipt = shard.receipt;
        _assertData(log, abi.encode(expected));
    }

    function _assertEvaluation(
        Vm.Log memory log,
        uint256 k,
        IDatasetRegistry.EvaluationRecord memory evaluation
    ) private view {
        assertEq(log.topics[0], IDatasetRegistry.EvaluationRecorded.selector, "event");
        assertEq(uint256(log.topics[1]), 1, "id");
        assertEq(uint256(log.topics[2]), uint160(_node(k)), "contributor");
        _assertData(log, abi.encode(evaluation));
    }

    /// @dev A struct is encoded as an event's data is, behind one word that says where it starts.
    function _assertData(Vm.Log memory log, bytes memory encodedStruct) private view {
        assertEq(log.emitter, address(datasets), "emitter");
        assertEq(keccak256(bytes.concat(bytes32(uint256(32)), log.data)), keccak256(encodedStruct), "data");
    }
}

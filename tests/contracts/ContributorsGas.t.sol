// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice An order of as many contributors as there may be: each step takes less than half of the gas that a transaction
/// may have, and a conviction of the last shard fits one beside the costliest row. Ten rows a contributor, one chunk a
/// shard, models of five bytes.
contract ContributorsGasTest is RowMarket {
    uint256 private constant MOST = 128;
    uint64 private constant ROWS_EACH = 10;
    uint256 private constant HALF_CAP = 16_777_216 / 2;
    bytes private constant MODEL = "model";

    Participant[] private _all;
    bytes32[] private _digests;
    bool private _indivisible;

    function setUp() public override {
        super.setUp();
        bytes32 digest = sha256(MODEL);
        for (uint256 k = 0; k < MOST; ++k) {
            if (k > 2) _enrol(_node(k), DEPOSIT);
            _all.push(Participant(_node(k), ROWS_EACH));
            _digests.push(digest);
        }
    }

    function _assertGas(uint256 maximum, string memory step) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("gas", step, gas);
        assertAtMost(gas, maximum, step);
    }

    function _ordered() private view returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.minContributors, terms.maxContributors) = (1, uint8(MOST));
        (terms.rows, terms.indivisible) = (uint64(MOST * ROWS_EACH), _indivisible);
    }

    function _matchAll() private returns (bytes32 order) {
        OrderTerms memory terms = _ordered();
        order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _all);
        vm.prank(broker);
        escrow.matchOrder(terms, _all, acceptances, maxRows, "");
    }

    function _commitAll(bytes32 order) private returns (bytes32[] memory saltDigests, bytes32[] memory salts) {
        (saltDigests, salts) = (new bytes32[](MOST), new bytes32[](MOST));
        bytes[] memory signatures = new bytes[](MOST);
        bytes32 typehash = keccak256(
            "ModelCommitment(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 saltDigest)"
        );
        for (uint256 k = 0; k < MOST; ++k) {
            salts[k] = keccak256(abi.encode(k));
            saltDigests[k] = keccak256(abi.encode(order, k, salts[k]));
            bytes32 message = keccak256(abi.encode(typehash, order, k, _digests[k], saltDigests[k]));
            signatures[k] = _signStruct(NODE_KEY + k, message);
        }
        commitment.commit(order, _all, _digests, saltDigests, signatures);
    }

    function _publishAll() private returns (bytes32 order, uint256 id) {
        order = _matchAll();
        (bytes32[] memory saltDigests, bytes32[] memory salts) = _commitAll(order);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, saltDigests, salts);
        IDatasetRegistry.DatasetRecord memory record = _recordOfAll(order);
        vm.prank(broker);
        id = datasets.publish(_ordered(), _all, record);
    }

    function _sharesOfAll() private pure returns (uint16[] memory shares) {
        shares = new uint16[](MOST);
        for (uint256 k = 0; k < MOST; ++k) shares[k] = uint16(10_000 / MOST);
        shares[0] += uint16(10_000 % MOST);
    }

    function _recordOfAll(bytes32 order) private view returns (IDatasetRegistry.DatasetRecord memory record) {
        record.manifestDigest = sha256("manifest");
        record.scoreDigest = sha256("score");
        record.sharesBps = _sharesOfAll();
        record.shards = new IDatasetRegistry.ShardRecord[](MOST);
        bytes32 seed = commitment.commitmentOf(order).seed;
        for (uint256 k = 0; k < MOST; ++k) {
            record.shards[k] = IDatasetRegistry.ShardRecord(
                _digests[k],
                _rootOf(k),
                2_000_000,
                9_000_000,
                seed,
                ""
            );
            record.shards[k].receipt = _receipt(order, seed, k, record.shards[k]);
        }
        record.evaluations = new IDatasetRegistry.EvaluationRecord[](MOST);
        bytes32 root = _root(record);
        for (uint256 k = 0; k < MOST; ++k) {
            uint32 score = uint32(900_000 - 100 * k);
            bytes memory signature = _signEvaluation(NODE_KEY + k, order, root, score, record.sharesBps);
            record.evaluations[k] = IDatasetRegistry.EvaluationRecord(score, signature);
        }
    }

    function _receipt(
        bytes32 order,
        bytes32 seed,
        uint256 k,
        IDatasetRegistry.ShardRecord memory shard
    ) private view returns (bytes memory) {
        bytes32 typehash = keccak256(
            "ShardReceipt(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 seed,uint64 rows,bytes32 shardRoot,"
            "uint64 epsilonMicro,uint64 deltaE12,bytes32 contentDigest)"
        );
        bytes memory head = abi.encode(typehash, order, k, shard.modelDigest, seed, ROWS_EACH);
        bytes memory tail = abi.encode(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest);
        return _signStruct(NODE_KEY + k, keccak256(bytes.concat(head, tail)));
    }

    /// @dev The rows of the last shard are false.
    function _chunkOf(uint256 k) private pure returns (bytes memory chunk) {
        bytes32[] memory words = new bytes32[](ROWS_EACH);
        for (uint256 row = 0; row < ROWS_EACH; ++row) {
            words[row] = k == MOST - 1 ? bytes32(type(uint256).max) : bytes32(1_000 * (k + 1) + row);
        }
        return abi.encodePacked(words);
    }

    function _rootOf(uint256 k) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), uint64(0), _chunkOf(k)));
    }

    function _challengeTheLast(uint256 id) private {
        uint32 shard = uint32(MOST - 1);
        IChallenges.Claim memory claim = _claim(id, shard, 3);
        _commitTo(claim, stranger);
        bytes32[] memory leaves = new bytes32[](MOST);
        for (uint256 k = 0; k < MOST; ++k) {
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), _rootOf(k)));
        }
        IChallenges.Evidence memory evidence;
        evidence.modelDigests = _digests;
        evidence.shardRoot = _rootOf(shard);
        (evidence.shardProof, ) = _path(leaves, shard);
        (evidence.chunkBytes, evidence.model) = (_chunkOf(shard), MODEL);
        vm.prank(stranger);
        challenges.challenge(_ordered(), _all, claim, evidence, SALT, _noParents());
    }

    function test_EveryStepOfTheLargestOrderTakesLessThanHalfOfATransaction() public {
        bytes32 order = _matchAll();
        _assertGas(HALF_CAP, "match of most contributors");
        (bytes32[] memory saltDigests, bytes32[] memory salts) = _commitAll(order);
        _assertGas(HALF_CAP, "commit of most contributors");
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, saltDigests, salts);
        _assertGas(HALF_CAP, "draw of most contributors");
        IDatasetRegistry.DatasetRecord memory record = _recordOfAll(order);
        vm.prank(broker);
        datasets.publish(_ordered(), _all, record);
        _assertGas(HALF_CAP, "publish of most contributors");
        vm.warp(escrow.windowOf(_ordered()) + 1);
        escrow.settle(_ordered(), _all, record.sharesBps, _noParents());
        _assertGas(HALF_CAP, "settle of most contributors");
    }

    /// @dev docs/spec/model.md, "Size class", keeps 3.6 M free for it beside the costliest row, of 12.3 M.
    function test_AConvictionInTheLargestOrderCostsAtMost2MBesideItsRow() public {
        (bytes32 order, uint256 id) = _publishAll();
        _challengeTheLast(id);
        _assertGas(2_000_000, "conviction among most contributors");
        assertOut(order, MOST - 1);
    }

    function test_AConvictionThatEndsTheLargestOrderCostsAtMost2MBesideItsRow() public {
        _indivisible = true;
        (bytes32 order, uint256 id) = _publishAll();
        _challengeTheLast(id);
        _assertGas(2_000_000, "conviction that ends an order of most contributors");
        assertState(order, IOrderEscrow.State.Revoked);
    }
}

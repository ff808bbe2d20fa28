// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Publication without somebody's evaluation, or without somebody.
///
/// publish
/// ├── given an evaluation that nobody demanded is missing: it should revert
/// ├── given a contributor that answered with another evaluation
/// │   ├── it should publish without it, if more than half have signed
/// │   ├── it should revert when less than half of its part by rows is its share
/// │   └── when the answer is about the same root: its score should count
/// ├── given a silent contributor: it should not be counted
/// └── given a shard that is out: it should take nothing of it but its model's digest
contract DatasetQuorumTest is RowMarket {
    bytes32 private _order;
    IDatasetRegistry.EvaluationRecord private _none;

    function setUp() public override {
        super.setUp();
        _order = _draw(_terms());
    }

    /// @dev Contributor `k` answers a demand with an evaluation of that root and score, for other shares.
    function _dissent(uint32 k, bytes32 root, uint32 score) private {
        _demandStep(_terms(), k, IDemands.Kind.Evaluation, new bytes32[](0));
        uint16[] memory shares = new uint16[](3);
        shares[k] = 10_000;
        bytes memory signature = _signEvaluation(NODE_KEY + k, _order, root, score, shares);
        bytes32 digest = keccak256(abi.encode(shares));
        demands.answerEvaluation(_order, k, IDemands.Evaluation(root, score, digest, sha256("score")), signature);
    }

    function _publishWith(IDatasetRegistry.DatasetRecord memory record, bytes memory reason) private {
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
    }

    function _without(uint256 k) private view returns (IDatasetRegistry.DatasetRecord memory record) {
        record = _rowRecord(_order);
        record.evaluations[k] = _none;
    }

    function test_RejectsAMissingEvaluationThatNobodyDemanded() public {
        bytes4 cause = IDatasetRegistry.DatasetRegistry_EvaluationMissing.selector;
        _publishWith(_without(1), abi.encodeWithSelector(cause, 1, _node(1)));
    }

    function test_RejectsAMissingEvaluationThatIsStillDemanded() public {
        _demandStep(_terms(), 1, IDemands.Kind.Evaluation, new bytes32[](0));
        bytes4 cause = IDatasetRegistry.DatasetRegistry_EvaluationMissing.selector;
        _publishWith(_without(1), abi.encodeWithSelector(cause, 1, _node(1)));
    }

    function test_RejectsAnEvaluationThatSomeoneElseSigned() public {
        _demandStep(_terms(), 1, IDemands.Kind.Evaluation, new bytes32[](0));
        bytes memory signature = _signEvaluation(STRANGER_KEY, _order, 0, 1, _shares());
        bytes4 cause = IDemands.Demands_InvalidSignature.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _order, 1, _node(1)));
        demands.answerEvaluation(_order, 1, IDemands.Evaluation(0, 1, keccak256(abi.encode(_shares())), 0), signature);
    }

    function test_OneOfThreeThatDisagreesStopsNothing() public {
        _dissent(1, keccak256("another root"), 0);
        assertEq(uint256(demands.excuseOf(_order, 1).absence), uint256(IDemands.Absence.Answered), "excused");
        _publishWith(_without(1), "");
        assertStake(_node(1), DEPOSIT - _stakeOf(1), _stakeOf(1));
    }

    function test_TwoOfThreeThatDisagreeStopTheBroker() public {
        _dissent(1, keccak256("another root"), 0);
        _dissent(2, keccak256("another root"), 0);
        IDatasetRegistry.DatasetRecord memory record = _without(1);
        record.evaluations[2] = _none;
        _publishWith(record, abi.encodeWithSelector(IDatasetRegistry.DatasetRegistry_NoQuorum.selector, 1, 3));
    }

    /// @dev Who pays a quarter of its stake for silence does not decide.
    function test_TheSilentAreNotCounted() public {
        for (uint32 k = 1; k < 3; ++k) {
            _demandStep(_terms(), k, IDemands.Kind.Evaluation, new bytes32[](0));
            _silence(_terms(), k);
            assertStake(_node(k), DEPOSIT - _stakeOf(k), _stakeOf(k) - _stakeOf(k) / 4);
        }
        IDatasetRegistry.DatasetRecord memory record = _without(1);
        record.evaluations[2] = _none;
        _publishWith(record, "");
    }

    /// @dev Contributor 1 has three tenths of the rows.
    function test_TheMajorityCannotTakeADissentersShare() public {
        _dissent(1, keccak256("another root"), 0);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        (record.sharesBps[0], record.sharesBps[1]) = (6_835, 1_499);
        _signRecord(_order, record);
        record.evaluations[1] = _none;
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ShareTooSmall.selector;
        _publishWith(record, abi.encodeWithSelector(cause, 1, 1_499, 1_500));
        (record.sharesBps[0], record.sharesBps[1]) = (6_834, 1_500);
        _signRecord(_order, record);
        record.evaluations[1] = _none;
        _publishWith(record, "");
    }

    /// @dev Scores 900,000 and 880,000 would do; with its own the middle one is too low.
    function test_ADissentersScoreOfTheSameRootCounts() public {
        _dissent(1, _root(_rowRecord(_order)), 100_000);
        uint32[] memory scores = new uint32[](3);
        (scores[0], scores[1], scores[2]) = (900_000, 0, 599_999);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        _signScores(_order, record, scores);
        record.evaluations[1] = _none;
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ScoreTooLow.selector;
        _publishWith(record, abi.encodeWithSelector(cause, 599_999, 600_000));
    }

    // -- out ----------------------------------------------------------------------------------------------------

    function _drop(uint32 k) private {
        vm.prank(address(demands));
        escrow.drop(_terms(), _participants(), k);
    }

    function test_AShardThatIsOutHasNoRootNoShareAndNoEvaluation() public {
        _drop(1);
        IDatasetRegistry.DatasetRecord memory whole = _rowRecord(_order);
        bytes memory reason = abi.encodeWithSelector(IDatasetRegistry.DatasetRegistry_ShardOut.selector, 1);
        _publishWith(whole, reason);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        _leaveOut(_order, record, 1);
        record.shards[1].shardRoot = whole.shards[1].shardRoot;
        _publishWith(record, reason);
        record.shards[1].shardRoot = 0;
        record.evaluations[1] = whole.evaluations[1];
        _publishWith(record, reason);
        record.evaluations[1] = _none;
        (record.sharesBps[0], record.sharesBps[1]) = (record.sharesBps[0] - 1, 1);
        _publishWith(record, reason);
    }

    function test_TheRecordOfTheOthersIsComplete() public {
        _drop(1);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        _leaveOut(_order, record, 1);
        vm.recordLogs();
        _publishWith(record, "");
        // The token, the record, two shards and two evaluations, and the order.
        assertEq(vm.getRecordedLogs().length, 7, "events");
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(1);
        assertEq(found.rows, 700, "rows");
        assertEq(found.datasetRoot, _root(record), "root");
    }

    function test_ADroppedContributorIsAskedForNothingMore() public {
        _drop(1);
        bytes memory reason = abi.encodeWithSelector(IDemands.Demands_ShardOut.selector, _order, 1);
        bytes32[] memory models = _models();
        vm.expectRevert(reason);
        vm.prank(broker);
        demands.demandStep(_terms(), _participants(), 1, IDemands.Kind.Receipt, models);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {GoodsMarket} from "./support/GoodsMarket.sol";

/// publish
/// ├── when the record's parents are not those of the terms: it should revert
/// │   ├── parents that the terms do not name
/// │   └── none where the terms name some
/// ├── when there are more than eight: it should revert
/// ├── when they do not ascend: it should revert
/// ├── when one is unknown, revoked or flagged: it should revert
/// ├── when one's order is not settled: it should revert
/// ├── when there are none and less than everything is real: it should revert
/// └── it should store parents, depth (deepest + 1) and real fraction (least of the lineage)
/// revoke
/// ├── when the caller is neither challenges nor demands: it should revert
/// ├── when the data set is unknown or revoked: it should revert
/// └── it should revoke, valid or flagged
/// flag
/// ├── when the data set is unknown: it should revert
/// ├── when no parent is revoked or flagged: it should revert
/// ├── given a revoked or flagged parent: it should flag, generation after generation
/// └── given a data set flagged or revoked before: it should change nothing
contract DatasetLineageTest is GoodsMarket {
    bytes4 private constant WRONG_STATUS = IDatasetRegistry.DatasetRegistry_WrongStatus.selector;

    function _ready(
        bytes32 parentsDigest,
        uint256[] memory parents,
        uint32 ownRealMicro
    ) private returns (OrderTerms memory terms, IDatasetRegistry.DatasetRecord memory record) {
        terms = _termsNow(99);
        (terms.parents, terms.ownRealMicro) = (parentsDigest, ownRealMicro);
        record = _record(_draw(terms));
        record.parents = parents;
    }

    function _expectRevert(bytes32 parentsDigest, uint256[] memory parents, bytes memory reason) private {
        (OrderTerms memory terms, IDatasetRegistry.DatasetRecord memory record) = _ready(
            parentsDigest,
            parents,
            0
        );
        vm.expectRevert(reason);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    function _expectRevert(uint256[] memory parents, bytes memory reason) private {
        _expectRevert(keccak256(abi.encode(parents)), parents, reason);
    }

    function test_PublishRejectsParentsThatTheTermsDoNotName() public {
        uint256[] memory parents = _ids(_dataset(1, 0));
        (OrderTerms memory terms, IDatasetRegistry.DatasetRecord memory record) = _ready(0, parents, 1_000_000);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_WrongParents.selector;
        bytes32 found = keccak256(abi.encode(parents));
        vm.expectRevert(abi.encodeWithSelector(cause, escrow.hashTerms(terms), found, bytes32(0)));
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    function test_PublishRejectsToLeaveOutTheParentsOfTheTerms() public {
        bytes32 named = keccak256(abi.encode(_ids(_dataset(1, 0))));
        uint256[] memory none = new uint256[](0);
        (OrderTerms memory terms, IDatasetRegistry.DatasetRecord memory record) = _ready(named, none, 1_000_000);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_WrongParents.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, escrow.hashTerms(terms), bytes32(0), named));
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    function test_PublishRejectsNineParents() public {
        bytes4 cause = IDatasetRegistry.DatasetRegistry_TooManyParents.selector;
        _expectRevert(new uint256[](9), abi.encodeWithSelector(cause, 9, 8));
    }

    function test_PublishRejectsParentZero() public {
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentsNotAscending.selector;
        _expectRevert(_ids(0), abi.encodeWithSelector(cause, 0, 0));
    }

    function test_PublishRejectsSameParentTwice() public {
        uint256 id = _dataset(1, 0);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentsNotAscending.selector;
        _expectRevert(_ids(id, id), abi.encodeWithSelector(cause, id, id));
    }

    function test_PublishRejectsParentsThatDescend() public {
        uint256 first = _dataset(1, 0);
        uint256 second = _dataset(2, 0);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentsNotAscending.selector;
        _expectRevert(_ids(second, first), abi.encodeWithSelector(cause, first, second));
    }

    function test_PublishRejectsUnknownParent() public {
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentNotValid.selector;
        _expectRevert(_ids(1), abi.encodeWithSelector(cause, 1, IDatasetRegistry.Status.None));
    }

    function test_PublishRejectsRevokedParent() public {
        uint256 id = _dataset(1, 0);
        _revoke(id);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentNotValid.selector;
        _expectRevert(_ids(id), abi.encodeWithSelector(cause, id, IDatasetRegistry.Status.Revoked));
    }

    function test_PublishRejectsFlaggedParent() public {
        uint256 id = _dataset(1, 0);
        uint256 child = _derived(2, _ids(id), 0);
        _revoke(id);
        datasets.flag(child);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentNotValid.selector;
        _expectRevert(_ids(child), abi.encodeWithSelector(cause, child, IDatasetRegistry.Status.Flagged));
    }

    function test_PublishRejectsParentWhoseWindowIsOpen() public {
        (, uint256 id) = _publish(_termsNow(1));
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentNotSettled.selector;
        _expectRevert(_ids(id), abi.encodeWithSelector(cause, id, IOrderEscrow.State.Published));
    }

    function test_CountsDepthFromTheDeepestParentAndStoresThem() public {
        uint256 root = _dataset(1, 0);
        assertLineage(root, 0, 1_000_000);
        assertEq(datasets.parentsOf(root).length, 0, "none");
        uint256 child = _derivedSettled(2, _ids(root), 1_000_000);
        assertLineage(child, 1, 1_000_000);
        uint256[] memory both = _ids(root, child);
        uint256 grandchild = _derived(3, both, 1_000_000);
        assertLineage(grandchild, 2, 1_000_000);
        assertEq(keccak256(abi.encode(datasets.parentsOf(grandchild))), keccak256(abi.encode(both)), "ids");
    }

    function testFuzz_RealFractionIsTheOwnOneBelowRealTables(uint32 own) public {
        own = uint32(bound(own, 0, 1_000_000));
        assertLineage(_derived(2, _ids(_dataset(1, 0)), own), 1, own);
    }

    function test_RealFractionIsTheLeastOfTheLineage() public {
        uint256 root = _dataset(1, 0);
        uint256 rich = _derivedSettled(2, _ids(root), 700_000);
        uint256 poor = _derivedSettled(3, _ids(root), 200_000);
        assertLineage(_derived(4, _ids(rich, poor), 900_000), 2, 200_000);
        assertLineage(_derived(5, _ids(root, rich), 900_000), 2, 700_000);
        assertLineage(_derived(6, _ids(rich, poor), 0), 2, 0);
    }

    function _derivedSettled(uint256 salt, uint256[] memory parents, uint32 own) private returns (uint256 id) {
        OrderTerms memory terms = _termsNow(salt);
        (terms.parents, terms.ownRealMicro) = (keccak256(abi.encode(parents)), own);
        id = _derived(salt, parents, own);
        _settle(terms, parents);
    }

    function assertLineage(uint256 id, uint256 expectedDepth, uint256 expectedMicro) private view {
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(id);
        assertEq(found.depth, expectedDepth, "depth");
        assertEq(found.realFractionMicro, expectedMicro, "real fraction");
    }

    // -- revoke and flag ----------------------------------------------------------------------------------------

    function test_RevokeRejectsOtherCallersThanTheJudges() public {
        uint256 id = _dataset(1, 0);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_NotAJudge.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, buyer));
        vm.prank(buyer);
        datasets.revokeShard(id, 0, true);
    }

    function test_RevokeRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATUS, 1, IDatasetRegistry.Status.None));
        vm.prank(judge);
        datasets.revokeShard(1, 0, true);
    }

    function test_RevokeRejectsSecondTime() public {
        uint256 id = _dataset(1, 0);
        _revoke(id);
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATUS, id, IDatasetRegistry.Status.Revoked));
        vm.prank(judge);
        datasets.revokeShard(id, 0, true);
    }

    function test_RevokeMarksWhatTheDemandsFoundWithheld() public {
        uint256 id = _dataset(1, 0);
        address other = datasets.demands();
        vm.expectEmit();
        emit IDatasetRegistry.DatasetRevoked(id, other);
        vm.prank(other);
        datasets.revokeShard(id, 0, true);
        assertStatus(id, IDatasetRegistry.Status.Revoked);
    }

    function test_RevokeMarksFlaggedDataSetThatIsFalseItself() public {
        uint256 id = _dataset(1, 0);
        uint256 child = _derived(2, _ids(id), 0);
        _revoke(id);
        datasets.flag(child);
        _revoke(child);
        assertStatus(child, IDatasetRegistry.Status.Revoked);
    }

    function test_FlagRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATUS, 7, IDatasetRegistry.Status.None));
        datasets.flag(7);
    }

    function test_FlagRejectsDataSetWhoseParentsStand() public {
        uint256 id = _dataset(1, 0);
        uint256 child = _derived(2, _ids(id), 0);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentsStand.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, child));
        datasets.flag(child);
        vm.expectRevert(abi.encodeWithSelector(cause, id));
        datasets.flag(id);
    }

    function test_FlagGoesDownTheGenerations() public {
        uint256 sound = _dataset(1, 0);
        uint256 rotten = _dataset(2, 0);
        uint256 child = _derivedSettled(3, _ids(sound, rotten), 0);
        uint256 grandchild = _derived(4, _ids(child), 0);
        _revoke(rotten);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ParentsStand.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, grandchild));
        datasets.flag(grandchild);

        vm.expectEmit();
        emit IDatasetRegistry.DatasetFlagged(child, rotten);
        datasets.flag(child);
        vm.expectEmit();
        emit IDatasetRegistry.DatasetFlagged(grandchild, child);
        vm.prank(stranger);
        datasets.flag(grandchild);
        assertStatus(child, IDatasetRegistry.Status.Flagged);
        assertStatus(grandchild, IDatasetRegistry.Status.Flagged);
        assertStatus(sound, IDatasetRegistry.Status.Valid);
    }

    function test_FlagOfFlaggedOrRevokedChangesNothing() public {
        uint256 id = _dataset(1, 0);
        uint256 child = _derived(2, _ids(id), 0);
        _revoke(id);
        datasets.flag(child);
        vm.recordLogs();
        datasets.flag(child);
        datasets.flag(id);
        assertEq(vm.getRecordedLogs().length, 0, "events");
        assertStatus(child, IDatasetRegistry.Status.Flagged);
        assertStatus(id, IDatasetRegistry.Status.Revoked);
    }
}

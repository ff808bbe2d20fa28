// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {GoodsMarket} from "./support/GoodsMarket.sol";

/// creditDataset
/// ├── when the caller is neither escrow, sales nor royalties: it should revert
/// ├── when the amount is zero: it should leave no trace
/// └── it should add to the data set's pot
/// distribute
/// ├── given an unknown data set, or one whose order is not settled: it should revert
/// ├── when the participants or the shares are not those of the order: it should revert
/// ├── given a pot that gives nobody one wei: it should revert
/// ├── it should credit every contributor its share, rounded down, and keep the dust for the next time
/// └── given a revoked data set
///     ├── and an empty pot: it should revert
///     └── it should burn the pot, whoever is named
contract RewardsPotsTest is GoodsMarket {
    uint256 private _id;

    function setUp() public override {
        super.setUp();
        _id = _dataset(1, 500);
        for (uint256 k = 0; k < 3; ++k) {
            rewards.claimFor(_node(k));
        }
        rewards.claimFor(broker);
    }

    function _fund(uint256 amount) private {
        token.mint(address(rewards), amount);
        vm.prank(address(escrow));
        rewards.creditDataset(_id, amount);
    }

    function test_CreditDatasetRejectsStrangers() public {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_Unauthorized.selector, address(datasets)));
        vm.prank(address(datasets));
        rewards.creditDataset(_id, 1);
    }

    function test_CreditDatasetOfNothingLeavesNoTrace() public {
        vm.recordLogs();
        vm.prank(address(escrow));
        rewards.creditDataset(_id, 0);
        assertEq(vm.getRecordedLogs().length, 0, "events");
        assertEq(rewards.datasetBalance(_id), 0, "pot");
    }

    function test_CreditDatasetAddsUpFromAllThatPay() public {
        token.mint(address(rewards), 6);
        address[3] memory payers = [address(escrow), address(sales), address(royalties)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit();
            emit IRewards.DatasetCredited(_id, payers[i], i + 1);
            vm.prank(payers[i]);
            rewards.creditDataset(_id, i + 1);
        }
        assertEq(rewards.datasetBalance(_id), 6, "pot");
        assertEq(rewards.datasetBalance(_id + 1), 0, "another pot");
    }

    function test_AConvictedContributorGetsNothingOfAPot() public {
        OrderTerms memory terms = _termsNow(5);
        (, uint256 id) = _publish(terms);
        vm.prank(address(challenges));
        escrow.convict(terms, _participants(), 1, stranger);
        _settle(terms, _noParents());
        uint256[3] memory before;
        for (uint256 k = 0; k < 3; ++k) {
            before[k] = rewards.claimable(_node(k));
        }
        token.mint(address(rewards), 10_000);
        vm.prank(address(escrow));
        rewards.creditDataset(id, 10_000);
        // By 5,001 and 1,666 of 6,667.
        assertEq(rewards.distribute(id, _participants(), _shares()), 9_999, "distributed");
        assertEq(rewards.claimable(_node(0)) - before[0], 7_501, "node 0");
        assertEq(rewards.claimable(_node(1)) - before[1], 0, "node 1");
        assertEq(rewards.claimable(_node(2)) - before[2], 2_498, "node 2");
    }

    function test_APotThatIsNobodysIsBurned() public {
        OrderTerms memory terms = _termsNow(5);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        (record.sharesBps[0], record.sharesBps[1], record.sharesBps[2]) = (10_000, 0, 0);
        _signRecord(order, record);
        vm.prank(broker);
        uint256 id = datasets.publish(terms, _participants(), record);
        vm.prank(address(challenges));
        escrow.convict(terms, _participants(), 0, stranger);
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), record.sharesBps, _noParents());
        token.mint(address(rewards), 100);
        vm.prank(address(escrow));
        rewards.creditDataset(id, 100);
        vm.expectEmit();
        emit IRewards.DatasetBurned(id, 100);
        rewards.distribute(id, _participants(), record.sharesBps);
    }

    function test_DistributeRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NotSettled.selector, 9));
        rewards.distribute(9, _participants(), _shares());
    }

    function test_DistributeRejectsDataSetWhoseWindowIsOpen() public {
        (, uint256 id) = _publish(_termsNow(2));
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NotSettled.selector, id));
        rewards.distribute(id, _participants(), _shares());
    }

    function test_DistributeRejectsOtherParticipants() public {
        _fund(100);
        Participant[] memory participants = _participants();
        participants[2].contributor = stranger;
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_WrongParticipants.selector, _id));
        rewards.distribute(_id, participants, _shares());
    }

    function test_DistributeRejectsOtherShares() public {
        _fund(100);
        uint16[] memory shares = _shares();
        (shares[0], shares[1]) = (shares[1], shares[0]);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_WrongShares.selector, _id));
        rewards.distribute(_id, _participants(), shares);
    }

    function test_DistributeRejectsPotThatGivesNobodyOneWei() public {
        _fund(1);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NothingToDistribute.selector, _id, 1));
        rewards.distribute(_id, _participants(), _shares());
    }

    function test_DistributeRejectsSecondTime() public {
        _fund(10_000);
        rewards.distribute(_id, _participants(), _shares());
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NothingToDistribute.selector, _id, 0));
        rewards.distribute(_id, _participants(), _shares());
    }

    function test_DistributeCarriesTheDust() public {
        _fund(99);
        vm.expectEmit();
        emit IRewards.DatasetDistributed(_id, 97, 2);
        assertEq(rewards.distribute(_id, _participants(), _shares()), 97, "amount");
        assertEq(rewards.claimable(_node(0)), 49, "first");
        assertEq(rewards.claimable(_node(1)), 32, "second");
        assertEq(rewards.claimable(_node(2)), 16, "third");
        assertEq(rewards.datasetBalance(_id), 2, "dust");
        _fund(9_998);
        assertEq(rewards.distribute(_id, _participants(), _shares()), 10_000, "whole");
    }

    function testFuzz_DistributeNeverGivesMoreThanThePot(uint128 amount, uint128 more) public {
        amount = uint128(bound(amount, 2, type(uint128).max));
        _fund(amount);
        vm.prank(stranger);
        uint256 given = rewards.distribute(_id, _participants(), _shares());
        assertSplit(amount, given);
        _fund(more);
        uint256 pot = rewards.datasetBalance(_id);
        assertEq(pot, amount - given + more, "dust and more");
        if (pot > 2) given += rewards.distribute(_id, _participants(), _shares());
        assertSplit(uint256(amount) + more, given);
        for (uint256 k = 0; k < 3; ++k) {
            if (rewards.claimable(_node(k)) != 0) rewards.claimFor(_node(k));
        }
        assertBalance(address(rewards), rewards.datasetBalance(_id));
    }

    function assertSplit(uint256 paidIn, uint256 given) private view {
        uint256 owed = rewards.claimable(_node(0)) + rewards.claimable(_node(1)) + rewards.claimable(_node(2));
        assertEq(owed, given, "owed");
        assertEq(rewards.datasetBalance(_id), paidIn - given, "left");
        assertAtMost(paidIn - given, 2, "dust");
    }

    function test_DistributeRejectsEmptyPotOfRevokedDataSet() public {
        _revoke(_id);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NothingToDistribute.selector, _id, 0));
        rewards.distribute(_id, _participants(), _shares());
    }

    function test_DistributeBurnsThePotOfRevokedDataSet() public {
        _fund(1_000);
        _revoke(_id);
        vm.expectEmit();
        emit IRewards.DatasetBurned(_id, 1_000);
        assertEq(rewards.distribute(_id, _nobody(), new uint16[](0)), 1_000, "amount");
        assertBalance(rewards.BURN(), 1_000);
        assertBalance(address(rewards), 0);
        assertEq(rewards.datasetBalance(_id), 0, "pot");
    }
}

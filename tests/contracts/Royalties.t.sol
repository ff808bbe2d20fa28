// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRoyalties} from "../../contracts/interfaces/IRoyalties.sol";
import {RoyaltyReceiver} from "../../contracts/RoyaltyReceiver.sol";
import {GoodsMarket} from "./support/GoodsMarket.sol";

/// collect
/// ├── given an unknown data set: it should revert, whatever lies at its receiver
/// ├── given an empty receiver: it should revert
/// ├── given a receiver that does not exist yet: it should deploy it where it was foretold
/// ├── given one that does: it should use it again
/// └── it should move the whole balance to the data set's pot, and to no other
/// sweep
/// └── when the caller is not the royalties contract: it should revert, on the receiver and on its pattern
contract RoyaltiesTest is GoodsMarket {
    uint256 private _id;
    address private _receiver;
    uint256 private _before;

    function setUp() public override {
        super.setUp();
        _id = _dataset(1, 500);
        _receiver = royalties.receiverOf(_id);
        _before = token.balanceOf(address(rewards));
    }

    function test_CollectRejectsUnknownDataSet() public {
        token.mint(royalties.receiverOf(2), 5);
        vm.expectRevert(abi.encodeWithSelector(IRoyalties.Royalties_UnknownDataset.selector, 2));
        royalties.collect(2);
    }

    function test_CollectRejectsEmptyReceiver() public {
        vm.expectRevert(abi.encodeWithSelector(IRoyalties.Royalties_NothingToCollect.selector, _id));
        royalties.collect(_id);
    }

    function test_CollectRejectsSecondTime() public {
        token.mint(_receiver, 5);
        royalties.collect(_id);
        vm.expectRevert(abi.encodeWithSelector(IRoyalties.Royalties_NothingToCollect.selector, _id));
        royalties.collect(_id);
    }

    function test_SweepRejectsOtherCallersThanRoyalties() public {
        token.mint(_receiver, 5);
        royalties.collect(_id);
        token.mint(_receiver, 5);
        bytes4 cause = RoyaltyReceiver.RoyaltyReceiver_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, stranger));
        vm.prank(stranger);
        RoyaltyReceiver(_receiver).sweep();

        RoyaltyReceiver pattern = RoyaltyReceiver(royalties.implementation());
        vm.expectRevert(abi.encodeWithSelector(cause, stranger));
        vm.prank(stranger);
        pattern.sweep();
    }

    function test_CollectDeploysTheReceiverWhereItWasForetold() public {
        token.mint(_receiver, 70);
        assertEq(_receiver.code.length, 0, "no code");
        vm.expectEmit();
        emit IRoyalties.RoyaltiesCollected(_id, _receiver, 70);
        vm.prank(stranger);
        assertEq(royalties.collect(_id), 70, "amount");
        assertTrue(_receiver.code.length != 0, "code");
        assertEq(RoyaltyReceiver(_receiver).royalties(), address(royalties), "shared immutables");
        assertPots(70, 0);
    }

    function test_CollectUsesAnExistingReceiverAgain() public {
        token.mint(_receiver, 70);
        royalties.collect(_id);
        token.mint(_receiver, 5);
        assertEq(royalties.collect(_id), 5, "amount");
        assertPots(75, 0);
    }

    function testFuzz_CollectKeepsDataSetsApart(uint96 first, uint96 second) public {
        uint256 other = _dataset(2, 10);
        _before = token.balanceOf(address(rewards));
        token.mint(_receiver, uint256(first) + 1);
        token.mint(royalties.receiverOf(other), uint256(second) + 1);
        royalties.collect(other);
        royalties.collect(_id);
        assertEq(rewards.datasetBalance(other), uint256(second) + 1, "other pot");
        assertPots(uint256(first) + 1, uint256(second) + 1);
    }

    function test_WhatAMarketplacePaysReachesTheContributors() public {
        (address receiver, uint256 amount) = datasets.royaltyInfo(_id, 200_000);
        token.mint(receiver, amount);
        royalties.collect(_id);
        uint256 owed = rewards.claimable(_node(0));
        rewards.distribute(_id, _participants(), _shares());
        assertEq(rewards.claimable(_node(0)) - owed, 5_001, "half of a twentieth");
    }

    function assertPots(uint256 pot, uint256 others) private view {
        assertEq(rewards.datasetBalance(_id), pot, "pot");
        assertBalance(address(rewards), _before + pot + others);
        assertBalance(_receiver, 0);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DatasetSales} from "../../contracts/DatasetSales.sol";
import {Rewards} from "../../contracts/Rewards.sol";
import {Royalties} from "../../contracts/Royalties.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {GoodsMarket} from "./support/GoodsMarket.sol";
import {HostileToken} from "./support/HostileToken.sol";

/// @notice Rewards, sales and royalties over a token that misbehaves.
///
/// given a token that answers false
/// └── buying, claiming, collecting and burning should revert and change nothing
/// given a token that keeps a fee
/// ├── buying should revert
/// └── collecting should credit what arrived
/// given a token that calls back in the middle of a transfer
/// ├── into the same contract: it should be turned away
/// ├── from a claim into another account's: it should be turned away
/// ├── from an acceptance into the seller's claim: nothing should be owed yet
/// └── from a collection into another payment: it should not be counted twice
contract HostileTokenTest is GoodsMarket {
    uint256 private constant AMOUNT = 10_000;
    uint256 private constant SALE_DEPOSIT = 1_000;
    /// @dev The generator: a point that anybody may name.
    bytes32 private constant POINT = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;

    HostileToken private _hostile;
    uint256 private _id;
    bytes32[] private _promised;
    bytes32 private _digest;

    function setUp() public override {
        super.setUp();
        _id = _dataset(1, 1_000);
        _hostile = new HostileToken();
        uint256 nonce = vm.getNonce(address(this));
        address rewardsAt = vm.computeCreateAddress(address(this), nonce + 1);
        address royaltiesAt = vm.computeCreateAddress(address(this), nonce + 2);
        sales = DatasetSales(_create("DatasetSales", abi.encode(_hostile, datasets, rewardsAt)));
        rewards = Rewards(_create("Rewards", abi.encode(_hostile, escrow, datasets, sales, royaltiesAt)));
        royalties = Royalties(_create("Royalties", abi.encode(_hostile, datasets, rewards)));
        _hostile.mint(stranger, AMOUNT);
        _hostile.mint(buyer, SALE_DEPOSIT);
        _promised.push(keccak256("promised"));
        _digest = keccak256(abi.encodePacked(_promised));
        vm.prank(buyer);
        _hostile.approve(address(sales), SALE_DEPOSIT);
        vm.prank(stranger);
        _hostile.approve(address(sales), type(uint256).max);
        vm.prank(buyer);
        datasets.approve(address(sales), _id);
        vm.prank(buyer);
        sales.list(_id, AMOUNT, _promised);
    }

    function _earn(address account) private {
        address[] memory accounts = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (accounts[0], amounts[0]) = (account, AMOUNT);
        _hostile.mint(address(rewards), AMOUNT);
        vm.prank(address(escrow));
        rewards.credit("order", accounts, amounts);
    }

    function _buy() private {
        vm.prank(stranger);
        sales.buy(_id, AMOUNT, _digest, POINT, _noPermit());
    }

    function _delivered() private {
        _buy();
        vm.prank(buyer);
        sales.deliver(_id, _bundle());
    }

    function _bundle() private pure returns (bytes memory) {
        return abi.encodePacked(POINT, bytes32(0));
    }

    function _expectRefusal() private {
        bytes4 cause = SafeERC20.SafeERC20FailedOperation.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, address(_hostile)));
    }

    function assertInterrupted(bytes memory reason) private view {
        assertTrue(!_hostile.succeeded(), "call in the middle");
        assertEq(keccak256(_hostile.answer()), keccak256(reason), "reason");
    }

    function assertTurnedAway() private view {
        assertInterrupted(abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }

    // -- false --------------------------------------------------------------------------------------------------

    function test_BuyRejectsTokenThatAnswersFalse() public {
        _hostile.setRefusing(true);
        _expectRefusal();
        _buy();
        assertEq(datasets.ownerOf(_id), buyer, "holder");
    }

    function test_ClaimRejectsTokenThatAnswersFalseAndKeepsTheBalance() public {
        _earn(_node(0));
        _hostile.setRefusing(true);
        _expectRefusal();
        rewards.claimFor(_node(0));
        assertEq(rewards.claimable(_node(0)), AMOUNT, "claimable");
    }

    function test_CollectRejectsTokenThatAnswersFalse() public {
        _hostile.mint(royalties.receiverOf(_id), AMOUNT);
        _hostile.setRefusing(true);
        _expectRefusal();
        royalties.collect(_id);
        assertEq(rewards.datasetBalance(_id), 0, "pot");
    }

    function test_BurningRejectsTokenThatAnswersFalseAndKeepsThePot() public {
        _hostile.mint(royalties.receiverOf(_id), AMOUNT);
        royalties.collect(_id);
        _revoke(_id);
        _hostile.setRefusing(true);
        _expectRefusal();
        rewards.distribute(_id, _participants(), _shares());
        assertEq(rewards.datasetBalance(_id), AMOUNT, "pot");
    }

    // -- fee ----------------------------------------------------------------------------------------------------

    function test_BuyRejectsTokenThatKeepsAFee() public {
        _hostile.setFee(true);
        bytes4 cause = IDatasetSales.DatasetSales_WrongPayment.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 9_900, AMOUNT));
        _buy();
    }

    function test_CollectCreditsWhatTheFeeLeft() public {
        _hostile.mint(royalties.receiverOf(_id), AMOUNT);
        _hostile.setFee(true);
        assertEq(royalties.collect(_id), 9_900, "amount");
        assertEq(rewards.datasetBalance(_id), 9_900, "pot");
        assertEq(_hostile.balanceOf(address(rewards)), 9_900, "balance");
    }

    // -- calls in the middle ------------------------------------------------------------------------------------

    function test_BuyTurnsAwayASecondBuyer() public {
        _hostile.setCall(address(sales), abi.encodeCall(sales.buy, (_id, AMOUNT, _digest, POINT, _noPermit())));
        _buy();
        assertTurnedAway();
        assertEq(_hostile.balanceOf(address(sales)), AMOUNT + SALE_DEPOSIT, "balance");
    }

    function test_AcceptTurnsAwayARejection() public {
        _delivered();
        IDatasetSales.KeyFault memory fault = IDatasetSales.KeyFault(0, 1, POINT, _bundle(), _promised);
        _hostile.setCall(address(sales), abi.encodeCall(sales.reject, (_id, fault)));
        vm.prank(stranger);
        sales.accept(_id);
        assertTurnedAway();
        assertEq(_hostile.balanceOf(address(sales)), 0, "balance");
    }

    function test_AcceptOwesNothingBeforeTheMoneyIsThere() public {
        _delivered();
        _hostile.setCall(address(rewards), abi.encodeCall(rewards.claimFor, (buyer)));
        vm.prank(stranger);
        sales.accept(_id);
        assertInterrupted(abi.encodeWithSelector(IRewards.Rewards_NothingToClaim.selector, buyer));
        assertEq(rewards.claimable(buyer), 9_000 + SALE_DEPOSIT, "seller");
        assertEq(rewards.datasetBalance(_id), 1_000, "pot");
    }

    function test_ListTurnsAwayTheSellerInTheMiddleOfAPurchase() public {
        // The token is the seller: it still holds the data set when it is called.
        address seller = address(_hostile);
        _hostile.mint(seller, SALE_DEPOSIT);
        vm.prank(buyer);
        datasets.transferFrom(buyer, seller, _id);
        vm.prank(seller);
        _hostile.approve(address(sales), SALE_DEPOSIT);
        vm.prank(seller);
        datasets.approve(address(sales), _id);
        vm.prank(seller);
        sales.list(_id, AMOUNT, _promised);
        _hostile.setCall(address(sales), abi.encodeCall(sales.list, (_id, 1, _promised)));
        _buy();
        IDatasetSales.Sale memory found = sales.saleOf(_id);
        assertEq(found.buyer, stranger, "buyer");
        assertEq(found.price, AMOUNT, "price");
        assertTurnedAway();
    }

    function test_ClaimTurnsAwayAnotherClaim() public {
        _earn(_node(0));
        _earn(_node(1));
        _hostile.setCall(address(rewards), abi.encodeCall(rewards.claimFor, (_node(1))));
        rewards.claimFor(_node(0));
        assertTurnedAway();
        assertEq(_hostile.balanceOf(_node(0)), AMOUNT, "first");
        assertEq(rewards.claimable(_node(1)), AMOUNT, "second");
    }

    function test_CollectTurnsAwayAnotherCollection() public {
        _hostile.mint(royalties.receiverOf(_id), AMOUNT);
        _hostile.setCall(address(royalties), abi.encodeCall(royalties.collect, (_id)));
        royalties.collect(_id);
        assertTurnedAway();
        assertEq(rewards.datasetBalance(_id), AMOUNT, "pot");
    }

    function test_CollectCountsNoPaymentMadeInTheMiddle() public {
        _hostile.mint(royalties.receiverOf(_id), AMOUNT);
        _hostile.setCall(address(_hostile), abi.encodeCall(_hostile.mint, (address(rewards), 77)));
        assertEq(royalties.collect(_id), AMOUNT, "amount");
        assertTrue(_hostile.succeeded(), "call in the middle");
        assertEq(rewards.datasetBalance(_id), AMOUNT, "pot");
        assertEq(_hostile.balanceOf(address(rewards)), AMOUNT + 77, "balance");
    }
}

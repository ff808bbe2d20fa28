// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {SalesMarket} from "./support/SalesMarket.sol";

/// @notice Takes no ERC-721 token by the safe way.
contract Refuser is IERC721Receiver {
    error Refused();

    /// @inheritdoc IERC721Receiver
    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        revert Refused();
    }
}

/// accept
/// ├── given a sale that is not delivered: it should revert
/// ├── when others than the buyer call before the time to reject is over: it should revert
/// ├── it should owe the royalty to the pot and the rest to the seller, and hand the token over
/// ├── given a buyer whose hook refuses tokens: it should hand it over all the same
/// └── given a data set without royalty: it should owe the seller everything
/// reject
/// ├── given a sale that is not delivered, or that ended: it should revert
/// ├── when the caller is not the buyer, or is late: it should revert
/// └── it should owe the buyer its money, give the token back and count it for both
/// expire
/// ├── given a delivered sale: it should revert
/// ├── when the seller still has time: it should revert
/// └── it should owe the buyer its money, give the token back and count it for the seller
contract DatasetSalesEndTest is SalesMarket {
    bytes4 private constant WRONG_STATE = IDatasetSales.DatasetSales_WrongState.selector;
    bytes4 private constant TOO_EARLY = IDatasetSales.DatasetSales_TooEarly.selector;

    function test_AcceptRejectsSaleWithoutKeys() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        vm.prank(customer);
        sales.accept(id);
    }

    function test_AcceptRejectsTheSellerBeforeTheTimeIsOver() public {
        uint256 deadline = _deliver();
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(TOO_EARLY, id, deadline));
        vm.prank(buyer);
        sales.accept(id);
    }

    function test_AcceptRejectsSecondTime() public {
        _deliver();
        vm.prank(customer);
        sales.accept(id);
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.None));
        vm.prank(customer);
        sales.accept(id);
    }

    function test_AcceptPaysRoyaltyAndSellerAndHandsTheTokenOver() public {
        _deliver();
        vm.expectEmit();
        emit IDatasetSales.SaleAccepted(id, buyer, customer, 149, 1_850);
        vm.prank(customer);
        sales.accept(id);
        assertEq(datasets.ownerOf(id), customer, "holder");
        assertEq(rewards.datasetBalance(id), 149, "pot");
        assertEq(rewards.claimable(buyer), 1_850, "seller");
        assertBalance(address(rewards), settled + LIST_PRICE);
        assertBalance(address(sales), 0);
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
        assertRecord(buyer, IDatasetSales.Record(1, 0, 0, 0, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 1, 0));
    }

    function test_AcceptPaysAnybodysCallOnceTheTimeIsOver() public {
        uint256 deadline = _deliver();
        vm.warp(deadline + 1);
        vm.prank(stranger);
        sales.accept(id);
        assertEq(datasets.ownerOf(id), customer, "holder");
        assertEq(rewards.claimable(buyer), 1_850, "seller");
    }

    function testFuzz_AcceptDividesThePriceToTheWei(uint96 price, uint16 royaltyBps) public {
        royaltyBps = uint16(bound(royaltyBps, 0, 1_000));
        id = _dataset(2, royaltyBps);
        settled = token.balanceOf(address(rewards));
        token.mint(customer, price);
        vm.prank(buyer);
        datasets.approve(address(sales), id);
        vm.prank(buyer);
        sales.list(id, price);
        vm.prank(customer);
        sales.buy(id, price, 0, _noPermit());
        vm.prank(buyer);
        sales.deliver(id, "");
        vm.prank(customer);
        sales.accept(id);
        uint256 royalty = (uint256(price) * royaltyBps) / 10_000;
        assertEq(rewards.datasetBalance(id), royalty, "pot");
        assertEq(rewards.claimable(buyer), price - royalty, "seller");
        assertBalance(address(rewards), settled + price);
        assertBalance(address(sales), 0);
    }

    function test_AcceptHandsTheTokenToABuyerWhoseHookRefuses() public {
        address refuser = address(new Refuser());
        token.mint(refuser, LIST_PRICE);
        vm.prank(refuser);
        token.approve(address(sales), LIST_PRICE);
        _list();
        vm.prank(refuser);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
        vm.prank(buyer);
        sales.deliver(id, "keys");
        vm.prank(refuser);
        sales.accept(id);
        assertEq(datasets.ownerOf(id), refuser, "holder");
    }

    function test_TheNextHolderMaySellOn() public {
        _deliver();
        vm.prank(customer);
        sales.accept(id);
        vm.prank(customer);
        datasets.approve(address(sales), id);
        vm.prank(customer);
        sales.list(id, 5);
        assertSale(IDatasetSales.State.Listed, customer, 5, address(0), 0);
    }

    function test_RejectRejectsSaleWithoutKeys() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        vm.prank(customer);
        sales.reject(id);
    }

    function test_RejectRejectsOthersThanTheBuyer() public {
        _deliver();
        bytes4 cause = IDatasetSales.DatasetSales_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, buyer));
        vm.prank(buyer);
        sales.reject(id);
    }

    function test_RejectRejectsTheBuyerOnceTheTimeIsOver() public {
        uint256 deadline = _deliver();
        vm.warp(deadline + 1);
        bytes4 cause = IDatasetSales.DatasetSales_TooLate.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, deadline));
        vm.prank(customer);
        sales.reject(id);
    }

    function test_RejectRejectsAcceptedSale() public {
        _deliver();
        vm.prank(customer);
        sales.accept(id);
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.None));
        vm.prank(customer);
        sales.reject(id);
    }

    function test_RejectUndoesTheSaleAndCountsItForBoth() public {
        uint256 deadline = _deliver();
        vm.warp(deadline);
        vm.expectEmit();
        emit IDatasetSales.SaleRejected(id, buyer, customer);
        vm.prank(customer);
        sales.reject(id);
        assertUndone();
        assertRecord(buyer, IDatasetSales.Record(0, 1, 0, 0, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 0, 1));
    }

    function test_ExpireRejectsDeliveredSale() public {
        uint256 deadline = _deliver();
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Delivered));
        sales.expire(id);
    }

    function test_ExpireRejectsWhileTheSellerHasTime() public {
        uint256 deadline = _buy();
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(TOO_EARLY, id, deadline));
        vm.prank(customer);
        sales.expire(id);
    }

    function test_ExpireUndoesTheSaleAndCountsItForTheSeller() public {
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        vm.expectEmit();
        emit IDatasetSales.SaleExpired(id, buyer, customer);
        vm.prank(stranger);
        sales.expire(id);
        assertUndone();
        assertRecord(buyer, IDatasetSales.Record(0, 0, 1, 0, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 0, 0));
    }

    function test_RefundReachesTheBuyerByARelayersClaim() public {
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        sales.expire(id);
        vm.prank(stranger);
        rewards.claimFor(customer);
        assertBalance(customer, FUNDS);
        assertBalance(address(rewards), settled);
    }

    function assertUndone() private view {
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
        assertEq(datasets.ownerOf(id), buyer, "holder");
        assertEq(rewards.claimable(customer), LIST_PRICE, "buyer");
        assertEq(rewards.claimable(buyer), 0, "seller");
        assertEq(rewards.datasetBalance(id), 0, "pot");
        assertBalance(address(sales), 0);
        assertBalance(address(rewards), settled + LIST_PRICE);
    }

    function assertRecord(address account, IDatasetSales.Record memory expected) private view {
        IDatasetSales.Record memory found = sales.recordOf(account);
        assertEq(found.sold, expected.sold, "sold");
        assertEq(found.rejected, expected.rejected, "rejected");
        assertEq(found.undelivered, expected.undelivered, "undelivered");
        assertEq(found.bought, expected.bought, "bought");
        assertEq(found.returned, expected.returned, "returned");
    }
}

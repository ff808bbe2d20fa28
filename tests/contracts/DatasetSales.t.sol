// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {Permit} from "../../contracts/types/Permit.sol";
import {SalesMarket} from "./support/SalesMarket.sol";

/// list
/// ├── when the caller does not hold the token, also because a sale runs: it should revert
/// ├── when the price is beyond 96 bits: it should revert
/// ├── given a revoked data set, or one whose order is not settled: it should revert
/// ├── given no approval: it should revert
/// └── it should offer the token, at a new price when it was offered already
/// unlist
/// ├── given no offer, or a sale that runs: it should revert
/// ├── when the caller is neither the seller nor the holder: it should revert
/// └── it should take the offer back
/// buy
/// ├── given no offer, or a sale that runs: it should revert
/// ├── when the price is not the one agreed to: it should revert
/// ├── given a data set revoked since: it should revert
/// ├── given a seller without token or approval: it should revert
/// ├── given a buyer without money or with a useless permit: it should revert
/// └── it should hold money and token, paid by approval or by permit
/// deliver
/// ├── given no sale, or a delivered one: it should revert
/// ├── when the caller is not the seller, or is late: it should revert
/// └── it should log the keys and start the time to reject
/// (the ends: DatasetSalesEnd.t.sol; hostile tokens: HostileToken.t.sol)
contract DatasetSalesTest is SalesMarket {
    bytes4 private constant UNAUTHORIZED = IDatasetSales.DatasetSales_Unauthorized.selector;
    bytes4 private constant WRONG_STATE = IDatasetSales.DatasetSales_WrongState.selector;

    function test_ListRejectsOthersThanTheHolder() public {
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, stranger));
        vm.prank(stranger);
        sales.list(id, LIST_PRICE);
    }

    function test_ListRejectsTheSellerWhileItsSaleRuns() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, buyer));
        vm.prank(buyer);
        sales.list(id, 1);
    }

    function test_ListRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 9));
        vm.prank(buyer);
        sales.list(9, LIST_PRICE);
    }

    function test_ListRejectsPriceBeyondItsField() public {
        uint256 price = uint256(type(uint96).max) + 1;
        bytes4 cause = IDatasetSales.DatasetSales_PriceTooHigh.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, price, type(uint96).max));
        vm.prank(buyer);
        sales.list(id, price);
    }

    function test_ListRejectsRevokedDataSet() public {
        _revoke(id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_Revoked.selector, id));
        vm.prank(buyer);
        sales.list(id, LIST_PRICE);
    }

    function test_ListRejectsDataSetWhoseWindowIsOpen() public {
        (, uint256 fresh) = _publish(_termsNow(2));
        bytes4 cause = IDatasetSales.DatasetSales_NotSettled.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, fresh, IOrderEscrow.State.Published));
        vm.prank(buyer);
        sales.list(fresh, LIST_PRICE);
    }

    function test_ListRejectsTokenThatItMayNotMove() public {
        vm.prank(buyer);
        datasets.approve(address(0), id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_NotApproved.selector, id));
        vm.prank(buyer);
        sales.list(id, LIST_PRICE);
    }

    function test_ListTakesApprovalForAllTokens() public {
        vm.prank(buyer);
        datasets.approve(address(0), id);
        vm.prank(buyer);
        datasets.setApprovalForAll(address(sales), true);
        _list();
        assertSale(IDatasetSales.State.Listed, buyer, LIST_PRICE, address(0), 0);
    }

    function test_ListChangesThePrice() public {
        _list();
        vm.expectEmit();
        emit IDatasetSales.DatasetListed(id, buyer, 7);
        vm.prank(buyer);
        sales.list(id, 7);
        assertSale(IDatasetSales.State.Listed, buyer, 7, address(0), 0);
        assertEq(datasets.ownerOf(id), buyer, "holder");
    }

    function test_UnlistRejectsWhatIsNotOffered() public {
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.None));
        vm.prank(buyer);
        sales.unlist(id);
    }

    function test_UnlistRejectsSaleThatRuns() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        vm.prank(buyer);
        sales.unlist(id);
    }

    function test_UnlistRejectsStrangers() public {
        _list();
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, stranger));
        vm.prank(stranger);
        sales.unlist(id);
    }

    function test_UnlistTakesTheSellersOfferBack() public {
        _list();
        vm.expectEmit();
        emit IDatasetSales.DatasetUnlisted(id, buyer);
        vm.prank(buyer);
        sales.unlist(id);
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
    }

    function test_UnlistTakesAFormerHoldersOfferBack() public {
        _list();
        vm.prank(buyer);
        datasets.transferFrom(buyer, stranger, id);
        vm.prank(stranger);
        sales.unlist(id);
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
    }

    function test_BuyRejectsWhatIsNotOffered() public {
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.None));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsSaleThatRuns() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        vm.prank(stranger);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsPriceRaisedInBetween() public {
        _list();
        vm.prank(buyer);
        sales.list(id, LIST_PRICE + 1);
        bytes4 cause = IDatasetSales.DatasetSales_WrongPrice.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, LIST_PRICE + 1, LIST_PRICE));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsDataSetRevokedSince() public {
        _list();
        _revoke(id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_Revoked.selector, id));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsOfferOfOneWhoPartedWithTheToken() public {
        vm.prank(buyer);
        datasets.setApprovalForAll(address(sales), true);
        _list();
        vm.prank(buyer);
        datasets.transferFrom(buyer, stranger, id);
        bytes4 cause = IERC721Errors.ERC721InsufficientApproval.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, address(sales), id));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsOfferWhoseApprovalIsGone() public {
        _list();
        vm.prank(buyer);
        datasets.approve(address(0), id);
        bytes4 cause = IERC721Errors.ERC721InsufficientApproval.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, address(sales), id));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
    }

    function test_BuyRejectsExpiredPermit() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), LIST_PRICE - 1);
        Permit memory permit = _permitOf(LIST_PRICE);
        vm.warp(permit.deadline + 1);
        vm.expectRevert(abi.encodeWithSignature("ERC2612ExpiredSignature(uint256)", permit.deadline));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, permit);
    }

    function test_BuyHoldsMoneyAndToken() public {
        _list();
        uint256 deadline = vm.getBlockTimestamp() + sales.DELIVER_SECONDS();
        vm.expectEmit();
        emit IDatasetSales.DatasetSold(id, buyer, customer, LIST_PRICE, KEY, deadline);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
        assertSale(IDatasetSales.State.Sold, buyer, LIST_PRICE, customer, deadline);
        assertEq(datasets.ownerOf(id), address(sales), "holder");
        assertBalance(address(sales), LIST_PRICE);
        assertBalance(customer, FUNDS - LIST_PRICE);
    }

    function test_BuyPaysByPermit() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), 0);
        Permit memory permit = _permitOf(LIST_PRICE);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, permit);
        assertBalance(address(sales), LIST_PRICE);
    }

    function test_BuyGoesOnWhenSomebodyUsedThePermitFirst() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), 0);
        Permit memory permit = _permitOf(LIST_PRICE);
        token.permit(customer, address(sales), LIST_PRICE, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, permit);
        assertBalance(address(sales), LIST_PRICE);
    }

    function test_DeliverRejectsOfferWithoutBuyer() public {
        _list();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Listed));
        vm.prank(buyer);
        sales.deliver(id, "keys");
    }

    function test_DeliverRejectsSecondTime() public {
        _deliver();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Delivered));
        vm.prank(buyer);
        sales.deliver(id, "other keys");
    }

    function test_DeliverRejectsOthersThanTheSeller() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, customer));
        vm.prank(customer);
        sales.deliver(id, "keys");
    }

    function test_DeliverRejectsLateKeys() public {
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        bytes4 cause = IDatasetSales.DatasetSales_TooLate.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, deadline));
        vm.prank(buyer);
        sales.deliver(id, "keys");
    }

    function test_DeliverStartsTheTimeToReject() public {
        uint256 deadline = _buy();
        vm.warp(deadline);
        uint256 acceptBy = deadline + sales.ACCEPT_SECONDS();
        vm.expectEmit();
        emit IDatasetSales.KeysDelivered(id, buyer, customer, "keys", acceptBy);
        vm.prank(buyer);
        sales.deliver(id, "keys");
        assertSale(IDatasetSales.State.Delivered, buyer, LIST_PRICE, customer, acceptBy);
    }
}

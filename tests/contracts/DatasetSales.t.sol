// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {Permit} from "../../contracts/types/Permit.sol";
import {SalesMarket} from "./support/SalesMarket.sol";

/// list
/// ├── when the caller does not hold the token, also because a sale runs: it should revert
/// ├── when the price is beyond 96 bits: it should revert
/// ├── given a revoked data set, or one whose order is not settled: it should revert
/// ├── given no approval: it should revert
/// ├── given more keys than 16 bits count: it should revert
/// └── it should offer the token, at a new price when it was offered already
/// unlist
/// ├── given no offer, or a sale that runs: it should revert
/// ├── when the caller is neither the seller nor the holder: it should revert
/// └── it should take the offer back
/// buy
/// ├── given no offer, or a sale that runs: it should revert
/// ├── when price or promise is not the one agreed to: it should revert
/// ├── when the delivery key is no point, or one beyond what can be checked: it should revert
/// ├── given a data set revoked since: it should revert
/// ├── given a seller without token, approval or deposit: it should revert
/// ├── given a buyer without money or with a useless permit: it should revert
/// ├── it should hold money, deposit and token, paid by approval or by permit
/// └── given an open data set: it should pay and hand the token over at once, and take no deposit
/// deliver
/// ├── given no sale, or a delivered one: it should revert
/// ├── when the caller is not the seller, or is late: it should revert
/// ├── when a key lacks, or the seller's point is none: it should revert
/// └── it should log the keys and start the time to reject
/// (the ends: DatasetSalesEnd.t.sol; hostile tokens: HostileToken.t.sol)
contract DatasetSalesTest is SalesMarket {
    bytes4 private constant UNAUTHORIZED = IDatasetSales.DatasetSales_Unauthorized.selector;
    bytes4 private constant WRONG_STATE = IDatasetSales.DatasetSales_WrongState.selector;

    function test_ListRejectsOthersThanTheHolder() public {
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, stranger));
        vm.prank(stranger);
        sales.list(id, LIST_PRICE, promised);
    }

    function test_ListRejectsTheSellerWhileItsSaleRuns() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, buyer));
        vm.prank(buyer);
        sales.list(id, 1, promised);
    }

    function test_ListRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 9));
        vm.prank(buyer);
        sales.list(9, LIST_PRICE, promised);
    }

    function test_ListRejectsPriceBeyondItsField() public {
        uint256 price = uint256(type(uint96).max) + 1;
        bytes4 cause = IDatasetSales.DatasetSales_PriceTooHigh.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, price, type(uint96).max));
        vm.prank(buyer);
        sales.list(id, price, promised);
    }

    function test_ListRejectsRevokedDataSet() public {
        _revoke(id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_Revoked.selector, id));
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, promised);
    }

    function test_ListRejectsDataSetWhoseWindowIsOpen() public {
        (, uint256 fresh) = _publish(_termsNow(2));
        bytes4 cause = IDatasetSales.DatasetSales_NotSettled.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, fresh, IOrderEscrow.State.Published));
        vm.prank(buyer);
        sales.list(fresh, LIST_PRICE, promised);
    }

    function test_ListRejectsTokenThatItMayNotMove() public {
        vm.prank(buyer);
        datasets.approve(address(0), id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_NotApproved.selector, id));
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, promised);
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
        sales.list(id, 7, promised);
        assertSale(IDatasetSales.State.Listed, buyer, 7, address(0), 0);
        assertEq(datasets.ownerOf(id), buyer, "holder");
    }

    function test_ListPublishesThePromise() public {
        vm.expectEmit();
        emit IDatasetSales.KeysPromised(id, buyer, promised);
        _list();
        IDatasetSales.Sale memory found = sales.saleOf(id);
        assertEq(found.keys, 3, "keys");
        assertEq(found.promised, promisedDigest, "promised");
    }

    function test_ListRejectsMoreKeysThanCanBeCounted() public {
        bytes32[] memory many = new bytes32[](uint256(type(uint16).max) + 1);
        bytes4 cause = IDatasetSales.DatasetSales_TooManyKeys.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, many.length, type(uint16).max));
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, many);
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
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyRejectsSaleThatRuns() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        vm.prank(stranger);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyRejectsPriceRaisedInBetween() public {
        _list();
        vm.prank(buyer);
        sales.list(id, LIST_PRICE + 1, promised);
        bytes4 cause = IDatasetSales.DatasetSales_WrongPrice.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, LIST_PRICE + 1, LIST_PRICE));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyRejectsPromiseChangedInBetween() public {
        _list();
        bytes32 agreed = promisedDigest;
        promised[1] = keccak256("a key of no file");
        _list();
        bytes4 cause = IDatasetSales.DatasetSales_WrongPromise.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, keccak256(abi.encodePacked(promised)), agreed));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, agreed, point, _noPermit());
    }

    /// @dev x = 5 is on no point; the last two are points whose products `ecrecover` cannot check, and no point at all.
    function test_BuyRejectsDeliveryKeysThatNothingCanBeMaskedFor() public {
        _list();
        bytes32[4] memory useless = [
            bytes32(0),
            bytes32(uint256(5)),
            bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364143),
            bytes32(type(uint256).max)
        ];
        for (uint256 i = 0; i < useless.length; ++i) {
            bytes4 cause = IDatasetSales.DatasetSales_UselessKey.selector;
            vm.expectRevert(abi.encodeWithSelector(cause, useless[i]));
            vm.prank(customer);
            sales.buy(id, LIST_PRICE, promisedDigest, useless[i], _noPermit());
        }
    }

    function test_BuyRejectsOfferWhoseDepositIsGone() public {
        _list();
        vm.prank(buyer);
        token.approve(address(sales), SALE_DEPOSIT - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector,
                address(sales),
                SALE_DEPOSIT - 1,
                SALE_DEPOSIT
            )
        );
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyPaysAnOpenDataSetAtOnce() public {
        uint256 sellerHeld = token.balanceOf(buyer);
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, new bytes32[](0));
        vm.expectEmit();
        emit IDatasetSales.SaleAccepted(id, buyer, customer, 149, 1_850);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, 0, 0, _noPermit());
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
        assertEq(datasets.ownerOf(id), customer, "holder");
        assertEq(rewards.claimable(buyer), 1_850, "seller");
        assertBalance(buyer, sellerHeld);
        assertBalance(address(sales), 0);
    }

    function test_BuyRejectsADeliveryKeyWhereNoKeyIsPromised() public {
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_UselessKey.selector, point));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, 0, point, _noPermit());
    }

    function test_BuyRejectsDataSetRevokedSince() public {
        _list();
        _revoke(id);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_Revoked.selector, id));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
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
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyRejectsOfferWhoseApprovalIsGone() public {
        _list();
        vm.prank(buyer);
        datasets.approve(address(0), id);
        bytes4 cause = IERC721Errors.ERC721InsufficientApproval.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, address(sales), id));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
    }

    function test_BuyRejectsExpiredPermit() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), LIST_PRICE - 1);
        Permit memory permit = _permitOf(LIST_PRICE);
        vm.warp(permit.deadline + 1);
        vm.expectRevert(abi.encodeWithSignature("ERC2612ExpiredSignature(uint256)", permit.deadline));
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, permit);
    }

    function test_BuyHoldsMoneyAndToken() public {
        _list();
        uint256 sellerHeld = token.balanceOf(buyer);
        uint256 deadline = vm.getBlockTimestamp() + sales.DELIVER_SECONDS();
        vm.expectEmit();
        emit IDatasetSales.DatasetSold(id, buyer, customer, LIST_PRICE, point, deadline);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
        assertSale(IDatasetSales.State.Sold, buyer, LIST_PRICE, customer, deadline);
        assertEq(datasets.ownerOf(id), address(sales), "holder");
        assertBalance(address(sales), LIST_PRICE + SALE_DEPOSIT);
        assertBalance(customer, FUNDS - LIST_PRICE);
        assertBalance(buyer, sellerHeld - SALE_DEPOSIT);
    }

    function test_BuyPaysByPermit() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), 0);
        Permit memory permit = _permitOf(LIST_PRICE);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, permit);
        assertBalance(address(sales), LIST_PRICE + SALE_DEPOSIT);
    }

    function test_BuyGoesOnWhenSomebodyUsedThePermitFirst() public {
        _list();
        vm.prank(customer);
        token.approve(address(sales), 0);
        Permit memory permit = _permitOf(LIST_PRICE);
        token.permit(customer, address(sales), LIST_PRICE, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, permit);
        assertBalance(address(sales), LIST_PRICE + SALE_DEPOSIT);
    }

    function test_DeliverRejectsOfferWithoutBuyer() public {
        _list();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Listed));
        vm.prank(buyer);
        sales.deliver(id, bundle);
    }

    function test_DeliverRejectsSecondTime() public {
        _deliver();
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Delivered));
        vm.prank(buyer);
        sales.deliver(id, bundle);
    }

    function test_DeliverRejectsOthersThanTheSeller() public {
        _buy();
        vm.expectRevert(abi.encodeWithSelector(UNAUTHORIZED, id, customer));
        vm.prank(customer);
        sales.deliver(id, bundle);
    }

    function test_DeliverRejectsLateKeys() public {
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        bytes4 cause = IDatasetSales.DatasetSales_TooLate.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, deadline));
        vm.prank(buyer);
        sales.deliver(id, bundle);
    }

    function test_DeliverRejectsABundleThatLacksAKey() public {
        _buy();
        bytes memory cut = bundle;
        assembly ("memory-safe") {
            mstore(cut, 96)
        }
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_WrongLength.selector, 96, 128));
        vm.prank(buyer);
        sales.deliver(id, cut);
    }

    /// @dev Whose secret nobody has, so that no proof could be about it.
    function test_DeliverRejectsAPointThatCannotBeChecked() public {
        _buy();
        bytes memory changed = bundle;
        bytes32 useless = bytes32(uint256(5));
        assembly ("memory-safe") {
            mstore(add(changed, 32), useless)
        }
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_UselessKey.selector, useless));
        vm.prank(buyer);
        sales.deliver(id, changed);
    }

    function test_DeliverStartsTheTimeToReject() public {
        uint256 deadline = _buy();
        vm.warp(deadline);
        uint256 acceptBy = deadline + sales.ACCEPT_SECONDS();
        vm.expectEmit();
        emit IDatasetSales.KeysDelivered(id, buyer, customer, bundle, acceptBy);
        vm.prank(buyer);
        sales.deliver(id, bundle);
        assertSale(IDatasetSales.State.Delivered, buyer, LIST_PRICE, customer, acceptBy);
    }
}

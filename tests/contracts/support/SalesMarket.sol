// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IDatasetSales} from "../../../contracts/interfaces/IDatasetSales.sol";
import {Permit} from "../../../contracts/types/Permit.sol";
import {GoodsMarket} from "./GoodsMarket.sol";

/// @notice A settled data set whose buyer may resell it, a customer with money, and the steps of a sale.
abstract contract SalesMarket is GoodsMarket {
    uint256 internal constant CUSTOMER_KEY = 0xC057;
    uint256 internal constant LIST_PRICE = 1_999;
    uint256 internal constant FUNDS = 1_000_000;
    uint16 internal constant ROYALTY_BPS = 750;
    bytes32 internal constant KEY = keccak256("the customer's delivery key");

    address internal customer = vm.addr(CUSTOMER_KEY);
    uint256 internal id;
    /// @dev Tokens of the settlement, which lie in the rewards contract before anything is sold.
    uint256 internal settled;

    function setUp() public virtual override {
        super.setUp();
        id = _dataset(1, ROYALTY_BPS);
        settled = token.balanceOf(address(rewards));
        token.mint(customer, FUNDS);
        vm.prank(customer);
        token.approve(address(sales), type(uint256).max);
        vm.prank(buyer);
        datasets.approve(address(sales), id);
    }

    function _list() internal {
        vm.prank(buyer);
        sales.list(id, LIST_PRICE);
    }

    function _buy() internal returns (uint256 deadline) {
        _list();
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, KEY, _noPermit());
        return sales.saleOf(id).deadline;
    }

    function _deliver() internal returns (uint256 deadline) {
        _buy();
        vm.prank(buyer);
        sales.deliver(id, "keys");
        return sales.saleOf(id).deadline;
    }

    /// @dev The customer's, good for an hour.
    function _permitOf(uint256 amount) internal view returns (Permit memory permit) {
        permit.deadline = vm.getBlockTimestamp() + 1 hours;
        bytes32 typehash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        bytes32 structHash = keccak256(
            abi.encode(typehash, customer, address(sales), amount, token.nonces(customer), permit.deadline)
        );
        bytes32 digest = MessageHashUtils.toTypedDataHash(token.DOMAIN_SEPARATOR(), structHash);
        (permit.v, permit.r, permit.s) = vm.sign(CUSTOMER_KEY, digest);
    }

    function assertSale(
        IDatasetSales.State state,
        address seller,
        uint256 price,
        address customer_,
        uint256 deadline
    ) internal view {
        IDatasetSales.Sale memory found = sales.saleOf(id);
        assertEq(uint256(found.state), uint256(state), "state");
        assertEq(found.seller, seller, "seller");
        assertEq(found.price, price, "price");
        assertEq(found.buyer, customer_, "buyer");
        assertEq(found.deadline, deadline, "deadline");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IDatasetSales} from "../../../contracts/interfaces/IDatasetSales.sol";
import {KeyDelivery} from "../../../contracts/types/KeyDelivery.sol";
import {Permit} from "../../../contracts/types/Permit.sol";
import {Curve} from "./Curve.sol";
import {GoodsMarket} from "./GoodsMarket.sol";

/// @notice A settled data set whose buyer may resell it, a customer with money, and the steps of a sale.
abstract contract SalesMarket is GoodsMarket {
    uint256 internal constant CUSTOMER_KEY = 0xC057;
    uint256 internal constant LIST_PRICE = 1_999;
    uint256 internal constant FUNDS = 1_000_000;
    uint16 internal constant ROYALTY_BPS = 750;
    /// @dev A tenth of the price, rounded up.
    uint256 internal constant SALE_DEPOSIT = 200;
    uint256 internal constant CUSTOMER_SECRET = 0xC0B;
    uint256 internal constant SELLER_SECRET = 0xA11CE;

    address internal customer = vm.addr(CUSTOMER_KEY);
    uint256 internal id;
    /// @dev Tokens of the settlement, which lie in the rewards contract before anything is sold.
    uint256 internal settled;
    /// @dev The customer's one-time point.
    bytes32 internal point;
    /// @dev What the seller of data set {id} promises: keys of two shards and of the score file.
    bytes32[] internal promised;
    bytes32 internal promisedDigest;
    /// @dev The keys as promised, masked for the customer.
    bytes internal bundle;

    function setUp() public virtual override {
        super.setUp();
        id = _dataset(1, ROYALTY_BPS);
        settled = token.balanceOf(address(rewards));
        token.mint(customer, FUNDS);
        vm.prank(customer);
        token.approve(address(sales), type(uint256).max);
        vm.prank(buyer);
        token.approve(address(sales), type(uint256).max);
        token.mint(buyer, SALE_DEPOSIT);
        vm.prank(buyer);
        datasets.approve(address(sales), id);
        point = Curve.point(CUSTOMER_SECRET);
        _promise();
    }

    /// @dev Keys, commitments and bundle of data set {id}.
    function _promise() internal {
        delete promised;
        bytes32[] memory keys = _keys();
        for (uint256 i = 0; i < keys.length; ++i) {
            promised.push(KeyDelivery.commitment(_orderOf(id), _shardAt(i), keys[i]));
        }
        promisedDigest = keccak256(abi.encodePacked(promised));
        bundle = _bundleOf(keys, point);
    }

    function _keys() internal pure returns (bytes32[] memory keys) {
        keys = new bytes32[](3);
        (keys[0], keys[1], keys[2]) = (keccak256("first"), keccak256("second"), keccak256("score"));
    }

    function _shardAt(uint256 place) internal pure returns (uint32) {
        return place == 2 ? type(uint32).max : uint32(place);
    }

    /// @dev What the seller delivers for a point whose secret is the customer's.
    function _bundleOf(bytes32[] memory keys, bytes32 to) internal view returns (bytes memory wrapped) {
        bytes32 sellerPoint = Curve.point(SELLER_SECRET);
        wrapped = abi.encodePacked(sellerPoint);
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes32 mask = KeyDelivery.mask(_orderOf(id), _shardAt(i), _shared(), sellerPoint, to);
            wrapped = abi.encodePacked(wrapped, keys[i] ^ mask);
        }
    }

    /// @dev What both sides know.
    function _shared() internal view returns (bytes32) {
        return Curve.point(mulmod(CUSTOMER_SECRET, SELLER_SECRET, Curve.ORDER));
    }

    /// @dev The customer's claim that the key at this place of what was delivered is wrong.
    function _fault(uint256 place, bytes memory wrapped) internal view returns (IDatasetSales.KeyFault memory) {
        return IDatasetSales.KeyFault(place, CUSTOMER_SECRET, _shared(), wrapped, promised);
    }

    /// @dev The second shard's key is another one.
    function _wrongBundle() internal view returns (bytes memory) {
        bytes32[] memory keys = _keys();
        keys[1] = keccak256("of no file");
        return _bundleOf(keys, point);
    }

    function _list() internal {
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, promised);
    }

    function _buy() internal returns (uint256 deadline) {
        _list();
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
        return sales.saleOf(id).deadline;
    }

    function _deliver() internal returns (uint256 deadline) {
        _buy();
        vm.prank(buyer);
        sales.deliver(id, bundle);
        return sales.saleOf(id).deadline;
    }

    /// @dev Sold, and a wrong key delivered.
    function _misdeliver() internal returns (uint256 deadline, bytes memory wrong) {
        wrong = _wrongBundle();
        _buy();
        vm.prank(buyer);
        sales.deliver(id, wrong);
        deadline = sales.saleOf(id).deadline;
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

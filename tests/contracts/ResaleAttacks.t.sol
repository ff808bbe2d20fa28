// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Curve} from "./support/Curve.sol";
import {SalesMarket} from "./support/SalesMarket.sol";

/// @notice Attacks on who sells or buys a data set, by the numbers of docs/security.md. Each test plays the attack and
/// shows what the attacker has afterwards. List price 1,999, royalty 149, deposit of the seller 200.
contract ResaleAttacksTest is SalesMarket {
    /// @dev All that an account has, here and among its rewards.
    function _has(address account) private view returns (uint256) {
        return token.balanceOf(account) + rewards.claimable(account);
    }

    // -- A8: a buyer, a seller, each of them with somebody else ------------------------------------------------------

    /// @dev Before: the price came back by `reject`, and the buyer had the keys for nothing. Now it costs the price.
    function test_A8_ToReadAndRejectCostsThePrice() public {
        uint256 seller = _has(buyer);
        uint256 deadline = _deliver();
        IDatasetSales.KeyFault memory fault = _fault(0, bundle);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_KeyIsRight.selector, id, 0));
        vm.prank(customer);
        sales.reject(id, fault);
        vm.warp(deadline + 1);
        vm.prank(stranger);
        sales.accept(id);
        assertEq(_has(customer), FUNDS - LIST_PRICE, "buyer");
        assertEq(_has(buyer), seller + 1_850, "seller");
    }

    /// @dev Before: any key held the token up for six days and spoiled the seller's record, for gas. Now a key that is
    /// none is refused, and one whose secret nobody has is paid for.
    function test_A8_ToHoldATokenUpCostsThePriceAndNotTheSellersRecord() public {
        uint256 seller = _has(buyer);
        _list();
        // A point of which nobody knows the secret: of the next x after a hash.
        bytes32 nobodys = keccak256("nothing up this sleeve");
        while (!_isTaken(nobodys)) nobodys = bytes32(uint256(nobodys) + 1);
        bytes memory masked = _bundleOf(_keys(), nobodys);
        vm.prank(buyer);
        sales.deliver(id, masked);
        vm.warp(vm.getBlockTimestamp() + sales.ACCEPT_SECONDS() + 1);
        vm.prank(buyer);
        sales.accept(id);
        assertEq(_has(customer), FUNDS - LIST_PRICE, "buyer");
        assertEq(_has(buyer), seller + 1_850, "seller");
        IDatasetSales.Record memory record = sales.recordOf(buyer);
        assertEq(record.sold, 1, "sold");
        assertEq(record.rejected + record.undelivered, 0, "spoiled");
    }

    function _isTaken(bytes32 key) private returns (bool taken) {
        vm.prank(customer);
        (taken, ) = address(sales).call(
            abi.encodeCall(sales.buy, (id, LIST_PRICE, promisedDigest, key, _noPermit()))
        );
    }

    /// @dev Before: a seller of keys that open nothing had 1,850 if the buyer slept for three days, and lost nothing if
    /// it did not. Now anybody whom the buyer tells its one-time secret ends the sale, and the seller loses 200.
    function test_A8_ASellerOfWrongKeysLosesItsDepositToTheBuyer() public {
        uint256 seller = _has(buyer);
        (, bytes memory wrong) = _misdeliver();
        IDatasetSales.KeyFault memory fault = _fault(1, wrong);
        vm.prank(stranger);
        sales.reject(id, fault);
        assertEq(_has(customer), FUNDS + SALE_DEPOSIT, "buyer");
        assertEq(_has(buyer), seller - SALE_DEPOSIT, "seller");
        assertEq(datasets.ownerOf(id), buyer, "holder");
        assertEq(sales.recordOf(buyer).rejected, 1, "record");
    }

    /// @dev Before: to hold a buyer's money for three days cost a seller nothing. Now 200 of 1,999.
    function test_A8_ASellerThatDeliversNothingLosesItsDepositToTheBuyer() public {
        uint256 seller = _has(buyer);
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        vm.prank(stranger);
        sales.expire(id);
        assertEq(_has(customer), FUNDS + SALE_DEPOSIT, "buyer");
        assertEq(_has(buyer), seller - SALE_DEPOSIT, "seller");
    }

    /// @dev A point beyond what the chain can check would make every later proof fail.
    function test_A8_ASellerCannotHideAWrongKeyBehindAPointThatCannotBeChecked() public {
        _buy();
        // x is a point of the curve, and not below the order of the group.
        bytes32 beyond = bytes32(Curve.ORDER + 2);
        bytes memory wrapped = abi.encodePacked(beyond, _keys());
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_UselessKey.selector, beyond));
        vm.prank(buyer);
        sales.deliver(id, wrapped);
    }

    /// @dev Seller and buyer are one: whatever they stage, together they have what they had, less the royalty.
    function test_A8_ASellerAndItsBuyerGainNothingByStagedFaults() public {
        uint256 both = _has(buyer) + _has(customer);
        (, bytes memory wrong) = _misdeliver();
        IDatasetSales.KeyFault memory fault = _fault(1, wrong);
        sales.reject(id, fault);
        assertEq(_has(buyer) + _has(customer), both, "rejected");
        rewards.claimFor(customer);
        token.mint(buyer, SALE_DEPOSIT);
        vm.prank(buyer);
        datasets.approve(address(sales), id);
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        sales.expire(id);
        assertEq(_has(buyer) + _has(customer), both + SALE_DEPOSIT, "expired: no more than was minted");
        assertBalance(address(sales), 0);
    }

    /// @dev Twice as many shards as an order can have. A block has 16,777,216 gas at least.
    function test_A8_AProofOverTheMostKeysFitsAnyBlock() public {
        (bytes32[] memory commitments, bytes memory wrapped) = _manyKeys(256);
        vm.prank(buyer);
        sales.list(id, LIST_PRICE, commitments);
        vm.prank(customer);
        sales.buy(id, LIST_PRICE, keccak256(abi.encodePacked(commitments)), point, _noPermit());
        vm.prank(buyer);
        sales.deliver(id, wrapped);
        IDatasetSales.KeyFault memory fault = _fault(254, wrapped);
        fault.commitments = commitments;
        sales.reject(id, fault);
        assertAtMost(vm.lastCallGas().gasTotalUsed, 750_000, "gas");
    }

    function _manyKeys(uint256 count) private view returns (bytes32[] memory commitments, bytes memory wrapped) {
        commitments = new bytes32[](count);
        bytes32[] memory words = new bytes32[](count + 1);
        words[0] = Curve.point(SELLER_SECRET);
        for (uint256 i = 0; i < count; ++i) {
            (commitments[i], words[i + 1]) = (keccak256(abi.encode("promised", i)), keccak256(abi.encode(i)));
        }
        wrapped = abi.encodePacked(words);
    }

    // -- A10: the token of an order whose window is open -------------------------------------------------------------

    /// @dev Before: the first buyer sold the token inside the window, and the refund of a challenge was its too.
    function test_A10_TheTokenStaysWhereARefundWouldGoUntilTheWindowIsOver() public {
        OrderTerms memory terms = _termsNow(2);
        (bytes32 order, uint256 fresh) = _publish(terms);
        bytes memory locked = abi.encodeWithSelector(
            IDatasetRegistry.DatasetRegistry_WindowOpen.selector,
            fresh,
            order
        );
        vm.expectRevert(locked);
        vm.prank(buyer);
        datasets.transferFrom(buyer, customer, fresh);
        vm.prank(buyer);
        datasets.approve(stranger, fresh);
        vm.expectRevert(locked);
        vm.prank(stranger);
        datasets.safeTransferFrom(buyer, customer, fresh);
        assertEq(datasets.ownerOf(fresh), buyer, "holder");

        _settle(terms, _noParents());
        vm.prank(stranger);
        datasets.safeTransferFrom(buyer, customer, fresh);
        assertEq(datasets.ownerOf(fresh), customer, "holder");
    }
}

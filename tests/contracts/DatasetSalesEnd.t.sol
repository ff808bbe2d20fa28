// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {IDatasetSales} from "../../contracts/interfaces/IDatasetSales.sol";
import {KeyDelivery} from "../../contracts/types/KeyDelivery.sol";
import {Curve} from "./support/Curve.sol";
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
/// ├── given a sale that is not delivered, or that ended, or whose time is over: it should revert
/// ├── when the key is the promised one: it should revert
/// ├── when the proof is about another delivery, promise, place, secret or shared point: it should revert
/// └── it should owe the buyer its money and the deposit, give the token back and count it for the seller
/// expire
/// ├── given a delivered sale: it should revert
/// ├── when the seller still has time: it should revert
/// └── it should owe the buyer its money and the deposit, give the token back and count it for the seller
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
        assertEq(rewards.claimable(buyer), 1_850 + SALE_DEPOSIT, "seller");
        assertBalance(address(rewards), settled + LIST_PRICE + SALE_DEPOSIT);
        assertBalance(address(sales), 0);
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
        assertRecord(buyer, IDatasetSales.Record(1, 0, 0, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 1));
    }

    function test_AcceptPaysAnybodysCallOnceTheTimeIsOver() public {
        uint256 deadline = _deliver();
        vm.warp(deadline + 1);
        vm.prank(stranger);
        sales.accept(id);
        assertEq(datasets.ownerOf(id), customer, "holder");
        assertEq(rewards.claimable(buyer), 1_850 + SALE_DEPOSIT, "seller");
    }

    function testFuzz_AcceptDividesThePriceToTheWei(uint96 price, uint16 royaltyBps) public {
        royaltyBps = uint16(bound(royaltyBps, 0, 1_000));
        id = _dataset(2, royaltyBps);
        settled = token.balanceOf(address(rewards));
        token.mint(customer, price);
        uint256 deposit = sales.depositOf(price);
        token.mint(buyer, deposit);
        vm.prank(buyer);
        datasets.approve(address(sales), id);
        _promise();
        vm.prank(buyer);
        sales.list(id, price, promised);
        vm.prank(customer);
        sales.buy(id, price, promisedDigest, point, _noPermit());
        vm.prank(buyer);
        sales.deliver(id, bundle);
        vm.prank(customer);
        sales.accept(id);
        uint256 royalty = (uint256(price) * royaltyBps) / 10_000;
        assertEq(rewards.datasetBalance(id), royalty, "pot");
        assertEq(rewards.claimable(buyer), price - royalty + deposit, "seller");
        assertBalance(address(rewards), settled + price + deposit);
        assertBalance(address(sales), 0);
    }

    function test_AcceptHandsTheTokenToABuyerWhoseHookRefuses() public {
        address refuser = address(new Refuser());
        token.mint(refuser, LIST_PRICE);
        vm.prank(refuser);
        token.approve(address(sales), LIST_PRICE);
        _list();
        vm.prank(refuser);
        sales.buy(id, LIST_PRICE, promisedDigest, point, _noPermit());
        vm.prank(buyer);
        sales.deliver(id, bundle);
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
        sales.list(id, 5, promised);
        assertSale(IDatasetSales.State.Listed, customer, 5, address(0), 0);
    }

    function test_RejectRejectsSaleWithoutKeys() public {
        _buy();
        IDatasetSales.KeyFault memory fault = _fault(1, _wrongBundle());
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.Sold));
        sales.reject(id, fault);
    }

    function test_RejectRejectsProofsOnceTheTimeIsOver() public {
        (uint256 deadline, bytes memory wrong) = _misdeliver();
        IDatasetSales.KeyFault memory fault = _fault(1, wrong);
        vm.warp(deadline + 1);
        bytes4 cause = IDatasetSales.DatasetSales_TooLate.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, id, deadline));
        sales.reject(id, fault);
    }

    function test_RejectRejectsAcceptedSale() public {
        (, bytes memory wrong) = _misdeliver();
        vm.prank(customer);
        sales.accept(id);
        IDatasetSales.KeyFault memory fault = _fault(1, wrong);
        vm.expectRevert(abi.encodeWithSelector(WRONG_STATE, id, IDatasetSales.State.None));
        sales.reject(id, fault);
    }

    function test_RejectRejectsEveryKeyThatIsTheRightOne() public {
        _deliver();
        for (uint256 place = 0; place < 3; ++place) {
            IDatasetSales.KeyFault memory fault = _fault(place, bundle);
            bytes4 cause = IDatasetSales.DatasetSales_KeyIsRight.selector;
            vm.expectRevert(abi.encodeWithSelector(cause, id, place));
            vm.prank(customer);
            sales.reject(id, fault);
        }
    }

    function test_RejectRejectsTheRightKeysOfABundleWithAWrongOne() public {
        (, bytes memory wrong) = _misdeliver();
        IDatasetSales.KeyFault memory fault = _fault(2, wrong);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_KeyIsRight.selector, id, 2));
        sales.reject(id, fault);
    }

    function test_RejectRejectsPlacesBeyondTheBundle() public {
        (, bytes memory wrong) = _misdeliver();
        _expectWrongProof(_fault(3, wrong));
    }

    function test_RejectRejectsAnotherDelivery() public {
        _deliver();
        _expectWrongProof(_fault(1, _wrongBundle()));
    }

    function test_RejectRejectsAnotherPromise() public {
        _deliver();
        promised[1] = keccak256("never promised");
        _expectWrongProof(_fault(1, bundle));
    }

    function test_RejectRejectsAnotherSecret() public {
        _deliver();
        IDatasetSales.KeyFault memory fault = _fault(1, bundle);
        uint256[3] memory secrets = [uint256(0), CUSTOMER_SECRET + 1, SELLER_SECRET];
        for (uint256 i = 0; i < secrets.length; ++i) {
            fault.secret = secrets[i];
            _expectWrongProof(fault);
        }
    }

    function test_RejectRejectsAnotherSharedPoint() public {
        _deliver();
        IDatasetSales.KeyFault memory fault = _fault(1, bundle);
        bytes32[3] memory others = [bytes32(0), point, bytes32(uint256(5))];
        for (uint256 i = 0; i < others.length; ++i) {
            fault.shared = others[i];
            _expectWrongProof(fault);
        }
    }

    /// @dev Whose product is not a point: the secret is the order of the group.
    function test_RejectRejectsASecretOfNoPoint() public {
        _deliver();
        IDatasetSales.KeyFault memory fault = _fault(1, bundle);
        fault.secret = Curve.ORDER;
        _expectWrongProof(fault);
    }

    function test_RejectUndoesTheSaleAndCountsItForTheSeller() public {
        (uint256 deadline, bytes memory wrong) = _misdeliver();
        vm.warp(deadline);
        IDatasetSales.KeyFault memory fault = _fault(1, wrong);
        vm.expectEmit();
        emit IDatasetSales.SaleRejected(id, buyer, customer);
        vm.prank(stranger);
        sales.reject(id, fault);
        assertUndone();
        assertRecord(buyer, IDatasetSales.Record(0, 1, 0, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 0));
    }

    /// @dev Whatever two secrets are: the right keys are never proven wrong, and one flipped bit always is.
    function testFuzz_RejectTellsTheRightKeysFromWrongOnes(
        uint128 customerSecret,
        uint128 sellerSecret,
        uint256 place
    ) public {
        uint256 mine = uint256(customerSecret) + 1;
        uint256 theirs = uint256(sellerSecret) + 1;
        place = bound(place, 0, 2);
        point = Curve.point(mine);
        bytes32 shared = Curve.point(mulmod(mine, theirs, Curve.ORDER));
        bytes32 sellerPoint = Curve.point(theirs);
        bytes32[] memory words = _keys();
        for (uint256 i = 0; i < 3; ++i) {
            words[i] ^= KeyDelivery.mask(_orderOf(id), _shardAt(i), shared, sellerPoint, point);
        }
        words[place] ^= bytes32(uint256(1));
        bytes memory wrapped = abi.encodePacked(sellerPoint, words);
        _buy();
        vm.prank(buyer);
        sales.deliver(id, wrapped);
        uint256 other = (place + 1) % 3;
        IDatasetSales.KeyFault memory fault = IDatasetSales.KeyFault(other, mine, shared, wrapped, promised);
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_KeyIsRight.selector, id, other));
        sales.reject(id, fault);
        fault.place = place;
        sales.reject(id, fault);
        assertUndone();
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
        assertRecord(buyer, IDatasetSales.Record(0, 0, 1, 0));
        assertRecord(customer, IDatasetSales.Record(0, 0, 0, 0));
    }

    function test_RefundReachesTheBuyerByARelayersClaim() public {
        uint256 deadline = _buy();
        vm.warp(deadline + 1);
        sales.expire(id);
        vm.prank(stranger);
        rewards.claimFor(customer);
        assertBalance(customer, FUNDS + SALE_DEPOSIT);
        assertBalance(address(rewards), settled);
    }

    function _expectWrongProof(IDatasetSales.KeyFault memory fault) private {
        vm.expectRevert(abi.encodeWithSelector(IDatasetSales.DatasetSales_WrongProof.selector, id));
        vm.prank(customer);
        sales.reject(id, fault);
    }

    function assertUndone() private view {
        assertSale(IDatasetSales.State.None, address(0), 0, address(0), 0);
        assertEq(datasets.ownerOf(id), buyer, "holder");
        assertEq(rewards.claimable(customer), LIST_PRICE + SALE_DEPOSIT, "buyer");
        assertEq(rewards.claimable(buyer), 0, "seller");
        assertEq(rewards.datasetBalance(id), 0, "pot");
        assertBalance(address(sales), 0);
        assertBalance(address(rewards), settled + LIST_PRICE + SALE_DEPOSIT);
    }

    function assertRecord(address account, IDatasetSales.Record memory expected) private view {
        IDatasetSales.Record memory found = sales.recordOf(account);
        assertEq(found.sold, expected.sold, "sold");
        assertEq(found.rejected, expected.rejected, "rejected");
        assertEq(found.undelivered, expected.undelivered, "undelivered");
        assertEq(found.bought, expected.bought, "bought");
    }
}

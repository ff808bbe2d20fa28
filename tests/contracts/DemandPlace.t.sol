// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Whose is the one demand of a shard of open data.
/// @dev Plan:
/// demandChunk: given a stranger's open demand: another stranger's, and after its time the buyer's, reverts
///   before its time the buyer's takes its place: deposit back, still one open demand; and nobody takes the buyer's
contract DemandPlaceTest is RowMarket {
    uint256 private constant PAWN = 30 ether;
    bytes32 private _order;
    uint256 private _id;

    function setUp() public override {
        super.setUp();
        address[2] memory payers = [buyer, stranger];
        token.mint(stranger, 1_000 ether);
        for (uint256 k = 0; k < 2; ++k) {
            vm.prank(payers[k]);
            token.approve(address(demands), type(uint256).max);
        }
        (_order, _id) = _publishRows(_openTerms());
        _demand(stranger, 0, "");
    }

    function _openTerms() private view returns (OrderTerms memory terms) {
        terms = _terms();
        terms.deliveryKey = bytes32(0);
    }

    function _demand(address caller, uint64 row, bytes memory reason) private {
        bytes32 root = _shardRoot(1);
        (bytes32[] memory proof, ) = _path(_shardLeaves(), 1);
        OrderTerms memory terms = _openTerms();
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(caller);
        demands.demandChunk(terms, _participants(), _id, 1, root, proof, row);
    }

    function _alreadyOpen() private view returns (bytes memory) {
        return abi.encodeWithSelector(IDemands.Demands_AlreadyOpen.selector, _order, 1);
    }

    function test_AStrangerDoesNotTakeAStrangersPlace() public {
        _demand(stranger, 150, _alreadyOpen());
        _demand(broker, 150, _alreadyOpen());
    }

    function test_TheBuyerDoesNotSpareTheSilent() public {
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(uint256(answerBy) + 1);
        _demand(buyer, 150, _alreadyOpen());
    }

    function test_TheBuyerTakesAStrangersPlaceAndKeepsIt() public {
        uint256 before = _allMoney();
        uint256 strangerBefore = token.balanceOf(stranger);
        uint64 answerBy = demands.demandOf(_order, 1).answerBy;
        vm.warp(answerBy);
        vm.expectEmit();
        emit IDemands.DemandExpired(_order, 1, IDemands.Kind.Chunk, false);
        vm.expectEmit();
        emit IDemands.DemandOpened(
            _order,
            1,
            buyer,
            IDemands.Kind.Chunk,
            _id,
            150,
            answerBy + uint64(ANSWER),
            PAWN
        );
        _demand(buyer, 150, "");
        assertEq(token.balanceOf(stranger) - strangerBefore, PAWN, "deposit back");
        assertEq(escrow.orderOf(_order).openDemands, 1, "open demands");
        IDemands.Demand memory found = demands.demandOf(_order, 1);
        assertEq(found.demander, buyer, "demander");
        assertEq(found.row, 150, "row");
        assertBalance(address(demands), found.deposit);
        assertEq(_allMoney(), before, "all money");
        _demand(stranger, 0, _alreadyOpen());
        _demand(buyer, 0, _alreadyOpen());
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetSales} from "../../../contracts/DatasetSales.sol";
import {Royalties} from "../../../contracts/Royalties.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {Market} from "./Market.sol";

/// @notice A market with what is traded in it after the settlement: royalties and resale.
abstract contract GoodsMarket is Market {
    DatasetSales internal sales;
    Royalties internal royalties;
    /// @dev May revoke. Looked up once: a call in between would spend an expected revert.
    address internal judge;

    function setUp() public virtual override {
        super.setUp();
        sales = DatasetSales(rewards.sales());
        royalties = Royalties(rewards.royalties());
        judge = datasets.challenges();
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
    }

    /// @dev Terms whose deadlines count from now.
    function _termsNow(uint256 salt) internal view returns (OrderTerms memory terms) {
        terms = _terms();
        terms.matchBy = uint64(vm.getBlockTimestamp() + 1 hours);
        terms.deliverBy = terms.matchBy + 1 days;
        terms.salt = bytes32(salt);
    }

    /// @param parents that the terms name.
    function _settle(OrderTerms memory terms, uint256[] memory parents) internal {
        vm.warp(vm.getBlockTimestamp() + terms.challengeSeconds + 1);
        escrow.settle(terms, _participants(), _shares(), parents);
    }

    function _publishSettled(OrderTerms memory terms) internal returns (uint256 id) {
        (, id) = _publish(terms);
        _settle(terms, _noParents());
    }

    /// @dev A settled data set that earns royalties.
    function _dataset(uint256 salt, uint16 royaltyBps) internal returns (uint256 id) {
        OrderTerms memory terms = _termsNow(salt);
        terms.royaltyBps = royaltyBps;
        return _publishSettled(terms);
    }

    /// @dev A data set derived from others, its window open.
    function _derived(uint256 salt, uint256[] memory parents, uint32 ownRealMicro) internal returns (uint256 id) {
        OrderTerms memory terms = _termsNow(salt);
        (terms.parents, terms.ownRealMicro) = (keccak256(abi.encode(parents)), ownRealMicro);
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        record.parents = parents;
        vm.prank(broker);
        return datasets.publish(terms, _participants(), record);
    }

    function _orderOf(uint256 id) internal view returns (bytes32) {
        return datasets.datasetOf(id).order;
    }

    function _statusOf(uint256 id) internal view returns (IDatasetRegistry.Status) {
        return datasets.datasetOf(id).status;
    }

    function _revoke(uint256 id) internal {
        vm.prank(judge);
        datasets.revokeShard(id, 0, true);
    }

    function assertStatus(uint256 id, IDatasetRegistry.Status expected) internal view {
        assertEq(uint256(_statusOf(id)), uint256(expected), "status");
    }

    function _ids(uint256 first) internal pure returns (uint256[] memory ids) {
        ids = new uint256[](1);
        ids[0] = first;
    }

    function _ids(uint256 first, uint256 second) internal pure returns (uint256[] memory ids) {
        ids = new uint256[](2);
        (ids[0], ids[1]) = (first, second);
    }
}

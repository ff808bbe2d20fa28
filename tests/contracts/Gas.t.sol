// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice What an order costs, each step as a transaction of its own (calldata and first-touch costs included).
contract GasTest is Market {
    function setUp() public override {
        super.setUp();
        // An ordinary order is not the market's first: let one pass before, and its rewards be claimed.
        OrderTerms memory terms = _terms();
        terms.salt = bytes32(uint256(77));
        _publish(terms);
        vm.warp(START + 1 hours + 1);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        for (uint256 k = 0; k < 3; ++k) {
            rewards.claimFor(_node(k));
        }
        rewards.claimFor(broker);
        vm.warp(START);
    }

    function _assertGas(uint256 maximum, string memory step) private view {
        assertAtMost(vm.lastCallGas().gasTotalUsed, maximum, step);
    }

    function _settled(address caller) private {
        vm.warp(START + 1 hours + 1);
        vm.prank(caller);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_PlacingCostsAtMost120k() public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        IOrderEscrow.Permit memory permit = _permit(terms.price);
        vm.prank(stranger);
        escrow.place(terms, signature, permit);
        _assertGas(120_000, "place");
    }

    function test_PublishingThreeShardsCostsAtMost350k() public {
        IDatasetRegistry.DatasetRecord memory record = _record(_draw(_terms()));
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        _assertGas(350_000, "publish");
    }

    function test_SettlingThreeShardsCostsAtMost150k() public {
        _publish(_terms());
        _settled(stranger);
        _assertGas(150_000, "settle");
    }

    function test_ClaimingCostsAtMost60k() public {
        _publish(_terms());
        _settled(stranger);
        vm.prank(_node(0));
        rewards.claim();
        _assertGas(60_000, "claim");
    }
}

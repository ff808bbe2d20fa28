// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Permit} from "../../contracts/types/Permit.sol";
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

    /// @dev Also writes the figure down, for the comparison with gas.snapshot.json (`make check`).
    function _assertGas(uint256 maximum, string memory step) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("gas", step, gas);
        assertAtMost(gas, maximum, step);
    }

    function _settled(address caller) private {
        vm.warp(START + 1 hours + 1);
        vm.prank(caller);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
    }

    function test_PlacingCostsAtMost120k() public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        Permit memory permit = _permit(terms.price);
        vm.prank(stranger);
        escrow.place(terms, signature, permit);
        _assertGas(120_000, "place");
    }

    function test_PublishingThreeShardsCostsAtMost360k() public {
        IDatasetRegistry.DatasetRecord memory record = _record(_draw(_terms()));
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        _assertGas(360_000, "publish");
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

    function test_MatchingThreeCostsAtMost300k() public {
        _match(_terms());
        _assertGas(300_000, "match");
    }

    function test_CommittingThreeModelsAndSaltsCostsAtMost160k() public {
        _commit(_terms());
        _assertGas(160_000, "commit");
    }

    function test_DrawingTheSeedFromThreeSaltsCostsAtMost90k() public {
        _draw(_terms());
        _assertGas(90_000, "draw");
    }

    /// @dev 1.3 times what it cost when a fault ended the order: 1,007,853.
    function test_AnOrderCostsAtMost1310kFromPlaceToSettle() public {
        OrderTerms memory terms = _terms();
        bytes32 order = _place(terms);
        uint256 sum = vm.lastCallGas().gasTotalUsed;
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
        sum += vm.lastCallGas().gasTotalUsed;
        bytes[] memory signatures = _modelSignatures(order);
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
        sum += vm.lastCallGas().gasTotalUsed;
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        sum += vm.lastCallGas().gasTotalUsed;
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        sum += vm.lastCallGas().gasTotalUsed;
        _settled(stranger);
        sum += vm.lastCallGas().gasTotalUsed;
        assertAtMost(sum, 1_310_000, "order");
    }

    function test_EveryContractIsBelowTheSizeLimit() public {
        _assertSize(address(token), "TestToken");
        _assertSize(address(registry), "ContributorRegistry");
        _assertSize(address(escrow), "OrderEscrow");
        _assertSize(address(commitment), "ModelCommitment");
        _assertSize(address(datasets), "DatasetRegistry");
        _assertSize(address(rewards), "Rewards");
    }

    /// @dev EIP-170.
    function _assertSize(address deployed, string memory name) private {
        vm.snapshotValue("size", name, deployed.code.length);
        assertAtMost(deployed.code.length, 24_576, name);
    }
}

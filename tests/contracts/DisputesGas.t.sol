// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice What disputes cost, each step as a transaction of its own, with models of 80,000 bytes without a zero. The
/// row itself is not made here: the verifier's part has its own bounds.
contract DisputesGasTest is RowMarket {
    bytes32 private _order;
    uint256 private _id;
    bytes32[] private _digests;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
        for (uint256 k = 0; k < 3; ++k) {
            _digests.push(sha256(_model()));
        }
    }

    function _model() private pure returns (bytes memory) {
        bytes32[] memory words = new bytes32[](2_500);
        for (uint256 k = 0; k < words.length; ++k) {
            words[k] = bytes32((type(uint256).max / 255) | (k << 1));
        }
        return abi.encodePacked(words);
    }

    function _models() internal view override returns (bytes32[] memory) {
        return _digests;
    }

    function _assertGas(uint256 maximum, string memory step) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("gas", step, gas);
        assertAtMost(gas, maximum, step);
    }

    function test_TheContractsAreBelowTheSizeLimit() public {
        address[2] memory deployed = [address(challenges), address(demands)];
        string[2] memory names = ["Challenges", "Demands"];
        for (uint256 k = 0; k < 2; ++k) {
            vm.snapshotValue("size", names[k], deployed[k].code.length);
            assertAtMost(deployed[k].code.length, 24_576, names[k]);
        }
    }

    function test_CommittingCostsAtMost50k() public {
        challenges.commit(keccak256("commitment"));
        _assertGas(50_000, "challenge commit");
    }

    function test_ChallengingWithTheModelInCalldataCostsAtMost4M() public {
        (_order, _id) = _publishFalse(_terms(), 1, 200);
        IChallenges.Claim memory claim = _claim(_id, 1, 200);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        evidence.model = _model();
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
        _assertGas(4_000_000, "challenge");
    }

    function test_DemandsAndAnswersStayFarBelowABlock() public {
        (_order, _id) = _publishRows(_terms());
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), _id, 1, _models());
        _assertGas(320_000, "demand for a model");
        bytes memory model = _model();
        vm.prank(_node(1));
        demands.answerModel(_order, 1, model);
        _assertGas(3_500_000, "answer with a model");

        bytes32 root = _shardRoot(1);
        (bytes32[] memory proof, ) = _path(_shardLeaves(), 1);
        vm.prank(buyer);
        demands.demandChunk(_terms(), _participants(), _id, 1, root, proof, 200);
        _assertGas(320_000, "demand for a chunk");
        bytes memory chunk = _chunk(1, 1);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(1), 1);
        vm.prank(_node(1));
        demands.answerChunk(_order, 1, ROW_WIDTH, 1, chunk, path, sides);
        _assertGas(250_000, "answer with a chunk");
    }

    function test_ExpiringADemandCostsAtMost300k() public {
        (_order, _id) = _publishRows(_terms());
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), _id, 1, _models());
        _silence(_terms(), 1);
        _assertGas(300_000, "expire");
    }
}

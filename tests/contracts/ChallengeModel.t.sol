// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelParts} from "../../contracts/exact/ModelParts.sol";
import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Models on trial: what shard 2 committed to as a model is none.
/// @dev Plan:
/// challengeModel: given a commitment to a row | a closed window | no such shard: reverts
///   given other bytes | a part that is not stored | a sound model: reverts
///   given bytes that are no model, in calldata or stored: convicts, to the wei
contract ChallengeModelTest is RowMarket {
    bytes private constant NO_MODEL = hex"FF00";
    bytes32 private _order;
    uint256 private _id;

    function setUp() public override {
        super.setUp();
        (_order, _id) = _publishRows(_terms());
    }

    function _models() internal view override returns (bytes32[] memory models) {
        models = super._models();
        // SHA-256 of NO_MODEL.
        models[2] = 0xea5dbf9596d187e9500f23e9a680109475341cf4e81f7e043f7d97152c10772f;
    }

    function _challenge(uint32 shard, bytes memory model, address[] memory parts, bytes memory reason) private {
        IChallenges.Claim memory claim = IChallenges.Claim(_id, shard, type(uint64).max, 0);
        _commitTo(claim, stranger);
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(stranger);
        challenges.challengeModel(
            _terms(),
            _participants(),
            _id,
            shard,
            _models(),
            model,
            parts,
            SALT,
            _noParents()
        );
    }

    function test_RejectsSoundModel() public {
        bytes4 cause = IChallenges.Challenges_ModelIsSound.selector;
        _challenge(1, "model 1", new address[](0), abi.encodeWithSelector(cause, _id, 1));
    }

    function test_RejectsOtherBytesThanCommitted() public {
        bytes4 cause = IDisputes.Disputes_WrongModel.selector;
        _challenge(1, NO_MODEL, new address[](0), abi.encodeWithSelector(cause, _models()[2], _models()[1]));
    }

    function test_RejectsPartThatIsNotStored() public {
        address[] memory parts = new address[](1);
        parts[0] = stranger;
        _challenge(2, "", parts, abi.encodeWithSelector(ModelParts.ModelParts_NoPart.selector, stranger));
    }

    function test_RejectsUnknownShard() public {
        bytes4 cause = IDisputes.Disputes_UnknownShard.selector;
        _challenge(3, NO_MODEL, new address[](0), abi.encodeWithSelector(cause, _order, 3));
    }

    function test_RejectsChallengeAfterTheWindow() public {
        uint256 endsAt = escrow.windowOf(_terms());
        vm.warp(endsAt + 1);
        bytes4 cause = IDisputes.Disputes_WindowClosed.selector;
        _challenge(2, NO_MODEL, new address[](0), abi.encodeWithSelector(cause, _order, endsAt));
    }

    function test_RejectsCommitmentToARow() public {
        IChallenges.Claim memory claim = IChallenges.Claim(_id, 2, 0, 0);
        _commitTo(claim, stranger);
        bytes32 missing = _commitment(IChallenges.Claim(_id, 2, type(uint64).max, 0), stranger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.Challenges_NotCommitted.selector, missing));
        vm.prank(stranger);
        challenges.challengeModel(
            _terms(),
            _participants(),
            _id,
            2,
            _models(),
            NO_MODEL,
            new address[](0),
            SALT,
            _noParents()
        );
    }

    function test_BytesThatAreNoModelConvict() public {
        uint256 before = _allMoney();
        _challenge(2, NO_MODEL, new address[](0), "");
        assertOut(_order, 2);
        assertStake(_node(2), DEPOSIT - _stakeOf(2), 0);
        assertBalance(stranger, _stakeOf(2) / 2);
        assertBalance(address(escrow), PRICE + BOND + _stakeOf(2) / 4);
        assertEq(_allMoney(), before, "all money");
    }

    function test_BytesThatAreNoModelConvictFromTheirParts() public {
        address[] memory parts = new address[](2);
        (parts[0], parts[1]) = (_storePart(hex"FF"), _storePart(hex"00"));
        _challenge(2, "", parts, "");
        assertOut(_order, 2);
    }

    function test_ARowOfBytesThatAreNoModelConvicts() public {
        IChallenges.Claim memory claim = _claim(_id, 2, 7);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        evidence.model = NO_MODEL;
        vm.expectEmit();
        emit IChallenges.FalseRow(_id, 2, 0, 7, stranger, IRowVerifier.Verdict.Malformed);
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
        assertOut(_order, 2);
    }
}

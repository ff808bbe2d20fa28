// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice True chunks under a tree that is not that of the shard's rows. Shard 1 has 300 rows of 32 bytes: three
/// chunks, of which the signer has put the first alone beside a stranger's hash.
/// @dev Plan:
/// answerChunk: given half of the true width: the contract cannot tell, and takes it
/// challenge: given the answer's chunk and path: revoked, although its rows are true; from stored parts too
///   given the tree of the rows: every true row reverts, whatever bits stand behind the path's
contract ChallengeShapeTest is RowMarket {
    bytes32 private constant BESIDE = keccak256("beside");

    bytes32 private _order;
    uint256 private _id;

    function _publishStunted() private {
        _order = _draw(_terms());
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        record.shards[1].shardRoot = _stunted();
        _signRecord(_order, record);
        vm.prank(broker);
        _id = datasets.publish(_terms(), _participants(), record);
    }

    function _stunted() private view returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), _chunkLeaves(1)[0], BESIDE));
    }

    function _beside() private pure returns (bytes32[] memory path) {
        path = new bytes32[](1);
        path[0] = BESIDE;
    }

    function _shardProof() private view returns (bytes32[] memory proof) {
        bytes32[] memory leaves = _shardLeaves();
        leaves[1] = sha256(abi.encodePacked(bytes1(0), uint64(1), _stunted()));
        (proof, ) = _path(leaves, 1);
    }

    function _stuntedEvidence(
        IChallenges.Claim memory claim
    ) private view returns (IChallenges.Evidence memory evidence) {
        evidence = _evidence(claim);
        (evidence.shardRoot, evidence.shardProof) = (_stunted(), _shardProof());
        (evidence.chunkProof, evidence.chunkPath) = (_beside(), 0);
    }

    function _convicts(IChallenges.Claim memory claim, IChallenges.Evidence memory evidence) private {
        uint256 before = _allMoney();
        _commitTo(claim, stranger);
        vm.expectEmit();
        emit IChallenges.FalseRow(_id, 1, 0, 7, stranger, IRowVerifier.Verdict.Differs);
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
        assertOut(_order, 1);
        assertStake(_node(1), DEPOSIT - _stakeOf(1), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_AnAnswerWithHalfTheWidthIsTakenAndConvicts() public {
        _publishStunted();
        bytes32 root = _stunted();
        bytes32[] memory proof = _shardProof();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
        vm.prank(buyer);
        demands.demandChunk(_terms(), _participants(), _id, 1, root, proof, 200);
        // 300 rows of 16 bytes are two chunks, of which the first has 4,096 bytes too, and row 200.
        demands.answerChunk(_order, 1, ROW_WIDTH / 2, 0, _chunk(1, 0), _beside(), 0);

        IChallenges.Claim memory claim = IChallenges.Claim(_id, 1, 0, 7);
        _convicts(claim, _stuntedEvidence(claim));
    }

    function test_ATreeOfAnotherShapeConvictsWithStoredPartsToo() public {
        _publishStunted();
        IChallenges.Claim memory claim = IChallenges.Claim(_id, 1, 0, 7);
        IChallenges.Evidence memory evidence = _stuntedEvidence(claim);
        evidence.modelParts = new address[](1);
        evidence.modelParts[0] = _storePart(evidence.model);
        evidence.model = "";
        _convicts(claim, evidence);
    }

    /// @dev Two leaves under the root in each other's place: every row is true and every path long enough.
    function test_LeavesThatChangedPlacesConvict() public {
        _order = _draw(_terms());
        bytes32[] memory leaves = _chunkLeaves(1);
        (leaves[0], leaves[1]) = (leaves[1], leaves[0]);
        bytes32 root = _fold(leaves);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_order);
        record.shards[1].shardRoot = root;
        _signRecord(_order, record);
        vm.prank(broker);
        _id = datasets.publish(_terms(), _participants(), record);

        IChallenges.Claim memory claim = IChallenges.Claim(_id, 1, 0, 7);
        IChallenges.Evidence memory evidence = _evidence(claim);
        bytes32[] memory shardLeaves = _shardLeaves();
        shardLeaves[1] = sha256(abi.encodePacked(bytes1(0), uint64(1), root));
        evidence.shardRoot = root;
        (evidence.shardProof, ) = _path(shardLeaves, 1);
        // The first chunk stands second.
        (evidence.chunkProof, evidence.chunkPath) = _path(leaves, 1);
        _convicts(claim, evidence);
    }

    function testFuzz_UnderTheTreeOfItsRowsATrueRowStandsWhateverBitsAreAdded(uint256 row, uint256 bits) public {
        (_order, _id) = _publishRows(_terms());
        IChallenges.Claim memory claim = _claim(_id, 1, bound(row, 0, 299));
        IChallenges.Evidence memory evidence = _evidence(claim);
        evidence.chunkPath |= bits << evidence.chunkProof.length;
        _commitTo(claim, stranger);
        bytes4 cause = IChallenges.Challenges_RowAgrees.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _id, 1, claim.chunk, claim.row));
        vm.prank(stranger);
        challenges.challenge(_terms(), _participants(), claim, evidence, SALT, _noParents());
    }
}

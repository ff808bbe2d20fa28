// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelCommitment} from "../../contracts/interfaces/IModelCommitment.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

contract ModelCommitmentTest is Market {
    /// @dev Far enough for the hash of the appointed block to be out of reach.
    function _miss() private {
        vm.roll(vm.getBlockNumber() + DELAY + 257);
    }

    function test_RejectsDelayWithoutFutureBlock() public {
        bytes4 cause = IModelCommitment.ModelCommitment_DelayOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 0, 1, 256));
        this.deploy(0);
    }

    function test_RejectsDelayBeyondTheChainsMemory() public {
        bytes4 cause = IModelCommitment.ModelCommitment_DelayOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 257, 1, 256));
        this.deploy(257);
    }

    function deploy(uint64 delay) external {
        _create("ModelCommitment", abi.encode(escrow, delay));
    }

    // -- commit -------------------------------------------------------------------------------------------------

    function test_CommitRejectsOpenOrder() public {
        bytes32 order = _place(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        vm.expectRevert(abi.encodeWithSelector(IModelCommitment.ModelCommitment_NotMatched.selector, order));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
    }

    function test_CommitRejectsOtherParticipants() public {
        bytes32 order = _match(_terms());
        Participant[] memory participants = _participants();
        (participants[0], participants[1]) = (participants[1], participants[0]);
        bytes[] memory signatures = _modelSignatures(order);
        bytes4 cause = IModelCommitment.ModelCommitment_WrongParticipants.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.commit(order, participants, _models(), _saltDigests(order), signatures);
    }

    function test_CommitRejectsMissingModel() public {
        bytes32 order = _match(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        bytes4 cause = IModelCommitment.ModelCommitment_LengthMismatch.selector;
        bytes32[] memory digests = _saltDigests(order);
        vm.expectRevert(abi.encodeWithSelector(cause, 3, 2, 3, 3));
        commitment.commit(order, _participants(), new bytes32[](2), digests, signatures);
        vm.expectRevert(abi.encodeWithSelector(cause, 3, 3, 4, 3));
        commitment.commit(order, _participants(), _models(), new bytes32[](4), signatures);
    }

    function test_CommitRejectsMissingSignature() public {
        bytes32 order = _match(_terms());
        bytes4 cause = IModelCommitment.ModelCommitment_LengthMismatch.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 3, 3, 3, 4));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), new bytes[](4));
    }

    function test_CommitRejectsForeignSignatureAndNamesTheShard() public {
        bytes32 order = _match(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        signatures[1] = _signModel(STRANGER_KEY, order, 1, _models()[1]);
        bytes4 cause = IModelCommitment.ModelCommitment_InvalidSignature.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 1, _node(1)));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
    }

    function test_CommitRejectsSignatureForAnotherShard() public {
        bytes32 order = _match(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        signatures[2] = _signModel(NODE_KEY + 2, order, 1, _models()[2]);
        bytes4 cause = IModelCommitment.ModelCommitment_InvalidSignature.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, 2, _node(2)));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
    }

    function test_CommitRejectsSecondCommit() public {
        bytes32 order = _commit(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        bytes4 cause = IModelCommitment.ModelCommitment_AlreadyCommitted.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
    }

    function test_CommitFixesModelsAndAppointsABlock() public {
        bytes32 order = _match(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        vm.expectEmit();
        emit IModelCommitment.ModelsCommitted(order, _models(), signatures, 1_000 + DELAY);
        vm.expectEmit();
        emit IModelCommitment.SaltsCommitted(order, _saltDigests(order));
        vm.prank(stranger);
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);

        IModelCommitment.Commitment memory found = commitment.commitmentOf(order);
        assertEq(found.modelsDigest, keccak256(abi.encodePacked(_models())), "models");
        assertEq(found.commitBlock, 1_000, "commit block");
        assertEq(found.targetBlock, 1_000 + DELAY, "target block");
        assertEq(found.draws, 1, "draws");
        assertEq(found.seed, bytes32(0), "seed");
        IModelCommitment.Salts memory salts = commitment.saltsOf(order);
        assertEq(salts.saltsDigest, keccak256(abi.encodePacked(_saltDigests(order))), "salts");
        assertEq(salts.fixedHash, bytes32(0), "no hash yet");
    }

    // -- draw ---------------------------------------------------------------------------------------------------

    function test_DrawRejectsUncommittedOrder() public {
        bytes32 order = _match(_terms());
        bytes4 cause = IModelCommitment.ModelCommitment_NotCommitted.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    function test_DrawRejectsUntilTheBlockHasASuccessor() public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY);
        bytes4 cause = IModelCommitment.ModelCommitment_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    function test_DrawRejectsWhenTheHashIsOutOfReach() public {
        bytes32 order = _commit(_terms());
        _miss();
        bytes4 cause = IModelCommitment.ModelCommitment_DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    function test_DrawRejectsSecondDraw() public {
        bytes32 order = _draw(_terms());
        bytes4 cause = IModelCommitment.ModelCommitment_AlreadyDrawn.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    /// @dev As the interface describes it.
    function _seedOf(bytes32 order, bytes32 hash) private view returns (bytes32) {
        bytes32 models = keccak256(abi.encodePacked(_models()));
        return keccak256(abi.encode(order, models, hash, keccak256(abi.encodePacked(_salts()))));
    }

    function testFuzz_DrawRejectsASaltThatWasNotCommittedTo(uint256 shard, bytes32 salt) public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY + 1);
        shard = bound(shard, 0, 2);
        bytes32[] memory salts = _salts();
        vm.assume(salt != salts[shard]);
        salts[shard] = salt;
        bytes4 cause = IModelCommitment.ModelCommitment_WrongSalt.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, shard));
        commitment.drawSeed(order, _saltDigests(order), salts);
    }

    function test_DrawRejectsOtherDigestsAndMissingSalts() public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY + 1);
        bytes32[] memory digests = _saltDigests(order);
        digests[0] = digests[1];
        bytes4 cause = IModelCommitment.ModelCommitment_WrongSaltDigests.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.drawSeed(order, digests, _salts());
        cause = IModelCommitment.ModelCommitment_WrongSalt.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 2));
        commitment.drawSeed(order, _saltDigests(order), new bytes32[](2));
    }

    // -- the hash ---------------------------------------------------------------------------------------------

    function test_AFixedHashStaysAndIsDrawnFromLater() public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY + 1);
        vm.setBlockhash(1_000 + DELAY, keccak256("hash"));
        vm.expectEmit();
        emit IModelCommitment.HashFixed(order, 1_000 + DELAY, keccak256("hash"));
        vm.prank(stranger);
        commitment.fixHash(order);
        assertEq(commitment.saltsOf(order).fixedHash, keccak256("hash"), "hash");
        bytes memory reason = abi.encodeWithSelector(IModelCommitment.ModelCommitment_AlreadyFixed.selector, order);
        vm.expectRevert(reason);
        commitment.fixHash(order);
        _miss();
        vm.expectRevert(reason);
        commitment.redraw(order);
        bytes32 seed = commitment.drawSeed(order, _saltDigests(order), _salts());
        assertEq(seed, _seedOf(order, keccak256("hash")), "seed");
    }

    function test_FixRejectsWhatTheChainDoesNotKnow() public {
        bytes32 order = _match(_terms());
        vm.expectRevert(abi.encodeWithSelector(IModelCommitment.ModelCommitment_NotCommitted.selector, order));
        commitment.fixHash(order);
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(1_000 + DELAY);
        bytes4 cause = IModelCommitment.ModelCommitment_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.fixHash(order);
        vm.roll(1_000 + DELAY + 257);
        cause = IModelCommitment.ModelCommitment_DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.fixHash(order);
    }

    function test_NothingIsDoneAfterTheDeadline() public {
        bytes32 order = _commit(_terms());
        uint256 deliverBy = _terms().deliverBy;
        vm.warp(deliverBy + 1);
        vm.roll(1_000 + DELAY + 1);
        bytes memory reason = abi.encodeWithSelector(
            IModelCommitment.ModelCommitment_TooLate.selector,
            order,
            deliverBy
        );
        vm.expectRevert(reason);
        commitment.fixHash(order);
        vm.expectRevert(reason);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        _miss();
        vm.expectRevert(reason);
        commitment.redraw(order);
    }

    function test_EachStepLeavesATimeToAnswer() public {
        bytes32 order = _match(_terms());
        uint256 deliverBy = _terms().deliverBy;
        bytes[] memory signatures = _modelSignatures(order);
        vm.warp(deliverBy);
        vm.expectEmit();
        emit IOrderEscrow.DeadlineMoved(order, uint64(deliverBy + ANSWER));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
        vm.warp(deliverBy + ANSWER);
        vm.roll(1_000 + DELAY + 1);
        commitment.fixHash(order);
        assertEq(escrow.deliverByOf(order), deliverBy + 2 * ANSWER, "after the hash");
        vm.warp(deliverBy + 2 * ANSWER);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        assertEq(escrow.deliverByOf(order), deliverBy + 3 * ANSWER, "after the seed");
    }

    function testFuzz_DrawsFromOrderModelsBlockHashAndSalts(bytes32 hash, uint256 wait) public {
        bytes32 order = _commit(_terms());
        vm.assume(hash != 0);
        vm.roll(1_000 + DELAY + bound(wait, 1, 256));
        vm.setBlockhash(1_000 + DELAY, hash);
        bytes32 seed = _seedOf(order, hash);
        vm.expectEmit();
        emit IModelCommitment.SeedDrawn(order, seed, 1_000 + DELAY, 1);
        vm.expectEmit();
        emit IModelCommitment.SaltsRevealed(order, _salts());
        vm.prank(stranger);
        assertEq(commitment.drawSeed(order, _saltDigests(order), _salts()), seed, "returned seed");
        assertEq(commitment.commitmentOf(order).seed, seed, "stored seed");
    }

    // -- hashes (C4, C5 of docs/security.md) --------------------------------------------------------------------

    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    /// @dev The code of EIP-2935.
    bytes private constant HISTORY_CODE =
        hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257"
        hex"611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";

    /// @dev As the chain does at the start of block `number` + 1.
    function _remember(uint256 number, bytes32 hash) private {
        vm.roll(number + 1);
        vm.prank(SYSTEM);
        (bool success, ) = HISTORY.call(abi.encode(hash));
        assertTrue(success, "remembered");
    }

    /// @dev Before: a chain that knows no hashes gave every order the same seed, which anyone could compute beforehand.
    function test_C4_AZeroHashDrawsNothing() public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY + 1);
        vm.setBlockhash(1_000 + DELAY, 0);
        bytes4 cause = IModelCommitment.ModelCommitment_DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        commitment.redraw(order);
        assertEq(commitment.commitmentOf(order).draws, 2, "draws");
    }

    function test_C5_WithTheHistoryASeedCanBeDrawnFor8191Blocks() public {
        vm.etch(HISTORY, HISTORY_CODE);
        bytes32 order = _commit(_terms());
        bytes32 hash = keccak256("hash");
        _remember(1_000 + DELAY, hash);
        vm.roll(1_000 + DELAY + 8_191);
        bytes4 cause = IModelCommitment.ModelCommitment_NotMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.redraw(order);
        bytes32 seed = _seedOf(order, hash);
        assertEq(commitment.drawSeed(order, _saltDigests(order), _salts()), seed, "seed");
    }

    function test_C5_BeyondTheHistoryTheDrawIsMissed() public {
        vm.etch(HISTORY, HISTORY_CODE);
        bytes32 order = _commit(_terms());
        _remember(1_000 + DELAY, keccak256("hash"));
        vm.roll(1_000 + DELAY + 8_192);
        bytes4 cause = IModelCommitment.ModelCommitment_DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        commitment.redraw(order);
    }

    // -- redraw -------------------------------------------------------------------------------------------------

    function test_RedrawRejectsUncommittedOrder() public {
        bytes32 order = _match(_terms());
        bytes4 cause = IModelCommitment.ModelCommitment_NotCommitted.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.redraw(order);
    }

    function test_RedrawRejectsWhileTheSeedCanBeDrawn() public {
        bytes32 order = _commit(_terms());
        vm.roll(1_000 + DELAY + 256);
        bytes4 cause = IModelCommitment.ModelCommitment_NotMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, 1_000 + DELAY));
        commitment.redraw(order);
    }

    function test_RedrawRejectsDrawnSeed() public {
        bytes32 order = _draw(_terms());
        _miss();
        bytes4 cause = IModelCommitment.ModelCommitment_AlreadyDrawn.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        commitment.redraw(order);
    }

    function test_RedrawRejectsOrderThatIsOver() public {
        bytes32 order = _commit(_terms());
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        _miss();
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Refunded));
        commitment.redraw(order);
    }

    function test_RedrawBurnsATenthOfTheBondAndIsCounted() public {
        bytes32 order = _commit(_terms());
        _miss();
        vm.expectEmit();
        emit IModelCommitment.SeedMissed(order, 2);
        vm.expectEmit();
        emit IOrderEscrow.BondCut(order, BOND / 10, BOND - BOND / 10);
        vm.prank(stranger);
        commitment.redraw(order);

        IModelCommitment.Commitment memory found = commitment.commitmentOf(order);
        assertEq(found.targetBlock, 1_000 + 2 * DELAY + 257, "new block");
        assertEq(found.draws, 2, "draws");
        assertBalance(BURN, BOND / 10);
        assertBalance(address(escrow), PRICE + BOND - BOND / 10);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    function test_RedrawsNeverCostMoreThanTheBond() public {
        OrderTerms memory terms = _terms();
        terms.bond = 109;
        bytes32 order = _commit(terms);
        // Tenths of the original bond, rounded down; the eleventh takes the nine that are left, then none is.
        for (uint256 k = 1; k <= 12; ++k) {
            _miss();
            commitment.redraw(order);
            assertBalance(BURN, k <= 10 ? 10 * k : 109);
        }
        assertBalance(address(escrow), PRICE);
        vm.warp(terms.deliverBy + 1);
        escrow.refund(terms, _participants());
        assertBalance(address(escrow), 0);
    }

    function test_ASeedCouldBeKnownFromTheBlockAfterTheTargetOn() public {
        bytes32 order = _match(_terms());
        assertTrue(!commitment.couldSeedBeKnown(order), "nothing committed");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        uint64 targetBlock = commitment.commitmentOf(order).targetBlock;
        vm.roll(targetBlock);
        assertTrue(!commitment.couldSeedBeKnown(order), "the target block has no hash yet");
        vm.roll(uint256(targetBlock) + 1);
        assertTrue(commitment.couldSeedBeKnown(order), "anyone can read the hash");
        vm.roll(uint256(targetBlock) + 257);
        commitment.redraw(order);
        assertTrue(commitment.couldSeedBeKnown(order), "one seed was known already");
    }
}

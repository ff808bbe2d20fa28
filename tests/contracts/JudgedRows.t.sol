// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {ModelMarket} from "./support/ModelMarket.sol";

/// @notice Conditioned rows before the verifier that is shipped: however many attempts they take, each transaction stays
/// below the cap of 16,777,216 gas.
/// @dev Plan:
/// tryAttempts
///   given other bytes than the digest's: reverts
///   given an attempt number: it does not matter
///   given another row | shard | seed | place in the request | conditions: counts for that only
///   when the next attempt meets the conditions, or none is left: reverts
///   when one of those asked for meets them: stops before it
/// challenge
///   given a true row of 64 attempts, whatever was shown of it: reverts
///   given a later attempt that meets the conditions too: convicts
///   given a row that no attempt makes: convicts after its parts, below the cap each
///   given someone else's parts: not for fifteen minutes, unless committed to before
contract JudgedRowsTest is ModelMarket {
    uint256 private _long;

    /// @dev Row `_long` takes 64 attempts.
    function _publishLong() private {
        _drawFor(_rareModel(SCHEMA), _only(1));
        while (_firstMet(_long, 0) != 63) ++_long;
        rowOf[_long] = _attempt(_long, 63);
        _publishJudged();
    }

    /// @dev Row 7 of shard 1 is invented.
    function _publishHeavy() private {
        _drawFor(_heavyModel(), _only(0));
        _publishJudged();
    }

    // -- attempts that were not made ----------------------------------------------------------------------------

    function test_B1_RejectsAttemptsOfOtherBytes() public {
        _publishLong();
        IRowVerifier.RowQuery memory query = _query(_long);
        bytes memory other = bytes.concat(model, hex"00");
        bytes32 found = sha256(other);
        bytes4 cause = IRowVerifier.RowVerifier_WrongModel.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, found, modelDigest));
        attempts.tryAttempts(query, conditions, other, new address[](0), 1);
    }

    function test_B1_NobodySkipsAttemptsByNamingALaterOne() public {
        _publishLong();
        IRowVerifier.RowQuery memory query = _query(_long);
        query.attempt = 60;
        attempts.tryAttempts(query, conditions, model, new address[](0), 3);
        assertEq(_made(_long), 3, "attempts");
        query.attempt = 1;
        attempts.tryAttempts(query, conditions, model, new address[](0), 3);
        assertEq(_made(_long), 6, "attempts");
    }

    function test_B1_AttemptsCountForTheirRowOnly() public {
        _publishLong();
        for (uint256 k = 0; k < 6; ++k) {
            IRowVerifier.RowQuery memory query = _query(_long);
            bytes memory asked = conditions;
            if (k == 0) query.row = query.row == 0 ? 1 : query.row - 1;
            if (k == 1) query.chunk += 1;
            if (k == 2) query.shard = 0;
            if (k == 3) query.seed = keccak256("another seed");
            if (k == 4) query.requestRow = 0;
            if (k == 5) asked = hex"0001000003e800010000000000010000000500000005";
            attempts.tryAttempts(query, asked, model, new address[](0), 64);
            bytes32 key = attempts.attemptsId(query, asked);
            assertTrue(attempts.attemptsOf(key).made != 0, "shown for itself");
            assertEq(_made(_long), 0, "shown for the row");
        }
        _commitTo(_claim(id, 1, _long), stranger);
        _challenge(_long, stranger, _agrees(_long));
    }

    function test_B1_AttemptsStopBeforeTheOneThatMeetsTheConditions() public {
        _publishLong();
        _try(_long, 64);
        assertEq(_made(_long), 63, "attempts");
        _tryInVain(_long, 63);
    }

    // -- challenges ---------------------------------------------------------------------------------------------

    function test_B1_AnHonestRowOf64AttemptsStandsWhateverWasShown() public {
        _publishLong();
        _commitTo(_claim(id, 1, _long), stranger);
        _challenge(_long, stranger, _agrees(_long));
        for (uint256 k = 0; k < 3; ++k) {
            _try(_long, 21);
            assertEq(_made(_long), 21 * (k + 1), "attempts");
            _challenge(_long, stranger, _agrees(_long));
        }
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_B1_ALaterAttemptIsAFalseRow() public {
        _drawFor(_rareModel(SCHEMA), _only(1));
        uint256 row = 0;
        uint256 later;
        for (; ; ++row) {
            uint256 first = _firstMet(row, 0);
            later = first < 63 ? _firstMet(row, first + 1) : 64;
            if (later < 64) break;
        }
        rowOf[row] = _attempt(row, later);
        _publishJudged();
        _commitTo(_claim(id, 1, row), stranger);
        _try(row, 64);
        _challenge(row, stranger, "");
        assertConvicted(stranger);
    }

    /// @dev Before: one call of 22 M gas, for a model inside the class. Now: the longest part is measured.
    function test_B1_AnInventedRowConvictsInPartsBelowTheCap() public {
        _publishHeavy();
        _commitTo(_claim(id, 1, 7), stranger);
        judge.tryAttempts(model, new address[](0), conditions, _query(7), 64);
        assertTrue(vm.lastCallGas().gasTotalUsed > CAP, "all in one call");
        vm.prank(stranger);
        (bool done, ) = address(challenges).call{gas: CAP}(_challengeCall(7));
        assertTrue(!done, "challenged in one call");

        _try(7, 36);
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("gas", "36 attempts of 55,296 multiplications", gas);
        assertAtMost(gas, 15_000_000, "a part");
        _challenge(7, stranger, "");
        assertAtMost(vm.lastCallGas().gasTotalUsed, 15_000_000, "the challenge");
        assertConvicted(stranger);
    }

    function test_B1_ARowOfWhichAllAttemptsWereShownConvicts() public {
        _publishHeavy();
        _commitTo(_claim(id, 1, 7), stranger);
        _try(7, 36);
        _try(7, 36);
        assertEq(_made(7), 64, "attempts");
        _tryInVain(7, 64);
        _challenge(7, stranger, "");
        assertConvicted(stranger);
    }

    function _challengeCall(uint256 row) private view returns (bytes memory) {
        IChallenges.Claim memory claim = _claim(id, 1, row);
        IChallenges.Evidence memory evidence = _judgedEvidence(claim);
        return
            abi.encodeCall(
                challenges.challenge,
                (_judgedTerms(), _participants(), claim, evidence, SALT, _noParents())
            );
    }

    // -- who may use what was shown -----------------------------------------------------------------------------

    function _copierFails() private {
        vm.prank(_node(0));
        (bool done, ) = address(challenges).call{gas: CAP}(_challengeCall(7));
        assertTrue(!done, "the copier's challenge");
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_B1_ACopierOfThePartsComesTooLate() public {
        _publishHeavy();
        _commitTo(_claim(id, 1, 7), stranger);
        // The copier sees the first part in the queue, and commits in its block.
        _try(7, 36);
        challenges.commit(_commitment(_claim(id, 1, 7), _node(0)));
        vm.roll(vm.getBlockNumber() + 1);
        _copierFails();
        _challenge(7, stranger, "");
        assertConvicted(stranger);
        assertBalance(_node(0), 0);
    }

    function test_B1_PartsThatTheirSenderLeavesAreAnybodysAfterFifteenMinutes() public {
        _publishHeavy();
        _try(7, 36);
        _commitTo(_claim(id, 1, 7), _node(0));
        _copierFails();
        vm.warp(vm.getBlockTimestamp() + 15 minutes);
        _copierFails();
        vm.warp(vm.getBlockTimestamp() + 1);
        _challenge(7, _node(0), "");
        assertConvicted(_node(0));
    }
}

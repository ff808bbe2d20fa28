// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeWalk} from "./support/DisputeWalk.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice Whatever happens to orders in whatever sequence, every contract holds exactly what it owes.
contract MoneyTest is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    DisputeWalk private _walk;

    function setUp() public {
        _walk = new DisputeWalk();
        _walk.setUp();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_walk);
    }

    /// @dev Steps towards settlement, and disputes, stand more often than ways out, so that walks get there.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_walk);
        targets[0].selectors = new bytes4[](20);
        targets[0].selectors[0] = _walk.place.selector;
        targets[0].selectors[1] = _walk.place.selector;
        for (uint256 k = 2; k < 7; ++k) targets[0].selectors[k] = _walk.advance.selector;
        targets[0].selectors[7] = _walk.wait.selector;
        targets[0].selectors[8] = _walk.wait.selector;
        targets[0].selectors[9] = _walk.quit.selector;
        targets[0].selectors[10] = _walk.claim.selector;
        targets[0].selectors[11] = _walk.challenge.selector;
        targets[0].selectors[12] = _walk.challenge.selector;
        targets[0].selectors[13] = _walk.demand.selector;
        targets[0].selectors[14] = _walk.demand.selector;
        targets[0].selectors[15] = _walk.answer.selector;
        targets[0].selectors[16] = _walk.expire.selector;
        targets[0].selectors[17] = _walk.runAway.selector;
        targets[0].selectors[18] = _walk.freeze.selector;
        targets[0].selectors[19] = _walk.distribute.selector;
    }

    function invariant_EscrowHoldsOpenPricesAndBonds() external view {
        assertEq(_walk.escrowBalance(), _walk.expectedEscrow(), "escrow");
    }

    function invariant_RewardsHoldWhatIsOwed() external view {
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
        assertEq(_walk.wrongPots(), 0, "royalties that are not the books'");
    }

    function invariant_RegistryHoldsEveryStake() external view {
        uint256 sum = 0;
        for (uint256 k = 0; k < 3; ++k) {
            (uint256 all, uint256 reserved) = _walk.stake(k);
            assertEq(reserved, _walk.expectedReserved(k), "reserved");
            sum += all;
        }
        assertEq(_walk.registryBalance(), sum, "registry");
    }

    function invariant_DemandsHoldOpenDeposits() external view {
        assertEq(_walk.demandsBalance(), _walk.expectedDemands(), "demands");
    }

    function invariant_NoTokenIsLostAndNoneIsPaidTwice() external view {
        assertEq(_walk.driftOfAllMoney(), 0, "drift");
        assertEq(_walk.wrongStates(), 0, "states that are not the books'");
    }

    /// @dev Nor reduced, as long as its signers answer; and what was convicted never stands again.
    function invariant_ATrueDataSetIsNeverRevoked() external view {
        assertEq(_walk.trueShardsConvicted(), 0, "true shards convicted");
        assertEq(_walk.wronglyRevoked(), 0, "statuses without cause");
    }

    /// @dev By the row verifier that is shipped, with the gas that a transaction may have.
    function invariant_AFalseShardCanAlwaysBeConvictedInsideTheWindow() external view {
        assertEq(_walk.falseShardsThatStood(), 0, "false shards that stood");
    }

    /// @dev Who answers in time is safe, and who does not cannot be saved.
    function invariant_TimeToAnswerIsKept() external view {
        assertEq(_walk.expiredEarly(), 0, "demands that expired early");
        assertEq(_walk.answeredTooLate(), 0, "answers that came too late");
    }

    function invariant_ExposedStakeNeverLeaves() external view {
        assertEq(_walk.exposedStakeThatLeft(), 0, "exposed stake that left");
    }

    // -- who may lose -------------------------------------------------------------------------------------------

    function invariant_EverybodyHasWhatTheRulesSay() external view {
        address[6] memory all = _walk.accounts();
        for (uint256 k = 0; k < all.length; ++k) {
            assertEq(uint256(_walk.gainOf(all[k])), uint256(_walk.dueTo(all[k])), "gain");
        }
    }

    /// @dev A true shard whose signer answers costs nothing, whatever the others do.
    function invariant_AContributorLosesOnlyByFaultsOfItsOwn() external view {
        for (uint256 k = 0; k < 3; ++k) {
            address node = _walk.accounts()[3 + k];
            int256 most = int256(_walk.faults(node));
            assertTrue(_walk.gainOf(node) >= -most, "a contributor lost more than its faults cost");
        }
    }

    /// @dev What is gone from the buyer was paid for a data set that stood its window, or for an answer.
    function invariant_TheBuyerHasRowsOrMoney() external view {
        int256 held = int256(_walk.buyersHeld() + _walk.spent());
        assertTrue(_walk.gainOf(_walk.accounts()[0]) + held >= 0, "the buyer lost money");
    }

    /// @dev Silence of a contributor costs the broker nothing.
    function invariant_TheBrokerLosesOnlyWhatItForfeits() external view {
        int256 held = int256(_walk.brokersHeld() + _walk.forfeited());
        assertTrue(_walk.gainOf(_walk.accounts()[1]) + held >= 0, "the broker lost more than it forfeited");
    }

    /// @dev Buyer, challenger and all contributors in one person gain only between commit and draw, when the broker alone
    /// can be to blame.
    function invariant_ABondIsNoPreyToTheOthers() external view {
        address[6] memory all = _walk.accounts();
        int256 gain = int256(_walk.buyersHeld());
        for (uint256 k = 0; k < all.length; ++k) {
            if (k != 1) gain += _walk.gainOf(all[k]);
        }
        assertTrue(gain <= int256(_walk.compensated()), "the others gained by the broker's bond");
    }

    // -- the walk gets there: it would be worth nothing otherwise --------------------------------------------------

    uint256 private constant _HONEST = 0;
    uint256 private constant _MANIFEST = 3;

    /// @dev Three orders up to the draw.
    function _draw(uint256 shape) private {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.place(1_000 ether - i, 50 ether, 500, shape);
            _walk.advance(i, 1);
        }
        _walk.wait(7);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 0);
    }

    function _publish(uint256 shape) private {
        _draw(shape);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 0);
    }

    /// @dev Lets demand `k` of each order pass its two times.
    function _expire(uint256 k) private {
        for (uint256 round = 0; round < 2; ++round) {
            _walk.wait(31 minutes);
            for (uint256 i = 0; i < 3; ++i) _walk.expire(i, k);
        }
    }

    /// @dev Demands that were opened or warned about just now run until here, and whoever tries to end one is refused.
    function _waitToTheLastSecond() private {
        _walk.wait(30 minutes - 1);
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < 4; ++k) _walk.expire(i, k);
        }
        _walk.wait(0);
    }

    function _assertAllIsSettled() private {
        _walk.wait(3 hours - 1);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 2);
        assertEq(_walk.settled(), 3, "settled");
        assertEq(_walk.escrowBalance(), 0, "escrow");
        assertEq(_walk.demandsBalance(), _walk.expectedDemands(), "demands");
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
        assertEq(_walk.driftOfAllMoney(), 0, "drift");
        assertEq(_walk.wrongStates(), 0, "states");
        assertEq(_walk.wronglyRevoked(), 0, "statuses");
        address[6] memory all = _walk.accounts();
        for (uint256 k = 0; k < 6; ++k) {
            assertEq(uint256(_walk.gainOf(all[k])), uint256(_walk.dueTo(all[k])), "gain");
        }
    }

    /// @dev Shard 0 is true, shard 1 has a false row, shard 2 a false model: two convictions an order.
    function test_WalkConvictsTwoShardsOfAnOrderAndAcquitsTheThird() external {
        _publish(2 * 4 + 3 * 16);
        for (uint256 i = 0; i < 3; ++i) {
            _walk.challenge(i, 0, false);
            _walk.challenge(i, 0, true);
            _walk.challenge(i, 1, true);
            _walk.challenge(i, 1, false);
            _walk.challenge(i, 2, i % 2 == 0);
        }
        assertEq(_walk.convicted(), 6, "convicted");
        assertEq(_walk.acquitted(), 9, "acquitted");
        assertEq(_walk.mostOutInOneOrder(), 2, "shards out");
        _assertAllIsSettled();
    }

    /// @dev Model, chunk and manifest are open at once; of each order one is answered late, the others twice not.
    function test_WalkHasSeveralDemandsOpenAtOnce() external {
        _publish(_HONEST);
        for (uint256 i = 0; i < 3; ++i) {
            _walk.demand(i, 0, false);
            _walk.demand(i, 1, true);
            _walk.demand(i, _MANIFEST, false);
        }
        _waitToTheLastSecond();
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < 4; ++k) _walk.expire(i, k);
            for (uint256 k = 0; k < 4; ++k) _walk.expire(i, k);
            // After the warning, in the second time.
            _walk.answer(i, i == 2 ? _MANIFEST : i);
        }
        _walk.freeze(0, false);
        _waitToTheLastSecond();
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < 4; ++k) {
                _walk.answer(i, k);
                _walk.expire(i, k);
            }
        }
        assertEq(_walk.expiredEarly(), 0, "demands that expired early");
        assertEq(_walk.answeredTooLate(), 0, "answers that came too late");
        assertEq(_walk.answered(), 3, "answered");
        assertEq(_walk.silenced(), 6, "silenced");
        _assertAllIsSettled();
        assertTrue(_walk.demandsBalance() != 0, "deposits of a frozen buyer");
        _walk.freeze(0, false);
        _walk.claim(0);
        assertEq(_walk.demandsBalance(), 0, "collected");
    }

    function test_WalkDropsContributorsBeforeTheCommitAndAfterTheDraw() external {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.place(1_000 ether - i, 50 ether, 500, _HONEST);
            _walk.advance(i, 0);
            _walk.demand(i, 0, false);
        }
        _expire(0);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 0);
        _walk.wait(7);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 0);
        // An evaluation costs its contributor a quarter; a second contributor that is gone ends the order.
        _walk.demand(0, 1, true);
        _walk.demand(1, 1, false);
        _expire(1);
        assertEq(_walk.silenced(), 5, "silenced");
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 0);
        _walk.wait(3 hours - 1);
        for (uint256 i = 0; i < 3; ++i) _walk.advance(i, 2);
        assertEq(_walk.settled(), 2, "settled");
        assertEq(_walk.escrowBalance(), 0, "escrow");
        assertEq(_walk.wrongStates(), 0, "states");
    }

    function test_WalkReachesParentsRefundAndMissedDraw() external {
        _publish(_HONEST);
        _assertAllIsSettled();
        _walk.place(1_000 ether, 50 ether, 500, 1 << 8);
        _walk.advance(3, 1);
        _walk.wait(7);
        _walk.advance(3, 1);
        _walk.wait(3 hours - 1);
        _walk.advance(3, 0);
        assertEq(_walk.withParent(), 1, "with a parent");
        _walk.distribute(0);
        assertEq(_walk.wrongPots(), 0, "pots");
        _walk.place(1_000 ether, 50 ether, 500, _HONEST);
        _walk.advance(4, 1);
        _walk.wait(199);
        _walk.wait(199);
        _walk.advance(4, 0);
        assertEq(_walk.missed(), 1, "missed");
        for (uint256 k = 0; k < 10; ++k) _walk.wait(3 hours - 1);
        _walk.quit(4, true);
        assertEq(_walk.refunded(), 1, "refunded");
        assertEq(_walk.escrowBalance(), 0, "escrow");
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
    }
}

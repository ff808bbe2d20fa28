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

    /// @dev Steps towards settlement stand more often than ways out, so that walks get there.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_walk);
        targets[0].selectors = new bytes4[](15);
        targets[0].selectors[0] = _walk.place.selector;
        targets[0].selectors[1] = _walk.advance.selector;
        targets[0].selectors[2] = _walk.advance.selector;
        targets[0].selectors[3] = _walk.advance.selector;
        targets[0].selectors[4] = _walk.wait.selector;
        targets[0].selectors[5] = _walk.quit.selector;
        targets[0].selectors[6] = _walk.claim.selector;
        targets[0].selectors[7] = _walk.advance.selector;
        targets[0].selectors[8] = _walk.challenge.selector;
        targets[0].selectors[9] = _walk.demand.selector;
        targets[0].selectors[10] = _walk.answer.selector;
        targets[0].selectors[11] = _walk.expire.selector;
        targets[0].selectors[12] = _walk.runAway.selector;
        targets[0].selectors[13] = _walk.advance.selector;
        targets[0].selectors[14] = _walk.demand.selector;
    }

    function invariant_EscrowHoldsOpenPricesAndBonds() external view {
        assertEq(_walk.escrowBalance(), _walk.expectedEscrow(), "escrow");
    }

    function invariant_RewardsHoldWhatIsOwed() external view {
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
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

    function invariant_ATrueDataSetIsNeverRevoked() external view {
        assertEq(_walk.trueRowsConvicted(), 0, "true rows convicted");
        assertEq(_walk.wronglyRevoked(), 0, "revoked without cause");
    }

    function invariant_AFalseRowIsAlwaysRevokedInsideTheWindow() external view {
        assertEq(_walk.falseRowsThatStood(), 0, "false rows that stood");
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

    /// @dev Led to each kind of dispute: order 1 is false, the others are true.
    function test_WalkReachesEveryKindOfDispute() external {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.place(1_000 + i, 500, 500);
            for (uint256 step = 0; step < 2; ++step) {
                _walk.advance(i);
            }
        }
        _walk.wait(7);
        for (uint256 i = 0; i < 3; ++i) {
            _walk.advance(i);
        }
        _walk.demand(0);
        _walk.answer(0);
        _walk.advance(0);
        _walk.advance(1);
        _walk.challenge(0);
        assertEq(_walk.acquitted(), 1, "acquitted");
        _walk.challenge(1);
        assertEq(_walk.convicted(), 1, "convicted");
        _walk.demand(0);
        _walk.answer(0);
        assertEq(_walk.answered(), 2, "answered");
        _walk.demand((1 << 128) * 3);
        _walk.demand(2);
        for (uint256 k = 0; k < 2; ++k) {
            _walk.wait(31 minutes);
            _walk.expire(0);
            _walk.expire(2);
        }
        assertEq(_walk.silenced(), 2, "silenced");
        // The others of orders 0 and 2 are paid, as those of order 1 are.
        _walk.advance(2);
        _walk.wait(3 hours);
        for (uint256 i = 0; i < 3; ++i) {
            _walk.advance(i);
        }
        assertEq(_walk.settled(), 3, "settled");
        assertEq(_walk.escrowBalance(), 0, "escrow");
        assertEq(_walk.demandsBalance(), 0, "demands");
        assertEq(_walk.driftOfAllMoney(), 0, "drift");
        assertEq(_walk.wrongStates(), 0, "states");
    }

    /// @dev Shard 0 of order 0 is absent before the commit, shard 1 of order 1 keeps its salt, shard 2 of order 2 its
    /// evaluation.
    function test_WalkReachesEveryAbsence() external {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.place(1_000 + i, 500, 500);
            _walk.advance(i);
        }
        _walk.demand(0);
        _walk.advance(1);
        _walk.advance(2);
        _walk.wait(7);
        _walk.demand(1);
        _walk.advance(2);
        _walk.demand((1 << 128) * 3 + 2);
        for (uint256 k = 0; k < 2; ++k) {
            _walk.wait(31 minutes);
            for (uint256 i = 0; i < 3; ++i) {
                _walk.expire(i);
            }
        }
        assertEq(_walk.silenced(), 3, "silenced");
        for (uint256 step = 0; step < 4; ++step) {
            for (uint256 i = 0; i < 3; ++i) {
                _walk.advance(i);
            }
            _walk.wait(step == 2 ? 2 hours : 7);
        }
        assertEq(_walk.settled(), 3, "settled");
        assertEq(_walk.escrowBalance(), 0, "escrow");
        assertEq(_walk.driftOfAllMoney(), 0, "drift");
        for (uint256 k = 0; k < 6; ++k) {
            address account = _walk.accounts()[k];
            assertEq(uint256(_walk.gainOf(account)), uint256(_walk.dueTo(account)), "gain");
        }
    }

    /// @dev The walk is worth nothing if it gets nowhere; this one is led to each kind of end.
    function test_WalkReachesSettlementRefundAndMissedDraw() external {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.place(1_000 + i, 500, 500);
        }
        for (uint256 i = 0; i < 2; ++i) {
            _walk.advance(i);
            _walk.advance(i);
        }
        _walk.wait(199);
        for (uint256 step = 0; step < 2; ++step) {
            _walk.advance(0);
        }
        _walk.wait(199);
        _walk.advance(1);
        _walk.wait(3 hours - 1);
        _walk.advance(0);
        _walk.quit(2);
        assertEq(_walk.settled(), 1, "settled");
        assertEq(_walk.refunded(), 1, "refunded");
        assertEq(_walk.missed(), 1, "missed");
        assertEq(_walk.escrowBalance(), _walk.expectedEscrow(), "escrow");
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
    }
}

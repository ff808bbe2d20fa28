// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderWalk} from "./support/OrderWalk.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice Whatever happens to orders in whatever sequence, every contract holds exactly what it owes.
contract MoneyTest is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    OrderWalk private _walk;

    function setUp() public {
        _walk = new OrderWalk();
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
        targets[0].selectors = new bytes4[](8);
        targets[0].selectors[0] = OrderWalk.place.selector;
        targets[0].selectors[1] = OrderWalk.advance.selector;
        targets[0].selectors[2] = OrderWalk.advance.selector;
        targets[0].selectors[3] = OrderWalk.advance.selector;
        targets[0].selectors[4] = OrderWalk.wait.selector;
        targets[0].selectors[5] = OrderWalk.quit.selector;
        targets[0].selectors[6] = OrderWalk.claim.selector;
        targets[0].selectors[7] = OrderWalk.advance.selector;
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
            assertEq(reserved, _walk.expectedReserved(), "reserved");
            sum += all;
        }
        assertEq(_walk.registryBalance(), sum, "registry");
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

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GoodsWalk} from "./support/GoodsWalk.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice Whatever is resold, paid, divided and claimed in whatever sequence: sales and rewards hold exactly what they
/// owe, and nothing is paid twice.
contract GoodsMoneyTest is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    GoodsWalk private _walk;

    function setUp() public {
        _walk = new GoodsWalk();
        _walk.setUp();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_walk);
    }

    /// @dev Steps of a sale stand more often than the others, so that walks get to its ends.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_walk);
        targets[0].selectors = new bytes4[](11);
        targets[0].selectors[0] = GoodsWalk.list.selector;
        targets[0].selectors[1] = GoodsWalk.buy.selector;
        targets[0].selectors[2] = GoodsWalk.buy.selector;
        targets[0].selectors[3] = GoodsWalk.advance.selector;
        targets[0].selectors[4] = GoodsWalk.advance.selector;
        targets[0].selectors[5] = GoodsWalk.quit.selector;
        targets[0].selectors[6] = GoodsWalk.payRoyalty.selector;
        targets[0].selectors[7] = GoodsWalk.distribute.selector;
        targets[0].selectors[8] = GoodsWalk.claim.selector;
        targets[0].selectors[9] = GoodsWalk.rotate.selector;
        targets[0].selectors[10] = GoodsWalk.wait.selector;
    }

    function invariant_SalesHoldPricesAndDepositsOfRunningSales() external view {
        assertEq(_walk.salesBalance(), _walk.expectedSales(), "sales");
    }

    function invariant_SalesHoldTheTokensOfRunningSales() external view {
        assertTrue(_walk.titlesAreInPlace(), "titles");
    }

    function invariant_RewardsHoldWhatIsOwed() external view {
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
    }

    function invariant_NothingIsPaidTwice() external view {
        assertEq(_walk.rewardsBalance() + _walk.paidOut(), _walk.paidIn(), "paid in");
    }

    /// @dev The walk is worth nothing if it gets nowhere; this one is led to each kind of end.
    function test_WalkReachesEveryEnd() external {
        for (uint256 i = 0; i < 3; ++i) {
            _walk.list(i, 1_000);
            _walk.buy(i, i + 1);
        }
        _walk.advance(0);
        _walk.advance(0);
        _walk.advance(1);
        _walk.quit(1);
        _walk.wait(2 days - 1);
        _walk.wait(2 days - 1);
        _walk.quit(2);
        _walk.payRoyalty(1, 999);
        _walk.distribute(0);
        _walk.distribute(1);
        _walk.rotate(0);
        for (uint256 i = 0; i < 7; ++i) {
            _walk.claim(i);
        }
        assertEq(_walk.accepted(), 1, "accepted");
        assertEq(_walk.rejected(), 1, "rejected");
        assertEq(_walk.expired(), 1, "expired");
        assertEq(_walk.distributed(), 2, "distributed");
        assertEq(_walk.rotated(), 1, "rotated");
        assertEq(_walk.salesBalance(), 0, "sales");
        assertTrue(_walk.titlesAreInPlace(), "titles");
        assertEq(_walk.rewardsBalance(), _walk.owed(), "rewards");
        assertEq(_walk.rewardsBalance() + _walk.paidOut(), _walk.paidIn(), "paid in");
        assertAtMost(_walk.rewardsBalance(), 3 * 3, "dust");
    }
}

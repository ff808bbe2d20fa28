// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderMoney} from "../../contracts/escrow/OrderMoney.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice What the buyer gets back when both a contributor of nine tenths of the rows and the broker are at fault.
/// Price 1,000, fee 200, of the convicted contributor 720 of the rest; damages of 900 are held. For all values:
/// proofs/MoneyProofs.sol.
contract OrderMoneyTest is TestBase {
    function _paid() private pure returns (OrderMoney.Settlement memory paid) {
        (paid.base, paid.fee, paid.lost) = (1_000, 200, 720);
        (paid.convictedRows, paid.damages) = (900, 900);
    }

    function test_DamagesFillUpToTheLostRowsPartOfThePrice() external pure {
        (uint256 refunded, uint256 burned) = OrderMoney.refund(_paid(), 1_000, 1_000);
        assertEq(refunded, 900, "refunded");
        assertEq(burned, 720, "burned");
    }

    /// @dev Before: 1,100.
    function test_DamagesAndAForfeitFeeAreNoMoreThanThePrice() external pure {
        OrderMoney.Settlement memory paid = _paid();
        paid.feeForfeit = true;
        (uint256 refunded, uint256 burned) = OrderMoney.refund(paid, 1_000, 1_000);
        assertEq(refunded, 1_000, "refunded");
        assertEq(burned, 820, "burned");
    }
}

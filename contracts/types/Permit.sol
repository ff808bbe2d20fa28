// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @notice ERC-2612 permit over exactly the price. Not looked at when the allowance suffices already.
struct Permit {
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice Use of a permit where no former approval suffices.
library Permits {
    /// @dev Lets the calling contract take `amount` from `owner`.
    function use(IERC20 token, address owner, uint256 amount, Permit calldata permit) internal {
        // Whoever saw the permit may have used it first; then the allowance is there and the permit is not needed.
        if (token.allowance(owner, address(this)) < amount) {
            IERC20Permit(address(token)).permit(
                owner,
                address(this),
                amount,
                permit.deadline,
                permit.v,
                permit.r,
                permit.s
            );
        }
    }
}

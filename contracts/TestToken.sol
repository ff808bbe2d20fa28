// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice Money of a local chain: ERC-20 with ERC-2612 permits. Worth nothing, by construction.
/// @dev Privileges: none; whoever asks may mint. Never deploy it where tokens are meant to have a price.
contract TestToken is ERC20, ERC20Permit {
    uint8 private immutable _decimals;

    constructor(uint8 decimals_) ERC20("Tessera Test Token", "TTT") ERC20Permit("Tessera Test Token") {
        _decimals = decimals_;
    }

    /// @notice Gives `account` new tokens.
    /// @param amount in the token's smallest unit.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Decimal places of an amount.
    function decimals() public view override returns (uint8) {
        return _decimals;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice Money of a local chain: ERC-20 with ERC-2612 permits. Worth nothing, by construction.
/// @dev Privileges: none; whoever asks may mint. Never deploy it where tokens are meant to have a price.
contract TestToken is ERC20, ERC20Permit {
    constructor() ERC20("Tessera Test Token", "TTT") ERC20Permit("Tessera Test Token") {}

    /// @notice Gives `account` new tokens.
    /// @param amount in wei (1e-18 token).
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}

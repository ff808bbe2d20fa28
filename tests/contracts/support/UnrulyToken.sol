// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice A token that freezes accounts, calls whoever receives and refuses transfers of zero, as some do. Everything else is plain ERC-20.
contract UnrulyToken is ERC20, ERC20Permit {
    mapping(address account => bool) public isFrozen;
    /// @notice Receives a call, before it gets its tokens and after.
    address public hooked;

    bool public refusesZero;
    /// @notice Answers false for a frozen account instead of reverting.
    bool public answersFalse;

    error UnrulyToken_Frozen(address account);
    error UnrulyToken_Zero();

    constructor() ERC20("Tessera Test Token", "TTT") ERC20Permit("Tessera Test Token") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function freeze(address account, bool frozen) external {
        isFrozen[account] = frozen;
    }

    function hook(address account) external {
        hooked = account;
    }

    function answerFalse(bool on) external {
        answersFalse = on;
    }

    function refuseZero(bool on) external {
        refusesZero = on;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return isFrozen[to] && answersFalse ? false : super.transfer(to, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (isFrozen[to]) revert UnrulyToken_Frozen(to);
        if (refusesZero && value == 0) revert UnrulyToken_Zero();
        bool calls = to != address(0) && to == hooked;
        if (calls) Receiver(to).onTokens();
        super._update(from, to, value);
        if (calls) Receiver(to).onTokens();
    }
}

interface Receiver {
    function onTokens() external;
}

/// @notice Tries one call into the market whenever tokens come in, and remembers whether it ever got through.
contract Intruder is Receiver {
    address public target;
    bytes public data;
    uint256 public tries;
    uint256 public successes;
    bytes public lastAnswer;

    function aim(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    /// @notice Sends a call of its own.
    function send(address to, bytes calldata data_) external {
        (bool success, bytes memory answer) = to.call(data_);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    /// @inheritdoc Receiver
    function onTokens() external {
        ++tries;
        (bool success, bytes memory answer) = target.call(data);
        lastAnswer = answer;
        if (success) ++successes;
    }
}

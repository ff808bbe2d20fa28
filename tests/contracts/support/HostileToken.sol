// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token that can be told to misbehave: to keep a hundredth of every transfer, to answer false, or to call
/// somebody in the middle.
contract HostileToken is ERC20 {
    bool public takesFee;
    bool public refuses;
    address public target;
    bytes public call;
    /// @notice What the call in the middle came to.
    bool public succeeded;
    bytes public answer;

    constructor() ERC20("Hostile", "HOS") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function setFee(bool on) external {
        takesFee = on;
    }

    function setRefusing(bool on) external {
        refuses = on;
    }

    /// @notice The next transfer makes this call, once.
    function setCall(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (refuses) return false;
        _interrupt();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (refuses) return false;
        _interrupt();
        return super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (takesFee && from != address(0) && to != address(0)) {
            super._update(from, address(0), amount / 100);
            amount -= amount / 100;
        }
        super._update(from, to, amount);
    }

    function _interrupt() private {
        address called = target;
        if (called == address(0)) return;
        target = address(0);
        (succeeded, answer) = called.call(call);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {Market} from "./support/Market.sol";
import {Wallet} from "./support/Wallet.sol";

/// setPayout
/// ├── when the deadline has passed: it should revert
/// ├── when the new address is zero or the contract itself: it should revert
/// ├── when the signature is not the present payout address's: it should revert
/// │   ├── another key, another account, another address, another nonce, another deadline
/// │   ├── used before
/// │   └── the account's own, once it has rotated
/// ├── it should send later claims there, of what was earned before too, whoever brings it
/// ├── given a contract as account or as payout address: it should ask the contract (ERC-1271)
/// └── it should let the account return to itself
contract RewardsPayoutTest is Market {
    uint256 private constant NEXT_KEY = 0x4E47;

    address private _account = vm.addr(NODE_KEY);
    address private _next = vm.addr(NEXT_KEY);
    uint256 private _deadline;

    function setUp() public override {
        super.setUp();
        _deadline = START + 100;
        _earn(_account, 10);
    }

    function _earn(address account, uint256 amount) private {
        address[] memory accounts = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (accounts[0], amounts[0]) = (account, amount);
        token.mint(address(rewards), amount);
        vm.prank(address(escrow));
        rewards.credit("order", accounts, amounts);
    }

    function _sign(
        uint256 key,
        address account,
        address payout,
        uint256 nonce
    ) private view returns (bytes memory) {
        bytes32 typehash = keccak256("Payout(address account,address payout,uint256 nonce,uint256 deadline)");
        return _signStruct(key, keccak256(abi.encode(typehash, account, payout, nonce, _deadline)));
    }

    function _expectInvalid(address signer, address account, address payout, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_InvalidSignature.selector, signer));
        rewards.setPayout(account, payout, _deadline, signature);
    }

    function _rotate(uint256 key, address account, address payout) private {
        rewards.setPayout(account, payout, _deadline, _sign(key, account, payout, rewards.nonces(account)));
    }

    function test_RejectsLateSignature() public {
        vm.warp(_deadline + 1);
        bytes memory signature = _sign(NODE_KEY, _account, _next, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_TooLate.selector, _deadline));
        rewards.setPayout(_account, _next, _deadline, signature);
    }

    function test_RejectsAddressZero() public {
        bytes memory signature = _sign(NODE_KEY, _account, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_UselessPayout.selector, address(0)));
        rewards.setPayout(_account, address(0), _deadline, signature);
    }

    function test_RejectsTheRewardsThemselves() public {
        bytes memory signature = _sign(NODE_KEY, _account, address(rewards), 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_UselessPayout.selector, address(rewards)));
        rewards.setPayout(_account, address(rewards), _deadline, signature);
    }

    function test_RejectsForeignKey() public {
        _expectInvalid(_account, _account, _next, _sign(STRANGER_KEY, _account, _next, 0));
    }

    function test_RejectsTheNewAddressSigningForItself() public {
        _expectInvalid(_account, _account, _next, _sign(NEXT_KEY, _account, _next, 0));
    }

    function testFuzz_RejectsOtherMessageThanSigned(uint256 field, uint256 word) public {
        field = bound(field, 0, 3);
        word = bound(word, 1, type(uint128).max);
        address account = field == 0 ? address(uint160(word)) : _account;
        address payout = field == 1 ? address(uint160(word)) : _next;
        bytes memory signature = _sign(NODE_KEY, account, payout, field == 2 ? word : 0);
        uint256 deadline = field == 3 ? _deadline + word : _deadline;
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_InvalidSignature.selector, _account));
        rewards.setPayout(_account, _next, deadline, signature);
    }

    function test_RejectsSameSignatureTwice() public {
        bytes memory there = _sign(NODE_KEY, _account, _next, 0);
        rewards.setPayout(_account, _next, _deadline, there);
        _rotate(NEXT_KEY, _account, _account);
        _expectInvalid(_account, _account, _next, there);
    }

    function test_RejectsTheAccountOnceItHasRotated() public {
        _rotate(NODE_KEY, _account, _next);
        _expectInvalid(_next, _account, _account, _sign(NODE_KEY, _account, _account, 1));
    }

    function test_SendsClaimsToTheNewAddress() public {
        assertEq(rewards.payoutOf(_account), _account, "at first");
        bytes memory signature = _sign(NODE_KEY, _account, _next, 0);
        vm.expectEmit();
        emit IRewards.PayoutSet(_account, _next);
        vm.prank(stranger);
        rewards.setPayout(_account, _next, _deadline, signature);
        assertEq(rewards.payoutOf(_account), _next, "payout");
        assertEq(rewards.nonces(_account), 1, "nonce");

        vm.prank(stranger);
        rewards.claimFor(_account);
        assertBalance(_next, 10);
        _earn(_account, 5);
        vm.prank(_account);
        rewards.claim();
        assertBalance(_next, 15);
        assertBalance(_account, 0);
    }

    function test_ReturnsToTheAccountByItsPayoutAddress() public {
        _rotate(NODE_KEY, _account, _next);
        _rotate(NEXT_KEY, _account, _account);
        rewards.claimFor(_account);
        assertBalance(_account, 10);
    }

    function test_AnotherAccountWithTheSamePayoutKeepsItsOwnNonce() public {
        _rotate(NODE_KEY, _account, _next);
        _earn(_node(1), 3);
        _rotate(NODE_KEY + 1, _node(1), _next);
        rewards.claimFor(_account);
        rewards.claimFor(_node(1));
        assertBalance(_next, 13);
    }

    function test_AsksContracts() public {
        Wallet first = new Wallet(_next);
        Wallet second = new Wallet(stranger);
        _earn(address(first), 7);
        _rotate(NEXT_KEY, address(first), address(second));
        _expectInvalid(address(second), address(first), _next, _sign(NEXT_KEY, address(first), _next, 1));
        _rotate(STRANGER_KEY, address(first), stranger);
        rewards.claimFor(address(first));
        assertBalance(stranger, 7);
    }
}

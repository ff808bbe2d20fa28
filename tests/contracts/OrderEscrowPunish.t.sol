// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IContributorRegistry} from "../../contracts/interfaces/IContributorRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice Money after a proven fraud or a silence.
/// @dev Plan:
/// punish: given another caller | a state but matched and published | other participants | no such shard: reverts
///   given a published order: buyer price and damages, rewarded half the stake, rest burned, others' stakes free
///     when the bond is below a quarter of the stake: damages are the bond
///     when the signer, the buyer and the rewarded are one: it still loses a quarter of the stake
///   given a matched order: buyer price and half the stake, broker its bond, rest burned
///   given a second time: reverts
contract OrderEscrowPunishTest is Market {
    function _punish(OrderTerms memory terms, address caller, uint32 shard, address rewarded) private {
        vm.prank(caller);
        escrow.punish(terms, _participants(), shard, rewarded);
    }

    function test_RejectsOtherCallers() public {
        (bytes32 order, ) = _publish(_terms());
        vm.expectRevert(
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_Unauthorized.selector, order, address(datasets))
        );
        _punish(_terms(), address(datasets), 0, stranger);
    }

    function test_RejectsOpenOrder() public {
        bytes32 order = _place(_terms());
        address judge = address(demands);
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Open));
        _punish(_terms(), judge, 0, stranger);
    }

    function test_RejectsSettledOrder() public {
        (bytes32 order, ) = _publish(_terms());
        vm.warp(START + 1 hours + 1);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        address judge = address(challenges);
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Settled));
        _punish(_terms(), judge, 0, stranger);
    }

    function test_RejectsOtherParticipants() public {
        (bytes32 order, ) = _publish(_terms());
        Participant[] memory participants = _participants();
        participants[1].contributor = stranger;
        address judge = address(challenges);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongParticipants.selector, order));
        vm.prank(judge);
        escrow.punish(_terms(), participants, 1, stranger);
    }

    function test_RejectsUnknownShard() public {
        (bytes32 order, ) = _publish(_terms());
        address judge = address(challenges);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_UnknownShard.selector, order, 3));
        _punish(_terms(), judge, 3, stranger);
    }

    function test_RejectsSecondPunishment() public {
        (bytes32 order, ) = _publish(_terms());
        address judge = address(challenges);
        _punish(_terms(), judge, 0, stranger);
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Revoked));
        _punish(_terms(), judge, 1, stranger);
    }

    function test_NothingLeavesARevokedOrder() public {
        (bytes32 order, ) = _publish(_terms());
        _punish(_terms(), address(challenges), 0, stranger);
        vm.warp(START + 2 days);
        bytes memory reason = abi.encodeWithSelector(
            IOrderEscrow.OrderEscrow_WrongState.selector,
            order,
            IOrderEscrow.State.Revoked
        );
        vm.expectRevert(reason);
        escrow.settle(_terms(), _participants(), _shares(), _noParents());
        vm.expectRevert(reason);
        escrow.refund(_terms(), _participants());
        vm.expectRevert(reason);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        vm.expectRevert(reason);
        vm.prank(buyer);
        escrow.cancel(_terms());
    }

    function test_FraudRefundsTheBuyerRewardsTheChallengerAndBurnsTheRest() public {
        uint256 before = _allMoney();
        (bytes32 order, ) = _publish(_terms());
        uint256 buyerBefore = token.balanceOf(buyer);
        address judge = address(challenges);
        // Stake 50, bond 100: 12.5 damages, 25 reward, 112.5 burned.
        vm.expectEmit();
        emit IContributorRegistry.StakeSlashed(order, _node(1), STAKE);
        vm.expectEmit();
        emit IOrderEscrow.OrderRevoked(order, 1, _node(1), STAKE, 25 ether, PRICE + 12.5 ether, 112.5 ether);
        _punish(_terms(), judge, 1, stranger);

        assertState(order, IOrderEscrow.State.Revoked);
        assertEq(token.balanceOf(buyer) - buyerBefore, PRICE + 12.5 ether, "buyer");
        assertBalance(stranger, 25 ether);
        assertBalance(BURN, 112.5 ether);
        assertBalance(address(escrow), 0);
        assertStake(_node(0), DEPOSIT, 0);
        assertStake(_node(1), DEPOSIT - STAKE, 0);
        assertStake(_node(2), DEPOSIT, 0);
        assertEq(registry.reservedFor(order, _node(1)), 0, "nothing left to slash");
        assertEq(_allMoney(), before, "all money");
    }

    function testFuzz_FraudDividesToTheWeiAndTheSignerAlwaysLoses(uint256 stake, uint256 bond) public {
        OrderTerms memory terms = _terms();
        terms.stake = bound(stake, 0, DEPOSIT);
        terms.bond = bound(bond, 0, 2 * DEPOSIT);
        uint256 before = _allMoney();
        _publish(terms);
        uint256 buyerBefore = token.balanceOf(buyer);
        // The signer shows its own fraud, and the buyer is its friend.
        _punish(terms, address(challenges), 2, _node(2));

        uint256 damages = Math.min(terms.bond, terms.stake / 4);
        assertEq(token.balanceOf(buyer) - buyerBefore, terms.price + damages, "buyer");
        assertBalance(_node(2), terms.stake / 2);
        assertStake(_node(2), DEPOSIT - terms.stake, 0);
        uint256 gained = terms.stake / 2 + damages;
        assertAtMost(gained, (terms.stake * 3) / 4, "buyer and signer together");
        assertBalance(BURN, terms.stake + terms.bond - gained);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_SilenceAfterTheSeedPaysTheBuyerAndSparesTheBroker() public {
        uint256 before = _allMoney();
        bytes32 order = _draw(_terms());
        address judge = address(demands);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE + STAKE / 2);
        _punish(_terms(), judge, 0, broker);
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, 1_000_000 ether + STAKE / 2);
        assertBalance(broker, 1_000_000 ether);
        assertBalance(BURN, STAKE - STAKE / 2);
        assertBalance(address(escrow), 0);
        assertStake(_node(0), DEPOSIT - STAKE, 0);
        assertStake(_node(1), DEPOSIT, 0);
        assertEq(_allMoney(), before, "all money");
    }

    function testFuzz_SilenceDividesToTheWei(uint256 stake, uint256 bond) public {
        OrderTerms memory terms = _terms();
        terms.stake = bound(stake, 0, DEPOSIT);
        terms.bond = bound(bond, 0, DEPOSIT);
        uint256 before = _allMoney();
        _draw(terms);
        _punish(terms, address(demands), 0, broker);
        assertBalance(buyer, 1_000_000 ether + terms.stake / 2);
        assertBalance(broker, 1_000_000 ether);
        assertBalance(BURN, terms.stake - terms.stake / 2);
        assertEq(_allMoney(), before, "all money");
    }

    function test_OneOrderIsPunishedAndTheOtherOfTheSameSignerStands() public {
        OrderTerms memory other = _terms();
        other.salt = bytes32(uint256(2));
        bytes32 kept = _match(other);
        (bytes32 order, ) = _publish(_terms());
        _punish(_terms(), address(challenges), 0, stranger);
        assertEq(registry.reservedFor(order, _node(0)), 0, "slashed");
        assertEq(registry.reservedFor(kept, _node(0)), STAKE, "bound to the other order");
        assertStake(_node(0), DEPOSIT - 2 * STAKE, STAKE);
        assertBalance(address(escrow), PRICE + BOND);
    }

    function test_OneStakeCannotBackTwoOrders() public {
        OrderTerms memory terms = _terms();
        terms.stake = DEPOSIT;
        _match(terms);
        terms.salt = bytes32(uint256(2));
        bytes32 second = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(second, _participants());
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), 0, DEPOSIT));
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows);
    }

    function test_AStakeCannotLeaveBetweenFraudAndPunishment() public {
        OrderTerms memory terms = _terms();
        terms.stake = DEPOSIT;
        _publish(terms);
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), 0, 1));
        vm.prank(_node(0));
        registry.requestWithdrawal(1);
        _punish(terms, address(challenges), 0, stranger);
        assertStake(_node(0), 0, 0);
    }
}

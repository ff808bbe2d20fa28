// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributorRegistry} from "../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";

/// @notice Money after a proven fraud or a silence.
/// @dev Plan:
/// convict: given another caller | a state but published | other participants | no such shard | a shard that is out: reverts
///   given one of several shards: half to the rewarded, a quarter held, the rest burned; the order goes on
///     when nobody is rewarded: the half is burned
///     at the settlement: the honest and the broker get all that is theirs, the buyer the convicted rows' part
///   given the last shard, or terms that call a part worthless: price to the buyer, bond to the broker, the rest burned
/// drop: given another caller | a state but matched: reverts
///   before the commit a quarter is burned, or a tenth of the bond if that is more; after it all
///   below the minimum the order ends
///   given a broker that gives up then: before the commit its bond is whole, after it not
/// fine, convictBroker, prolong: given another caller: reverts
contract OrderEscrowPunishTest is Market {
    function _punish(OrderTerms memory terms, address caller, uint32 shard, address rewarded) private {
        vm.prank(caller);
        escrow.convict(terms, _participants(), shard, rewarded);
    }

    function _drop(OrderTerms memory terms, uint32 shard) private {
        vm.prank(address(demands));
        escrow.drop(terms, _participants(), shard);
    }

    function _settle(OrderTerms memory terms, uint16[] memory shares) private {
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), shares, _noParents());
    }

    function test_RejectsOtherCallers() public {
        (bytes32 order, ) = _publish(_terms());
        vm.expectRevert(
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_Unauthorized.selector, order, address(datasets))
        );
        _punish(_terms(), address(datasets), 0, stranger);
    }

    function test_OnlyTheDemandsDropFineAndConvictTheBroker() public {
        (bytes32 order, ) = _publish(_terms());
        address judge = address(challenges);
        bytes memory reason = abi.encodeWithSelector(IOrderEscrow.OrderEscrow_Unauthorized.selector, order, judge);
        vm.expectRevert(reason);
        vm.prank(judge);
        escrow.drop(_terms(), _participants(), 0);
        vm.expectRevert(reason);
        vm.prank(judge);
        escrow.fine(order, _node(0));
        vm.expectRevert(reason);
        vm.prank(judge);
        escrow.convictBroker(order);
        vm.expectRevert(reason);
        vm.prank(judge);
        escrow.prolong(order);
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
        escrow.convict(_terms(), participants, 1, stranger);
    }

    function test_RejectsUnknownShard() public {
        (bytes32 order, ) = _publish(_terms());
        address judge = address(challenges);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_UnknownShard.selector, order, 3));
        _punish(_terms(), judge, 3, stranger);
    }

    function test_AShardIsConvictedOnce() public {
        (bytes32 order, ) = _publish(_terms());
        address judge = address(challenges);
        _punish(_terms(), judge, 0, stranger);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ShardOut.selector, order, 0));
        _punish(_terms(), judge, 0, stranger);
    }

    function test_DropsOnlyBeforeAndConvictsOnlyAfterThePublication() public {
        bytes32 order = _draw(_terms());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        address judge = address(demands);
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Matched));
        _punish(_terms(), judge, 0, stranger);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        vm.expectRevert(abi.encodeWithSelector(cause, order, IOrderEscrow.State.Published));
        vm.prank(judge);
        escrow.drop(_terms(), _participants(), 0);
    }

    function test_NothingLeavesARevokedOrder() public {
        OrderTerms memory terms = _terms();
        terms.indivisible = true;
        (bytes32 order, ) = _publish(terms);
        _punish(terms, address(challenges), 0, stranger);
        vm.warp(START + 2 days);
        bytes memory reason = abi.encodeWithSelector(
            IOrderEscrow.OrderEscrow_WrongState.selector,
            order,
            IOrderEscrow.State.Revoked
        );
        vm.expectRevert(reason);
        escrow.settle(terms, _participants(), _shares(), _noParents());
        vm.expectRevert(reason);
        escrow.refund(terms, _participants());
        vm.expectRevert(reason);
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        vm.expectRevert(reason);
        vm.prank(buyer);
        escrow.cancel(terms);
        address judge = address(challenges);
        vm.expectRevert(reason);
        _punish(terms, judge, 1, stranger);
    }

    // -- one of several shards ----------------------------------------------------------------------------------

    function test_OneOfThreeIsFalseTheOthersArePaidAndTheBondIsWhole() public {
        uint256 before = _allMoney();
        (bytes32 order, ) = _publish(_terms());
        uint256 buyerBefore = token.balanceOf(buyer);
        vm.expectEmit();
        emit IContributorRegistry.StakeSlashed(order, _node(2), 800 ether);
        vm.expectEmit();
        emit IOrderEscrow.ShardConvicted(order, 2, _node(2), 800 ether, 400 ether, 200 ether, 200 ether);
        _punish(_terms(), address(challenges), 2, stranger);
        assertState(order, IOrderEscrow.State.Published);
        assertOut(order, 2);
        assertEq(escrow.shardsOf(order).damages, 200 ether, "held");
        assertEq(escrow.shardsOf(order).convictedRows, 200, "rows");
        assertBalance(address(escrow), PRICE + BOND + 200 ether);

        // The share of shard 2 in 950 is 158.27; damages fill it up to the 200 that its rows cost.
        vm.expectEmit();
        emit IOrderEscrow.OrderReduced(order, 200 ether, 200 ether - (200 ether - 158.27 ether));
        _settle(_terms(), _shares());
        assertEq(token.balanceOf(buyer) - buyerBefore, 200 ether, "a fifth of the price for a fifth of the rows");
        assertBalance(stranger, 400 ether);
        assertBalance(BURN, 200 ether + 158.27 ether);
        assertEq(rewards.claimable(broker), 50 ether + BOND, "fee and bond");
        assertEq(rewards.claimable(_node(0)), 475.095 ether, "node 0");
        assertEq(rewards.claimable(_node(1)), 316.635 ether, "node 1");
        assertEq(rewards.claimable(_node(2)), 0, "node 2");
        assertStake(_node(0), DEPOSIT, 0);
        assertStake(_node(2), DEPOSIT - 800 ether, 0);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_NobodyIsRewardedForSilence() public {
        (bytes32 order, ) = _publish(_terms());
        vm.expectEmit();
        emit IOrderEscrow.ShardConvicted(order, 1, _node(1), 1_200 ether, 0, 300 ether, 900 ether);
        _punish(_terms(), address(demands), 1, address(0));
        assertBalance(BURN, 900 ether);
    }

    /// @dev Whoever is convicted, with the buyer and the challenger as friends, is worse off by a quarter of its stake at
    /// least than by honest work; the honest and the broker have all that is theirs.
    function testFuzz_SettlementAfterConvictionsDividesToTheWei(
        uint256 price,
        uint256 stake,
        uint16 feeBps,
        uint16 first,
        uint8 convicted
    ) public {
        OrderTerms memory terms = _terms();
        (terms.price, terms.stake) = (bound(price, 0, PRICE), bound(stake, 0, STAKE));
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        uint16[] memory shares = _shares();
        shares[0] = uint16(bound(first, 0, 10_000));
        (shares[1], shares[2]) = ((10_000 - shares[0]) / 3, 10_000 - shares[0] - (10_000 - shares[0]) / 3);
        uint256 before = _allMoney();
        bytes32 order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        record.sharesBps = shares;
        _signRecord(order, record);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        uint256 buyerBefore = token.balanceOf(buyer);
        uint256 out = bound(convicted, 1, 6);
        uint256 lost = 0;
        for (uint32 k = 0; k < 3; ++k) {
            if ((out >> k) & 1 == 0) continue;
            _punish(terms, address(challenges), k, buyer);
            lost += DEPOSIT - registry.stakeOf(_node(k)).free;
        }
        _settle(terms, shares);

        uint256 divided = terms.price - (terms.price * terms.brokerFeeBps) / 10_000;
        assertEq(rewards.claimable(broker), terms.price - divided + BOND, "broker");
        uint256 honest = 0;
        for (uint256 k = 0; k < 3; ++k) {
            uint256 exact = (divided * shares[k]) / 10_000;
            uint256 owed = rewards.claimable(_node(k));
            if ((out >> k) & 1 == 1) {
                assertEq(owed, 0, "convicted");
                honest += exact;
            } else {
                assertAtMost(exact, owed, "the whole share");
                assertAtMost(owed, exact + 2, "no more than rounding");
            }
        }
        uint256 got = token.balanceOf(buyer) - buyerBefore;
        assertAtMost(honest, got, "no less than the shares");
        assertAtMost(got, honest + 2 + lost - lost / 4, "a quarter of the stake is gone");
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    // -- the last shard -----------------------------------------------------------------------------------------

    function test_WhenNoShardIsLeftTheBuyerHasThePriceAndTheBrokerItsBond() public {
        uint256 before = _allMoney();
        (bytes32 order, ) = _publish(_terms());
        uint256 buyerBefore = token.balanceOf(buyer);
        for (uint32 k = 0; k < 2; ++k) {
            _punish(_terms(), address(challenges), k, stranger);
        }
        // 800 and the damages held of 2,000 and 1,200: 500 and 300.
        vm.expectEmit();
        emit IOrderEscrow.OrderRevoked(order, 2, _node(2), 800 ether, 400 ether, PRICE, 1_200 ether);
        _punish(_terms(), address(challenges), 2, stranger);
        assertState(order, IOrderEscrow.State.Revoked);
        assertEq(token.balanceOf(buyer) - buyerBefore, PRICE, "buyer");
        assertBalance(broker, 1_000_000 ether);
        assertBalance(stranger, 2_000 ether);
        assertBalance(BURN, 2_000 ether);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    /// @dev Each contributor of such an order stakes all of it: one false row ruins everything.
    function test_WhereAPartIsWorthlessOneFalseRowEndsTheOrder() public {
        OrderTerms memory terms = _terms();
        terms.indivisible = true;
        uint256 before = _allMoney();
        (bytes32 order, ) = _publish(terms);
        assertStake(_node(2), DEPOSIT - STAKE, STAKE);
        uint256 buyerBefore = token.balanceOf(buyer);
        _punish(terms, address(challenges), 2, stranger);
        assertState(order, IOrderEscrow.State.Revoked);
        assertEq(token.balanceOf(buyer) - buyerBefore, PRICE, "buyer");
        assertBalance(broker, 1_000_000 ether);
        assertBalance(stranger, STAKE / 2);
        assertBalance(BURN, STAKE / 2);
        assertStake(_node(0), DEPOSIT, 0);
        assertStake(_node(2), DEPOSIT - STAKE, 0);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    // -- before publication -------------------------------------------------------------------------------------

    function test_BeforeTheCommitAnAbsenceCostsAQuarter() public {
        bytes32 order = _match(_terms());
        vm.expectEmit();
        emit IOrderEscrow.ShardDropped(order, 1, _node(1), 300 ether);
        _drop(_terms(), 1);
        assertState(order, IOrderEscrow.State.Matched);
        assertOut(order, 1);
        assertEq(escrow.shardsOf(order).droppedRows, 300, "rows");
        assertStake(_node(1), DEPOSIT - 300 ether, 0);
        assertBalance(BURN, 300 ether);
        assertBalance(address(escrow), PRICE + BOND);
    }

    /// @dev Else a broker with a friend among the contributors gives up for less than its tenth.
    function test_BeforeTheCommitAnAbsenceCostsNoLessThanGivingUp() public {
        OrderTerms memory terms = _terms();
        terms.bond = 8_000 ether;
        bytes32 order = _match(terms);
        _drop(terms, 1);
        assertStake(_node(1), DEPOSIT - 800 ether, 0);
        // Shard 2's stake is 800.
        terms.bond = 10_000 ether;
        order = _match(terms);
        vm.expectEmit();
        emit IOrderEscrow.ShardDropped(order, 2, _node(2), 800 ether);
        _drop(terms, 2);
        assertBalance(BURN, 1_600 ether);
    }

    /// @dev Without the dropped one the others' models have to be trained anew.
    function test_ABrokerThatGivesUpAfterADropBeforeTheCommitKeepsItsBond() public {
        uint256 before = _allMoney();
        bytes32 order = _match(_terms());
        _drop(_terms(), 1);
        vm.expectEmit();
        emit IOrderEscrow.BondDivided(order, 0, 0);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(broker, 1_000_000 ether);
        assertBalance(buyer, 1_000_000 ether);
        assertBalance(BURN, 300 ether);
        assertStake(_node(1), DEPOSIT - 300 ether, 0);
        assertStake(_node(0), DEPOSIT, 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_ABrokerWithAFriendDoesNotGiveUpForLessThanATenthOfItsBond() public {
        OrderTerms memory terms = _terms();
        terms.bond = 8_000 ether;
        _match(terms);
        _drop(terms, 1);
        vm.prank(broker);
        escrow.abandon(terms, _participants());
        uint256 lost = 1_000_000 ether - token.balanceOf(broker) + DEPOSIT - registry.stakeOf(_node(1)).free;
        assertEq(lost, terms.bond / 10, "lost together");
    }

    function test_ADropBeforeTheDeadlineDoesNotSaveTheBondAfterIt() public {
        _match(_terms());
        _drop(_terms(), 1);
        vm.warp(_terms().deliverBy + 1);
        escrow.refund(_terms(), _participants());
        assertBalance(broker, 1_000_000 ether - BOND);
    }

    function test_ABrokerThatGivesUpAfterTheCommitLosesATenthWhoeverWasDropped() public {
        _commit(_terms());
        _drop(_terms(), 1);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertBalance(broker, 1_000_000 ether - BOND / 10);
    }

    /// @dev Whoever goes on without the dropped one, and has what the others committed to, is bound again.
    function test_ABrokerThatCommitsAfterADropAndThenGivesUpLosesATenth() public {
        bytes32 order = _match(_terms());
        _drop(_terms(), 1);
        bytes32[] memory models = _models();
        bytes32[] memory saltDigests = _saltDigests(order);
        bytes[] memory signatures = _modelSignatures(order);
        (models[1], saltDigests[1], signatures[1]) = (0, 0, "");
        commitment.commit(order, _participants(), models, saltDigests, signatures);
        vm.prank(broker);
        escrow.abandon(_terms(), _participants());
        assertBalance(broker, 1_000_000 ether - BOND / 10);
        assertEq(rewards.claimable(_node(0)), BOND / 20, "first");
        assertEq(rewards.claimable(_node(1)), 0, "dropped");
    }

    function test_AfterTheCommitAnAbsenceCostsTheStake() public {
        _commit(_terms());
        _drop(_terms(), 1);
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
        assertBalance(BURN, 1_200 ether);
    }

    function test_WithoutADroppedContributorTheOrderIsGivenUpAndLapsesForTheOthers() public {
        uint256 before = _allMoney();
        bytes32 order = _commit(_terms());
        _drop(_terms(), 1);
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertState(order, IOrderEscrow.State.Refunded);
        assertEq(rewards.claimable(_node(0)), BOND / 2, "half");
        assertEq(rewards.claimable(_node(1)), 0, "none");
        assertEq(rewards.claimable(_node(2)), BOND / 2, "half");
        assertStake(_node(1), DEPOSIT - 1_200 ether, 0);
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_WhereAPartIsWorthlessAnAbsenceEndsTheOrder() public {
        OrderTerms memory terms = _terms();
        terms.indivisible = true;
        bytes32 order = _match(terms);
        vm.expectEmit();
        emit IOrderEscrow.OrderRefunded(order, PRICE);
        _drop(terms, 1);
        assertState(order, IOrderEscrow.State.Refunded);
        assertBalance(buyer, 1_000_000 ether);
        assertBalance(broker, 1_000_000 ether);
        assertStake(_node(0), DEPOSIT, 0);
        assertStake(_node(1), DEPOSIT - STAKE / 4, 0);
        assertBalance(BURN, STAKE / 4);
        assertBalance(address(escrow), 0);
    }

    function testFuzz_ADropDividesToTheWei(uint256 price, uint256 stake, uint16 feeBps) public {
        OrderTerms memory terms = _terms();
        (terms.price, terms.stake) = (bound(price, 0, PRICE), bound(stake, 0, STAKE));
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        uint256 before = _allMoney();
        bytes32 order = _draw(terms);
        _drop(terms, 2);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        _leaveOut(order, record, 2);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        _settle(terms, record.sharesBps);
        uint256 base = (terms.price * 800) / 1_000;
        uint256 fee = (base * terms.brokerFeeBps) / 10_000;
        assertEq(rewards.claimable(broker), fee + BOND, "broker");
        assertEq(rewards.claimable(_node(0)), ((base - fee) * 6_667) / 10_000, "node 0");
        assertEq(rewards.claimable(_node(1)), ((base - fee) * 3_333) / 10_000, "node 1");
        // What rounding leaves is the buyer's, as the last shard is out.
        uint256 refunded = terms.price - fee - rewards.claimable(_node(0)) - rewards.claimable(_node(1));
        assertBalance(buyer, 1_000_000 ether - terms.price + refunded);
        assertAtMost(terms.price - base, refunded, "the part of the dropped rows");
        assertAtMost(refunded, terms.price - base + 2, "no more than rounding");
        assertBalance(address(escrow), 0);
        assertEq(_allMoney(), before, "all money");
    }

    function test_OneOrderIsPunishedAndTheOtherOfTheSameSignerStands() public {
        OrderTerms memory other = _terms();
        other.salt = bytes32(uint256(2));
        bytes32 kept = _match(other);
        (bytes32 order, ) = _publish(_terms());
        _punish(_terms(), address(challenges), 0, stranger);
        assertEq(registry.reservedFor(order, _node(0)), 0, "slashed");
        assertEq(registry.reservedFor(kept, _node(0)), 2_000 ether, "bound to the other order");
        assertStake(_node(0), DEPOSIT - 4_000 ether, 2_000 ether);
        assertBalance(address(escrow), 2 * (PRICE + BOND) + 500 ether);
    }

    function test_OneStakeCannotBackTwoOrders() public {
        OrderTerms memory terms = _terms();
        // Half of the rows: all that node 0 has.
        terms.stake = 2 * DEPOSIT;
        _match(terms);
        terms.salt = bytes32(uint256(2));
        bytes32 second = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(second, _participants());
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), 0, DEPOSIT));
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
    }

    function test_AStakeCannotLeaveBetweenFraudAndPunishment() public {
        OrderTerms memory terms = _terms();
        // Half of the rows: all that node 0 has.
        terms.stake = 2 * DEPOSIT;
        _publish(terms);
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, _node(0), 0, 1));
        vm.prank(_node(0));
        registry.requestWithdrawal(1);
        _punish(terms, address(challenges), 0, stranger);
        assertStake(_node(0), 0, 0);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../contracts/interfaces/IDemands.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./support/RowMarket.sol";

/// @notice Attacks of one party on another that paid once, by the numbers of docs/security.md. Each test plays the attack
/// and shows what the attackers have afterwards. Price 1,000, bond 100, fee 5 %; stakes 2,000, 1,200 and 800 of three
/// contributors with 500, 300 and 200 rows; shares of 475.095, 316.635 and 158.27.
contract AttacksTest is RowMarket {
    bytes private constant _REFUSES = hex"5f5ffd";
    uint256 private constant _SHARE = 158.27 ether;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
    }

    function _has(address account) private view returns (uint256) {
        uint256 staked = uint256(registry.stakeOf(account).free) + registry.stakeOf(account).reserved;
        return token.balanceOf(account) + rewards.claimable(account) + staked;
    }

    /// @dev All that the buyer, contributor 2 and their accomplice have, wherever it is.
    function _gang() private view returns (uint256) {
        return _has(buyer) + _has(_node(2)) + _has(stranger);
    }

    function _settle(OrderTerms memory terms, uint16[] memory shares) private {
        vm.warp(escrow.windowOf(terms) + 1);
        escrow.settle(terms, _participants(), shares, _noParents());
    }

    function _publishRecord(OrderTerms memory terms, IDatasetRegistry.DatasetRecord memory record) private {
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    /// @dev Publishes and settles without contributor 2, which was dropped.
    function _goOn(bytes32 order) private {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        _leaveOut(order, record, 2);
        _publishRecord(_terms(), record);
        _settle(_terms(), record.sharesBps);
    }

    /// @dev The others are paid for their 800 rows, 760 less the fee of 5 %, and the broker has its bond.
    function _assertTheHonestArePaid(uint256 brokerBefore) private view {
        assertEq(_has(broker), brokerBefore + 40 ether, "broker: fee, and its bond whole");
        assertEq(rewards.claimable(_node(0)) + rewards.claimable(_node(1)), 760 ether, "contributors");
    }

    // -- A1: buyer and contributor 2; it does everything but what can stop the publication -----------------------------

    /// @dev Before: the gang gained 76.67 and the broker lost 110. Now silence costs a quarter of its stake, 200, and the
    /// data set is published without its evaluation.
    function test_A1_WithholdingAnEvaluationCostsAQuarterOfTheStakeAndStopsNothing() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _draw(_terms());
        _demandStep(_terms(), 2, IDemands.Kind.Evaluation, new bytes32[](0));
        _silence(_terms(), 2);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        record.evaluations[2] = IDatasetRegistry.EvaluationRecord(0, "");
        _publishRecord(_terms(), record);
        _settle(_terms(), _shares());
        assertEq(
            _gang(),
            before - PRICE + _SHARE - 200 ether,
            "gang: it bought, was paid for its rows, and fined"
        );
        assertEq(_has(broker), brokerBefore + 50 ether, "broker: fee, and its bond whole");
        assertBalance(BURN, 200 ether);
    }

    /// @dev Dissent costs nothing, and stops nothing either: the gang has what honest work would have brought.
    function test_A1_SigningAnotherEvaluationStopsNothing() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _draw(_terms());
        _demandStep(_terms(), 2, IDemands.Kind.Evaluation, new bytes32[](0));
        IDemands.Evaluation memory evaluation = IDemands.Evaluation(
            0,
            0,
            keccak256(abi.encode(_shares())),
            sha256("score")
        );
        bytes memory signature = _signEvaluation(NODE_KEY + 2, order, 0, 0, _shares());
        demands.answerEvaluation(order, 2, evaluation, signature);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        record.evaluations[2] = IDatasetRegistry.EvaluationRecord(0, "");
        _publishRecord(_terms(), record);
        _settle(_terms(), _shares());
        assertEq(_gang(), before - PRICE + _SHARE, "gang");
        assertEq(_has(broker), brokerBefore + 50 ether, "broker");
    }

    /// @dev Nobody asked in time: the bond is burned, and the gang has what it had.
    function test_A1_WhatNobodyDemandedGainsNothingAtTheDeadline() public {
        uint256 before = _gang();
        _draw(_terms());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(_gang(), before, "gang");
        assertBalance(BURN, BOND);
    }

    /// @dev Before: the order ended, and half of the stake went to the buyer. Now all is burned and the others go on.
    function test_A1_WithholdingAReceiptCostsTheStakeAndTheOthersGoOn() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _draw(_terms());
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        _silence(_terms(), 2);
        _goOn(order);
        assertEq(_gang(), before - 800 ether - 800 ether, "gang: 800 rows bought, and the stake");
        _assertTheHonestArePaid(brokerBefore);
    }

    /// @dev Contributor 2 answers every demand on chain, and hands nothing over. Before: no record, 100 of bond burned. Now
    /// its shard is published by its receipt, with half of its part by rows for a share: 95 instead of 158.27.
    function _publishByReceipt(bytes32 order) private returns (uint256 id, uint16[] memory shares) {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        IDatasetRegistry.ShardRecord memory shard = record.shards[2];
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        demands.answerReceipt(
            order,
            2,
            IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest),
            shard.receipt
        );
        _demandStep(_terms(), 2, IDemands.Kind.Evaluation, new bytes32[](0));
        bytes memory nothing = _signEvaluation(NODE_KEY + 2, order, 0, 0, new uint16[](0));
        bytes32 none = keccak256(abi.encode(new uint16[](0)));
        demands.answerEvaluation(order, 2, IDemands.Evaluation(0, 0, none, sha256("score")), nothing);
        (record.sharesBps[0], record.sharesBps[1], record.sharesBps[2]) = (5_625, 3_375, 1_000);
        _signRecord(order, record);
        record.evaluations[2] = IDatasetRegistry.EvaluationRecord(0, "");
        _publishRecord(_terms(), record);
        return (datasets.count(), record.sharesBps);
    }

    function test_A1_AnsweringOnChainAloneCostsPartOfTheShareAndStopsNothing() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        (, uint16[] memory shares) = _publishByReceipt(_draw(_terms()));
        _settle(_terms(), shares);
        assertEq(_gang(), before - PRICE + 95 ether, "gang: less than by honest work");
        assertEq(_has(broker), brokerBefore + 50 ether, "broker: fee, and its bond whole");
        assertEq(rewards.claimable(_node(0)) + rewards.claimable(_node(1)), 855 ether, "contributors");
    }

    /// @dev An honest buyer demands the model: it has it for a tenth of the rows' price, or the part back.
    function test_A1_WhatWasNotDeliveredIsShownOrPaidBack() public {
        uint256 before = _has(buyer);
        uint256 brokerBefore = _has(broker);
        (uint256 id, uint16[] memory shares) = _publishByReceipt(_draw(_terms()));
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 2, _models());
        _silence(_terms(), 2);
        _settle(_terms(), shares);
        assertEq(_has(buyer), before - 800 ether, "buyer: pays for the rows that it has");
        assertEq(_has(broker), brokerBefore + 50 ether, "broker");
        assertEq(rewards.claimable(_node(2)), 0, "contributor 2: nothing, and its stake");
        assertStake(_node(2), DEPOSIT - 800 ether, 0);
    }

    function test_A1_WithholdingTheSaltCostsTheStakeAndTheOthersGoOn() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _commit(_terms());
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.fixHash(order);
        _demandStep(_terms(), 2, IDemands.Kind.Salt, _saltDigests(order));
        _silence(_terms(), 2);
        bytes32[] memory salts = _salts();
        salts[2] = 0;
        commitment.drawSeed(order, _saltDigests(order), salts);
        _goOn(order);
        assertEq(_gang(), before - 800 ether - 800 ether, "gang: 800 rows bought, and the stake");
        _assertTheHonestArePaid(brokerBefore);
    }

    // -- A2: buyer, contributor 2 with the smallest shard, and a challenger; it signs one false row --------------------

    function _sabotage(OrderTerms memory terms) private {
        (, uint256 id) = _publishFalse(terms, 2, 150);
        IChallenges.Claim memory claim = _claim(id, 2, 150);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(stranger);
        challenges.challenge(terms, _participants(), claim, evidence, SALT, _noParents());
    }

    /// @dev Before: price and damages back, 800 true rows kept for 12.5, the honest unpaid, the broker's bond gone. Now the
    /// gang pays the honest in full and loses half of its stake, less the 200 for its own rows.
    function test_A2_AFalseRowOfOnesOwnBuysNothing() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        _sabotage(_terms());
        _settle(_terms(), _shares());
        assertEq(_gang(), before - PRICE + 200 ether - 400 ether, "gang");
        assertAtMost(_gang(), before - PRICE + _SHARE - 200 ether, "a quarter of the stake below honest work");
        assertEq(_has(broker), brokerBefore + 50 ether, "broker: fee, and its bond whole");
        assertEq(rewards.claimable(_node(0)), 475.095 ether, "contributor 0");
        assertEq(rewards.claimable(_node(1)), 316.635 ether, "contributor 1");
    }

    /// @dev Where the terms call a part worthless the gang gets its price back; the stake for that, 4,000, makes the rows
    /// twice as dear as to buy them.
    function test_A2_WhereAPartIsWorthlessTheStakeIsTheWholeOrders() public {
        OrderTerms memory terms = _terms();
        terms.indivisible = true;
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        _sabotage(terms);
        assertEq(_gang(), before - STAKE / 2, "gang");
        assertEq(_has(broker), brokerBefore, "broker");
    }

    /// @dev The broker in it too: its fee comes out of its friends' price.
    function test_A2_WithTheBrokerInLeagueNothingIsGainedEither() public {
        uint256 before = _gang() + _has(broker);
        _sabotage(_terms());
        _settle(_terms(), _shares());
        uint256 honest = 475.095 ether + 316.635 ether;
        assertEq(
            _gang() + _has(broker),
            before - honest - 800 ether + 400 ether + (200 ether - _SHARE),
            "coalition"
        );
    }

    // -- A3: buyer and broker leave with the receipts of the honest -----------------------------------------------------

    /// @dev Before: half of the bond. Now all of it.
    function test_A3_LettingTheOrderLapseCostsTheBond() public {
        uint256 before = _gang() + _has(broker);
        _draw(_terms());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(_gang() + _has(broker), before - BOND, "coalition");
    }

    /// @dev Before: with a silent contributor as a friend the bond came back whole, and half of the stake. Now the bond
    /// comes back, and the whole stake is burned; nor is anything that opens rows out before the record is on chain.
    function test_A3_ASilentFriendCostsItsStake() public {
        OrderTerms memory terms = _terms();
        terms.minContributors = 3;
        uint256 before = _gang() + _has(broker);
        bytes32 order = _draw(terms);
        _demandStep(terms, 2, IDemands.Kind.Receipt, _models());
        _silence(terms, 2);
        assertState(order, IOrderEscrow.State.Refunded);
        assertEq(_gang() + _has(broker), before - 800 ether, "coalition");
    }

    // -- A4: contributor 1 is offline; the buyer demands its model ------------------------------------------------------

    /// @dev Before: after one time to answer the buyer had price, damages and half of the stake, for a deposit of 10 that
    /// came back. Now it has paid 30 for an answer.
    function test_A4_WhoIsBackWithinTwiceTheTimeLosesNothing() public {
        (bytes32 order, uint256 id) = _publishRows(_terms());
        uint256 before = _gang();
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 1, _models());
        _warn(_terms(), 1);
        vm.warp(demands.demandOf(order, 1).answerBy);
        demands.answerModel(order, 1, "model 1");
        _settle(_terms(), _shares());
        assertEq(_gang(), before + _SHARE - 30 ether, "gang: its share, and the deposit spent");
        assertEq(rewards.claimable(_node(1)), 316.635 ether, "contributor 1 is paid");
        assertStake(_node(1), DEPOSIT, 0);
    }

    /// @dev Silence twice pays back what the rows cost, and nothing beyond.
    function test_A4_SilenceTwicePaysNoMoreThanTheRows() public {
        (, uint256 id) = _publishRows(_terms());
        uint256 before = _gang();
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 1, _models());
        _silence(_terms(), 1);
        _settle(_terms(), _shares());
        assertEq(_gang(), before + _SHARE + 316.635 ether, "gang: its share, and that of contributor 1");
        assertEq(rewards.claimable(_node(0)), 475.095 ether, "contributor 0");
    }

    // -- A5: contributor 2 is matched and never commits ------------------------------------------------------------

    /// @dev Before: 3.33 or 16.67 of the bond, and the order was dead. Now a quarter of its stake, 200, and the order goes
    /// on without it.
    function test_A5_ANoShowBeforeTheCommitPaysAndStopsNothing() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _match(_terms());
        _demandStep(_terms(), 2, IDemands.Kind.Commitment, new bytes32[](0));
        _silence(_terms(), 2);
        bytes32[] memory models = _models();
        bytes32[] memory digests = _saltDigests(order);
        bytes32[] memory salts = _salts();
        bytes[] memory signatures = _modelSignatures(order);
        (models[2], digests[2], salts[2], signatures[2]) = (0, 0, 0, "");
        commitment.commit(order, _participants(), models, digests, signatures);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, digests, salts);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        _leaveOut(order, record, 2);
        record.shards[2].modelDigest = 0;
        _publishRecord(_terms(), record);
        _settle(_terms(), record.sharesBps);
        assertEq(_gang(), before - 800 ether - 200 ether, "gang: 800 rows bought, and a quarter of the stake");
        _assertTheHonestArePaid(brokerBefore);
    }

    function test_A5_WhatNobodyDemandedEarnsNothing() public {
        uint256 before = _gang();
        _match(_terms());
        vm.warp(uint256(_terms().deliverBy) + 1);
        escrow.refund(_terms(), _participants());
        assertEq(_gang(), before, "gang");
        assertBalance(BURN, BOND);
    }

    // -- A6: contributor 2 waits until it is asked -----------------------------------------------------------------

    /// @dev Before: a hundredth of the price, 10, from the broker to the contributor. Now 0.
    function test_A6_WaitingToBeDemandedEarnsNothing() public {
        bytes32 order = _draw(_terms());
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(order).shards[2];
        vm.prank(_node(2));
        demands.answerReceipt(
            order,
            2,
            IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest),
            shard.receipt
        );
        assertEq(_gang(), before, "gang");
        assertEq(_has(broker), brokerBefore, "broker");
    }

    /// @dev Before: 10 for each model or chunk. Now the deposit, here of the gang's own buyer, is burned.
    function test_A6_AskingAFriendCostsTheDeposit() public {
        (bytes32 order, uint256 id) = _publishRows(_terms());
        uint256 before = _gang();
        vm.prank(buyer);
        demands.demandModel(_terms(), _participants(), id, 2, _models());
        vm.prank(_node(2));
        demands.answerModel(order, 2, "model 2");
        assertEq(_gang(), before - 20 ether, "gang");
    }

    // -- A7: contributor 2 signs its commitment so late that nothing of it can be demanded any more --------------------

    /// @dev Before: the order ended with the stake free, the broker's bond lost. Now every step leaves a time to answer.
    function test_A7_ACommitInTheLastSecondDoesNotEscapeTheDemand() public {
        uint256 before = _gang();
        uint256 brokerBefore = _has(broker);
        bytes32 order = _match(_terms());
        bytes[] memory signatures = _modelSignatures(order);
        vm.warp(_terms().deliverBy);
        commitment.commit(order, _participants(), _models(), _saltDigests(order), signatures);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        vm.warp(escrow.deliverByOf(order));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        vm.warp(escrow.deliverByOf(order));
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        _silence(_terms(), 2);
        vm.warp(escrow.deliverByOf(order));
        _goOn(order);
        assertEq(_gang(), before - 800 ether - 800 ether, "gang: 800 rows bought, and the stake");
        _assertTheHonestArePaid(brokerBefore);
    }

    /// @dev Whatever is withheld, and answered, in the last second: four steps fit before the last deadline.
    function test_A7_FourStepsAnsweredAsLateAsCanBeFitBeforeTheLastDeadline() public {
        bytes32 order = _match(_terms());
        vm.warp(_terms().deliverBy);
        _demandStep(_terms(), 2, IDemands.Kind.Commitment, new bytes32[](0));
        _lastMoment(order);
        demands.answerCommitment(order, 2, _models()[2], _saltDigests(order)[2], _modelSignatures(order)[2]);
        vm.warp(escrow.deliverByOf(order));
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.fixHash(order);
        _demandStep(_terms(), 2, IDemands.Kind.Salt, _saltDigests(order));
        _lastMoment(order);
        demands.answerSalt(order, 2, _salts()[2]);
        vm.warp(escrow.deliverByOf(order));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        _lastMoment(order);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        IDatasetRegistry.ShardRecord memory shard = record.shards[2];
        IDemands.Receipt memory receipt = IDemands.Receipt(
            shard.shardRoot,
            shard.epsilonMicro,
            shard.deltaE12,
            shard.contentDigest
        );
        demands.answerReceipt(order, 2, receipt, shard.receipt);
        _demandStep(_terms(), 2, IDemands.Kind.Evaluation, new bytes32[](0));
        _silence(_terms(), 2);
        record.evaluations[2] = IDatasetRegistry.EvaluationRecord(0, "");
        vm.warp(escrow.deliverByOf(order));
        _publishRecord(_terms(), record);
        assertState(order, IOrderEscrow.State.Published);
    }

    /// @dev A demand's second time, at its end.
    function _lastMoment(bytes32 order) private {
        _warn(_terms(), 2);
        vm.warp(demands.demandOf(order, 2).answerBy);
    }

    // -- B6: buyer and broker pass by seeds that they do not like ---------------------------------------------------

    /// @dev Before: the tenth went to the buyer, so that both together lost nothing. Now it is burned.
    function test_B6_PassingBySeedsCostsBuyerAndBrokerATenthEach() public {
        uint256 before = _gang() + _has(broker);
        bytes32 order = _commit(_terms());
        for (uint256 k = 0; k < 3; ++k) {
            vm.roll(vm.getBlockNumber() + DELAY + 257);
            commitment.redraw(order);
        }
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        assertBalance(BURN, (3 * BOND) / 10);
        // Price and bond are in the escrow, and so is the friend's stake.
        assertEq(_gang() + _has(broker), before - PRICE - BOND, "spent");
        assertBalance(address(escrow), PRICE + BOND - (3 * BOND) / 10);
    }

    // -- C6: contributor 2 signs, and then delegates its account to code that denies it (EIP-7702) ---------------------

    /// @dev Before: publish reverted and the broker lost its bond of 100. Now what was signed stays signed.
    function test_C6_ADelegatedContributorsSignatureStaysGood() public {
        OrderTerms memory terms = _terms();
        bytes32 order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.etch(_node(2), _REFUSES);
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_C6_ADelegatedAccountsReceiptAnswersADemand() public {
        bytes32 order = _draw(_terms());
        _demandStep(_terms(), 2, IDemands.Kind.Receipt, _models());
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(order).shards[2];
        vm.etch(_node(2), _REFUSES);
        demands.answerReceipt(
            order,
            2,
            IDemands.Receipt(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest),
            shard.receipt
        );
        assertEq(escrow.orderOf(order).openDemands, 0, "answered");
    }
}

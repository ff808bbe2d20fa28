// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";
import {Wallet} from "./support/Wallet.sol";

/// publish
/// ├── when the caller is not the broker: it should revert
/// ├── when the deadline has passed: it should revert
/// ├── given an order that is not matched, or published already: it should revert
/// ├── when the participants are not those of the match: it should revert
/// ├── given no seed: it should revert
/// ├── when shards, evaluations or shares are not one a participant: it should revert
/// ├── when the shares do not sum to the whole: it should revert
/// ├── when the version is zero or the real fraction above one: it should revert
/// ├── when a model is not the committed one: it should revert
/// ├── when a receipt is foreign, or signs another shard: it should revert and name the shard
/// ├── when a shard's privacy is outside the terms: it should revert and name the shard
/// ├── when an evaluation is foreign, or signs another score or division: it should revert
/// ├── when the median of the scores is below the terms: it should revert
/// ├── (parents: DatasetLineage.t.sol)
/// └── it should mint to the buyer, with or without a receiver hook, and start the challenge window
contract DatasetRegistryTest is Market {
    function _expectPublishRevert(
        OrderTerms memory terms,
        IDatasetRegistry.DatasetRecord memory record,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        vm.prank(broker);
        datasets.publish(terms, _participants(), record);
    }

    function _ready() private returns (bytes32 order, IDatasetRegistry.DatasetRecord memory record) {
        order = _draw(_terms());
        record = _record(order);
    }

    function test_RejectsOtherCallersThanTheBroker() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        bytes4 cause = IDatasetRegistry.DatasetRegistry_Unauthorized.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, _node(0)));
        vm.prank(_node(0));
        datasets.publish(_terms(), _participants(), record);
    }

    function test_RejectsPublicationAfterTheDeadline() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        uint256 deadline = _terms().deliverBy;
        vm.warp(deadline + 1);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_TooLate.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, order, deadline));
    }

    function test_AcceptsTheLastSecond() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        vm.warp(_terms().deliverBy);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
        assertState(order, IOrderEscrow.State.Published);
    }

    function test_RejectsOpenOrder() public {
        bytes32 order = _place(_terms());
        bytes4 cause = IDatasetRegistry.DatasetRegistry_NotMatched.selector;
        _expectPublishRevert(_terms(), _record(order), abi.encodeWithSelector(cause, order));
    }

    function test_RejectsSecondPublication() public {
        (bytes32 order, ) = _publish(_terms());
        bytes4 cause = IDatasetRegistry.DatasetRegistry_NotMatched.selector;
        _expectPublishRevert(_terms(), _record(order), abi.encodeWithSelector(cause, order));
    }

    function test_RejectsOtherParticipants() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        Participant[] memory participants = _participants();
        (participants[0].rows, participants[1].rows) = (499, 301);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_WrongParticipants.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order));
        vm.prank(broker);
        datasets.publish(_terms(), participants, record);
    }

    function test_RejectsMissingSeed() public {
        bytes32 order = _commit(_terms());
        bytes4 cause = IDatasetRegistry.DatasetRegistry_SeedNotDrawn.selector;
        _expectPublishRevert(_terms(), _record(order), abi.encodeWithSelector(cause, order));
    }

    function test_RejectsMissingEvaluation() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.evaluations = new IDatasetRegistry.EvaluationRecord[](2);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_LengthMismatch.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 3, 3, 2, 3));
    }

    function test_RejectsMissingShard() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.shards = new IDatasetRegistry.ShardRecord[](2);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_LengthMismatch.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 3, 2, 3, 3));
    }

    function test_RejectsMissingShare() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.sharesBps = new uint16[](4);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_LengthMismatch.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 3, 3, 3, 4));
    }

    function testFuzz_RejectsSharesThatDoNotSumToTheWhole(uint16 a, uint16 b, uint16 c) public {
        vm.assume(uint256(a) + b + c != 10_000);
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        (record.sharesBps[0], record.sharesBps[1], record.sharesBps[2]) = (a, b, c);
        _signRecord(order, record);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_SharesMismatch.selector;
        bytes memory reason = abi.encodeWithSelector(cause, uint256(a) + b + c, 10_000);
        _expectPublishRevert(_terms(), record, reason);
    }

    function test_RejectsModelSwappedAfterTheSeed() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.shards[1].modelDigest = sha256("a better model");
        _signRecord(order, record);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_WrongModels.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, order));
    }

    function test_RejectsForeignReceiptAndNamesTheShard() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.shards[2].receipt = _signReceipt(STRANGER_KEY, order, 2, record.shards[2]);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidReceipt.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 2, _node(2)));
    }

    function test_RejectsSwappedShards() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        (record.shards[0].shardRoot, record.shards[1].shardRoot) = (
            record.shards[1].shardRoot,
            record.shards[0].shardRoot
        );
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidReceipt.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 0, _node(0)));
    }

    function testFuzz_RejectsShardOtherThanSigned(uint256 field, bytes32 word) public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        IDatasetRegistry.ShardRecord memory shard = record.shards[1];
        field = bound(field, 0, 3);
        if (field == 0) shard.shardRoot = word;
        if (field == 1) shard.contentDigest = word;
        if (field == 2) shard.epsilonMicro = uint64(bound(uint256(word), 1, 2_000_000));
        if (field == 3) shard.deltaE12 = uint64(bound(uint256(word), 0, 9_000_000));
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidReceipt.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 1, _node(1)));
    }

    function test_RejectsEpsilonAboveTheTerms() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.shards[1].epsilonMicro = 3_000_001;
        _signRecord(order, record);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_PrivacyOutsideTerms.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 1, 3_000_001, 9_000_001));
    }

    function test_RejectsDeltaAboveTheTerms() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.shards[0].deltaE12 = 10_000_001;
        _signRecord(order, record);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_PrivacyOutsideTerms.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 0, 2_000_000, 10_000_001));
    }

    function test_RejectsShardWithoutPrivacyWhereTheTermsAskForIt() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        (record.shards[2].epsilonMicro, record.shards[2].deltaE12) = (0, 0);
        _signRecord(order, record);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_PrivacyOutsideTerms.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 2, 0, 0));
    }

    function test_RejectsForeignEvaluation() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.evaluations[0].signature = _signEvaluation(
            STRANGER_KEY,
            order,
            _root(record),
            record.evaluations[0].scoreMicro,
            record.sharesBps
        );
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidEvaluation.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 0, _node(0)));
    }

    function test_RejectsScoreOtherThanSigned() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.evaluations[1].scoreMicro += 1;
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidEvaluation.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 1, _node(1)));
    }

    function test_RejectsSharesOtherThanEvaluated() public {
        (, IDatasetRegistry.DatasetRecord memory record) = _ready();
        record.sharesBps[0] -= 1;
        record.sharesBps[2] += 1;
        bytes4 cause = IDatasetRegistry.DatasetRegistry_InvalidEvaluation.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 0, _node(0)));
    }

    function test_RejectsMedianBelowTheTerms() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        uint32[] memory scores = new uint32[](3);
        (scores[0], scores[1], scores[2]) = (990_000, 599_999, 100_000);
        _signScores(order, record, scores);
        bytes4 cause = IDatasetRegistry.DatasetRegistry_ScoreTooLow.selector;
        _expectPublishRevert(_terms(), record, abi.encodeWithSelector(cause, 599_999, 600_000));
    }

    function test_AcceptsMedianAtTheTermsWhateverOneNodeSays() public {
        (bytes32 order, IDatasetRegistry.DatasetRecord memory record) = _ready();
        uint32[] memory scores = new uint32[](3);
        (scores[0], scores[1], scores[2]) = (600_000, 0, 1_000_000);
        _signScores(order, record, scores);
        vm.prank(broker);
        datasets.publish(_terms(), _participants(), record);
    }

    function test_UnknownDataSetIsNone() public view {
        IDatasetRegistry.Status status = datasets.datasetOf(1).status;
        assertEq(uint256(status), uint256(IDatasetRegistry.Status.None), "status");
    }

    function test_TokenOfNothingHasNoOwner() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 1));
        datasets.ownerOf(1);
    }

    function test_MintsToTheBuyerAndStartsTheChallengeWindow() public {
        vm.warp(START + 60);
        (bytes32 order, uint256 id) = _publish(_terms());
        assertEq(id, 1, "id");
        assertEq(datasets.count(), 1, "count");
        assertEq(datasets.ownerOf(id), buyer, "owner");
        IOrderEscrow.Order memory found = escrow.orderOf(order);
        assertEq(uint256(found.state), uint256(IOrderEscrow.State.Published), "state");
        assertEq(found.publishedAt, START + 60, "publishedAt");
        assertEq(found.sharesDigest, keccak256(abi.encode(_shares())), "shares");
    }

    function test_MintsToContractBuyerWithoutHook() public {
        Wallet wallet = new Wallet(buyer);
        token.mint(address(wallet), PRICE);
        wallet.approve(token, address(escrow), PRICE);
        OrderTerms memory terms = _terms();
        terms.buyer = address(wallet);
        bytes32 order = escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit());
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, "");
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(broker);
        assertEq(datasets.ownerOf(datasets.publish(terms, _participants(), record)), address(wallet), "owner");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../../contracts/interfaces/IChallenges.sol";
import {IContributorRegistry} from "../../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../../contracts/interfaces/IDemands.sol";
import {OrderWalk} from "./OrderWalk.sol";

/// @notice The walk with disputes: rows challenged rightly and wrongly, demands opened, answered and left to expire,
/// contributors that drop out or try to take their stake along.
contract DisputeWalk is OrderWalk {
    /// @notice What must never happen.
    uint256 public trueRowsConvicted;
    uint256 public falseRowsThatStood;
    uint256 public exposedStakeThatLeft;

    /// @notice Whether the walk got there.
    uint256 public convicted;
    uint256 public acquitted;
    uint256 public answered;
    uint256 public silenced;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
    }

    /// @notice A challenge inside the window: of the false row, or of any other.
    function challenge(uint256 choice) external {
        (bool found, uint256 i) = _pick(choice, Stage.Published);
        if (!found || vm.getBlockTimestamp() > escrow.windowOf(_orders[i])) return;
        if (_books[i].fate != Fate.Standing) return;
        _setRows(i);
        uint32 shard = uint32(i % 3);
        uint256 row = (choice >> 128) % 2 == 0 ? 150 : (choice >> 129) % _rows(shard);
        bool isTrue = !_books[i].isFalse || row != 150;
        IChallenges.Claim memory claim = _claim(_books[i].dataset, shard, row);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.prank(stranger);
        try challenges.challenge(_orders[i], _participants(), claim, evidence, SALT, _noParents()) {
            if (isTrue) ++trueRowsConvicted;
            _convict(i, stranger);
            ++convicted;
        } catch {
            if (isTrue) ++acquitted;
            else ++falseRowsThatStood;
        }
    }

    /// @notice The broker asks for the next step, or the buyer for the model or a chunk.
    function demand(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        if (_books[i].fate != Fate.Standing) return;
        if (_books[i].demand != IDemands.Kind.None && !_isMoot(i)) return;
        bool other = (choice >> 128) % 2 == 1;
        Stage stage = _books[i].stage;
        if (stage == Stage.Matched) _demandStep(i, IDemands.Kind.Commitment);
        if (stage == Stage.Committed && _fix(i)) _demandStep(i, IDemands.Kind.Salt);
        if (stage == Stage.Drawn) _demandStep(i, other ? IDemands.Kind.Evaluation : IDemands.Kind.Receipt);
        if (stage == Stage.Published) _demandData(i, choice >> 128);
    }

    function answer(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        IDemands.Kind kind = _books[i].demand;
        if (kind == IDemands.Kind.None || _isMoot(i)) return;
        if (_books[i].warned && vm.getBlockTimestamp() > _books[i].answerBy) return;
        _setRows(i);
        uint32 shard = uint32(i % 3);
        if (kind == IDemands.Kind.Commitment) _answerCommitment(i, shard);
        if (kind == IDemands.Kind.Salt) demands.answerSalt(_books[i].id, shard, _salts()[shard]);
        if (kind == IDemands.Kind.Receipt) _answerReceipt(i);
        if (kind == IDemands.Kind.Evaluation) _answerEvaluation(i, shard);
        if (kind == IDemands.Kind.Model) demands.answerModel(_books[i].id, shard, _modelBytes(shard));
        if (kind == IDemands.Kind.Chunk) _answerChunk(i);
        spent += _depositOf(i);
        if (kind != IDemands.Kind.Chunk) _books[i].shown |= 1 << uint256(kind);
        _books[i].demand = IDemands.Kind.None;
        ++answered;
    }

    function expire(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        IDemands.Kind kind = _books[i].demand;
        bool isMoot = _isMoot(i);
        if (kind == IDemands.Kind.None || (!isMoot && vm.getBlockTimestamp() <= _books[i].answerBy)) return;
        demands.expire(_orders[i], _participants(), uint32(i % 3));
        if (!isMoot && !_books[i].warned) {
            (_books[i].warned, _books[i].answerBy) = (true, vm.getBlockTimestamp() + ANSWER);
            return;
        }
        _give(buyer, _depositOf(i));
        _books[i].demand = IDemands.Kind.None;
        if (isMoot) return;
        if (kind == IDemands.Kind.Model || kind == IDemands.Kind.Chunk) _convict(i, address(0));
        else if (kind == IDemands.Kind.Evaluation) _fine(i);
        else _drop(i);
        ++silenced;
    }

    /// @notice A contributor tries to withdraw everything it has.
    function runAway(uint256 choice) external {
        address node = _node(choice % 3);
        IContributorRegistry.Stake memory before = registry.stakeOf(node);
        vm.prank(node);
        try registry.requestWithdrawal(uint256(before.free) + 1) {
            ++exposedStakeThatLeft;
        } catch {}
        if (before.unbonding != 0 && vm.getBlockTimestamp() >= before.unbondingAt) {
            vm.prank(node);
            registry.withdraw();
        } else if (before.free > STAKE / 2) {
            vm.prank(node);
            registry.requestWithdrawal(1 ether);
        }
        if (registry.stakeOf(node).reserved != before.reserved) ++exposedStakeThatLeft;
    }

    /// @notice Data sets that stand revoked though their order was not ended by a conviction or a silence.
    function wronglyRevoked() external view returns (uint256 wrong) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].dataset == 0 || _books[i].stage == Stage.Over) continue;
            IDatasetRegistry.Status status = datasets.datasetOf(_books[i].dataset).status;
            bool isConvicted = _books[i].fate == Fate.Convicted;
            if (status != (isConvicted ? IDatasetRegistry.Status.Reduced : IDatasetRegistry.Status.Valid)) ++wrong;
        }
    }

    /// @dev Nothing is left to demand.
    function _isMoot(uint256 i) private view returns (bool) {
        if (_books[i].fate != Fate.Standing) return true;
        IDemands.Kind kind = _books[i].demand;
        Stage stage = _books[i].stage;
        if (kind == IDemands.Kind.Commitment) return stage != Stage.Matched;
        if (kind == IDemands.Kind.Salt) return stage != Stage.Committed;
        bool isAboutData = kind == IDemands.Kind.Model || kind == IDemands.Kind.Chunk;
        return stage != (isAboutData ? Stage.Published : Stage.Drawn);
    }

    /// @dev Shard `i % 3` is false, or withheld (docs/spec/refutation.md, "Money").
    function _convict(uint256 i, address rewarded) private {
        uint256 amount = _stakeIn(i, i % 3);
        _lose(i, amount);
        if (rewarded != address(0)) _give(rewarded, amount / 2);
        _books[i].fate = Fate.Convicted;
        if (_orders[i].indivisible) _end(i);
        else _books[i].held = amount / 4;
    }

    /// @dev It did not bring what was demanded: the others go on.
    function _drop(uint256 i) private {
        uint256 amount = _stakeIn(i, i % 3);
        _lose(i, _books[i].stage == Stage.Matched ? amount / 4 : amount);
        _books[i].fate = Fate.Dropped;
        if (_orders[i].indivisible) _end(i);
    }

    function _fine(uint256 i) private {
        _lose(i, _stakeIn(i, i % 3) / 4);
        _books[i].fined = true;
        _books[i].shown |= 1 << uint256(IDemands.Kind.Evaluation);
    }

    function _lose(uint256 i, uint256 amount) private {
        faults[_node(i % 3)] += amount;
        _take(_node(i % 3), amount);
    }

    function _end(uint256 i) private {
        _books[i].stage = Stage.Over;
        _give(buyer, _orders[i].price);
        _give(broker, _books[i].bond);
    }

    function _pick(uint256 choice, Stage stage) private view returns (bool found, uint256 i) {
        for (uint256 k = 0; k < _orders.length && !found; ++k) {
            i = ((choice % _orders.length) + k) % _orders.length;
            found = _books[i].stage == stage;
        }
    }

    function _demandStep(uint256 i, IDemands.Kind kind) private {
        uint256 now_ = vm.getBlockTimestamp();
        bytes32 id = _books[i].id;
        if (now_ > escrow.deliverByOf(id) || now_ > _orders[i].deliverBy + 10 * uint256(ANSWER)) return;
        if ((_books[i].shown >> uint256(kind)) & 1 == 1) return;
        bytes32[] memory digests = new bytes32[](0);
        if (kind == IDemands.Kind.Salt) digests = _saltDigests(id);
        if (kind == IDemands.Kind.Receipt) digests = _models();
        _demandStep(_orders[i], uint32(i % 3), kind, digests);
        _opened(i, kind);
    }

    /// @dev Whether the block's hash is on chain now.
    function _fix(uint256 i) private returns (bool) {
        if (_books[i].isFixed) return true;
        bytes32 id = _books[i].id;
        uint64 targetBlock = commitment.commitmentOf(id).targetBlock;
        uint256 number = vm.getBlockNumber();
        if (number <= targetBlock || number > targetBlock + 256) return false;
        if (vm.getBlockTimestamp() > escrow.deliverByOf(id)) return false;
        commitment.fixHash(id);
        _books[i].isFixed = true;
        return true;
    }

    function _demandData(uint256 i, uint256 choice) private {
        uint64 publishedAt = escrow.orderOf(_books[i].id).publishedAt;
        uint256 now_ = vm.getBlockTimestamp();
        bool isTooLate = now_ > uint256(publishedAt) + 2 * _orders[i].challengeSeconds + 2 * uint256(ANSWER);
        if (isTooLate || now_ > escrow.windowOf(_orders[i])) return;
        uint32 shard = uint32(i % 3);
        _setRows(i);
        if (choice % 2 == 0 && (_books[i].shown >> uint256(IDemands.Kind.Model)) & 1 == 0) {
            vm.prank(buyer);
            demands.demandModel(_orders[i], _participants(), _books[i].dataset, shard, _models());
            _opened(i, IDemands.Kind.Model);
        } else {
            bytes32 root = _shardRoot(shard);
            (bytes32[] memory proof, ) = _path(_shardLeaves(), shard);
            vm.prank(buyer);
            demands.demandChunk(_orders[i], _participants(), _books[i].dataset, shard, root, proof, 150);
            _opened(i, IDemands.Kind.Chunk);
        }
    }

    function _opened(uint256 i, IDemands.Kind kind) private {
        (_books[i].demand, _books[i].warned) = (kind, false);
        _books[i].answerBy = vm.getBlockTimestamp() + ANSWER;
        _take(buyer, _depositOf(i));
    }

    function _answerCommitment(uint256 i, uint32 shard) private {
        bytes32 id = _books[i].id;
        bytes memory signature = _modelSignatures(id)[shard];
        demands.answerCommitment(id, shard, _models()[shard], _saltDigests(id)[shard], signature);
    }

    /// @dev The one that it would have signed without being asked.
    function _answerEvaluation(uint256 i, uint32 shard) private {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_books[i].id);
        IDatasetRegistry.EvaluationRecord memory found = record.evaluations[shard];
        IDemands.Evaluation memory evaluation = IDemands.Evaluation(
            _root(record),
            found.scoreMicro,
            keccak256(abi.encode(record.sharesBps)),
            record.scoreDigest
        );
        demands.answerEvaluation(_books[i].id, shard, evaluation, found.signature);
    }

    function _answerReceipt(uint256 i) private {
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(_books[i].id).shards[i % 3];
        IDemands.Receipt memory receipt = IDemands.Receipt(
            shard.shardRoot,
            shard.epsilonMicro,
            shard.deltaE12,
            shard.contentDigest
        );
        vm.prank(_node(i % 3));
        demands.answerReceipt(_books[i].id, uint32(i % 3), receipt, shard.receipt);
    }

    function _answerChunk(uint256 i) private {
        uint32 shard = uint32(i % 3);
        bytes memory chunk = _chunk(shard, 1);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(shard), 1);
        vm.prank(_node(shard));
        demands.answerChunk(_books[i].id, shard, ROW_WIDTH, 1, chunk, path, sides);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../../contracts/interfaces/IChallenges.sol";
import {IContributorRegistry} from "../../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../../contracts/interfaces/IDemands.sol";
import {OrderWalk} from "./OrderWalk.sol";

/// @notice The walk with disputes: rows and models challenged rightly and wrongly, of every shard of an order; demands of
/// several shards and of the manifest at once, answered, answered late and left to expire; contributors that drop out or
/// try to take their stake along.
contract DisputeWalk is OrderWalk {
    uint32 private constant _MANIFEST = type(uint32).max;

    /// @notice What must never happen.
    uint256 public trueShardsConvicted;
    uint256 public falseShardsThatStood;
    uint256 public exposedStakeThatLeft;
    uint256 public expiredEarly;
    uint256 public answeredTooLate;

    /// @notice Whether the walk got there.
    uint256 public convicted;
    uint256 public acquitted;
    uint256 public answered;
    uint256 public silenced;
    uint256 public mostOutInOneOrder;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(demands), type(uint256).max);
        vm.prank(broker);
        token.approve(address(demands), type(uint256).max);
    }

    /// @notice A challenge inside the window, of a shard's row or of its model, with the gas that a transaction may have.
    function challenge(uint256 choice, uint32 shard, bool isAboutModel) external {
        (bool found, uint256 i) = _pick(choice, Stage.Published);
        if (!found || vm.getBlockTimestamp() > escrow.windowOf(_orders[i])) return;
        shard %= 3;
        if (_books[i].fates[shard] != Fate.Standing) return;
        _focus(i);
        Lie lie = _books[i].lies[shard];
        bool isTrue = isAboutModel ? lie != Lie.Model : lie == Lie.None;
        if (isAboutModel ? _challengeModel(i, shard) : _challengeRow(i, shard)) {
            if (isTrue) ++trueShardsConvicted;
            _convict(i, shard, stranger);
            ++convicted;
        } else {
            if (isTrue) ++acquitted;
            else ++falseShardsThatStood;
        }
    }

    function _challengeRow(uint256 i, uint32 shard) private returns (bool) {
        IChallenges.Claim memory claim = _claim(_books[i].dataset, shard, TRIED);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        evidence.modelDigests = _committed(i, evidence.modelDigests);
        (evidence.shardProof, ) = _path(_leavesOf(i), shard);
        vm.prank(stranger);
        try challenges.challenge{gas: CAP}(_orders[i], _participants(), claim, evidence, SALT, _noParents()) {
            return true;
        } catch {
            return false;
        }
    }

    function _challengeModel(uint256 i, uint32 shard) private returns (bool) {
        uint256 id = _books[i].dataset;
        _commitTo(IChallenges.Claim(id, shard, type(uint64).max, 0), stranger);
        bytes32[] memory models = _committed(i, _models());
        bytes memory model = _modelBytes(shard);
        vm.prank(stranger);
        try
            challenges.challengeModel{gas: CAP}(
                _orders[i],
                _participants(),
                id,
                shard,
                models,
                model,
                new address[](0),
                SALT,
                _noParents()
            )
        {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Leaves of the data set's tree: a dropped shard's root is zero.
    function _leavesOf(uint256 i) private view returns (bytes32[] memory leaves) {
        leaves = _shardLeaves();
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == Fate.Dropped)
                leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), bytes32(0)));
        }
    }

    /// @notice The broker asks for the next step, or the buyer for the model, a chunk or the manifest. What is asked of
    /// other shards meanwhile stays open.
    /// @param k the shard, or 3 for the manifest.
    /// @param other an evaluation instead of a receipt, a chunk instead of the model.
    function demand(uint256 choice, uint256 k, bool other) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        k %= ASKS;
        if (_asks[i][k].kind != IDemands.Kind.None && !_isMoot(i, k)) return;
        _focus(i);
        Stage stage = _books[i].stage;
        if (k == 3) {
            if (stage == Stage.Published) _demandManifest(i);
            return;
        }
        if (_books[i].fates[k] != Fate.Standing) return;
        if (stage == Stage.Matched) _demandStep(i, k, IDemands.Kind.Commitment);
        if (stage == Stage.Committed && _fix(i)) _demandStep(i, k, IDemands.Kind.Salt);
        if (stage == Stage.Drawn) _demandStep(i, k, other ? IDemands.Kind.Evaluation : IDemands.Kind.Receipt);
        if (stage == Stage.Published) _demandData(i, uint32(k), !other);
    }

    /// @param k the shard, or 3 for the manifest.
    function answer(uint256 choice, uint256 k) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        k %= ASKS;
        Ask storage ask = _asks[i][k];
        IDemands.Kind kind = ask.kind;
        if (kind == IDemands.Kind.None || _isMoot(i, k)) return;
        _focus(i);
        if (ask.warned && vm.getBlockTimestamp() > ask.answerBy) {
            _answerTooLate(i, k);
            return;
        }
        uint32 shard = uint32(k);
        if (kind == IDemands.Kind.Commitment) _answerCommitment(i, shard);
        if (kind == IDemands.Kind.Salt) demands.answerSalt(_books[i].id, shard, _salts()[shard]);
        if (kind == IDemands.Kind.Receipt) _answerReceipt(i, shard);
        if (kind == IDemands.Kind.Evaluation) _answerEvaluation(i, shard);
        if (kind == IDemands.Kind.Model) demands.answerModel(_books[i].id, shard, _modelBytes(shard));
        if (kind == IDemands.Kind.Chunk) _answerChunk(i, shard);
        if (kind == IDemands.Kind.Manifest) demands.answerManifest(_books[i].id, "manifest");
        uint256 deposit = _depositOf(i, k);
        spent += deposit;
        if (_unruly.isFrozen(BURN)) _kept[BURN] += deposit;
        if (kind != IDemands.Kind.Chunk) ask.shown |= 1 << uint256(kind);
        ask.kind = IDemands.Kind.None;
        ++answered;
    }

    /// @param k the shard, or 3 for the manifest.
    function expire(uint256 choice, uint256 k) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        k %= ASKS;
        Ask storage ask = _asks[i][k];
        IDemands.Kind kind = ask.kind;
        bool isMoot = _isMoot(i, k);
        if (kind == IDemands.Kind.None) return;
        if (!isMoot && vm.getBlockTimestamp() <= ask.answerBy) {
            _expireEarly(i, k);
            return;
        }
        demands.expire(_orders[i], _participants(), k == 3 ? _MANIFEST : uint32(k));
        if (!isMoot && !ask.warned) {
            (ask.warned, ask.answerBy) = (true, vm.getBlockTimestamp() + ANSWER);
            return;
        }
        _giveBack(_depositOf(i, k));
        ask.kind = IDemands.Kind.None;
        if (isMoot) return;
        if (kind == IDemands.Kind.Model || kind == IDemands.Kind.Chunk) _convict(i, k, address(0));
        else if (kind == IDemands.Kind.Manifest) _convictBroker(i);
        else if (kind == IDemands.Kind.Evaluation) _fine(i, k);
        else _drop(i, k);
        ++silenced;
    }

    /// @dev Somebody tries to end a demand that may be answered still.
    function _expireEarly(uint256 i, uint256 k) private {
        try demands.expire(_orders[i], _participants(), k == 3 ? _MANIFEST : uint32(k)) {
            ++expiredEarly;
        } catch {}
    }

    /// @dev A manifest or a model comes after both times.
    function _answerTooLate(uint256 i, uint256 k) private {
        bytes32 id = _books[i].id;
        if (_asks[i][k].kind == IDemands.Kind.Manifest) {
            try demands.answerManifest(id, "manifest") {
                ++answeredTooLate;
            } catch {}
        } else if (_asks[i][k].kind == IDemands.Kind.Model) {
            try demands.answerModel(id, uint32(k), _modelBytes(uint32(k))) {
                ++answeredTooLate;
            } catch {}
        }
    }

    function _giveBack(uint256 deposit) private {
        _give(buyer, deposit);
        if (_unruly.isFrozen(buyer)) _kept[buyer] += deposit;
    }

    /// @notice A contributor tries to withdraw everything it has.
    function runAway(uint256 choice) external {
        address node = _node(choice % 3);
        if (_unruly.isFrozen(node)) return;
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

    /// @notice Data sets that stand reduced or revoked without a conviction or a silence, or stand after one.
    function wronglyRevoked() external view returns (uint256 wrong) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].dataset == 0) continue;
            IDatasetRegistry.Status expected = IDatasetRegistry.Status.Valid;
            if (_rowsThatAre(i, Fate.Convicted) != 0) expected = IDatasetRegistry.Status.Reduced;
            if (_books[i].revoked) expected = IDatasetRegistry.Status.Revoked;
            if (datasets.datasetOf(_books[i].dataset).status != expected) ++wrong;
        }
    }

    /// @dev Nothing is left to demand.
    function _isMoot(uint256 i, uint256 k) private view returns (bool) {
        IDemands.Kind kind = _asks[i][k].kind;
        Stage stage = _books[i].stage;
        if (kind == IDemands.Kind.Manifest) return stage != Stage.Published;
        if (k == 3 || _books[i].fates[k] != Fate.Standing) return true;
        if (kind == IDemands.Kind.Commitment) return stage != Stage.Matched;
        if (kind == IDemands.Kind.Salt) return stage != Stage.Committed;
        if (kind == IDemands.Kind.Model || kind == IDemands.Kind.Chunk) return stage != Stage.Published;
        return stage != Stage.Drawn;
    }

    /// @dev Shard `k` is false, or withheld (docs/spec/refutation.md, "Money").
    function _convict(uint256 i, uint256 k, address rewarded) private {
        uint256 amount = _stakeIn(i, k);
        _lose(k, amount);
        if (rewarded != address(0)) _give(rewarded, amount / 2);
        _books[i].fates[k] = Fate.Convicted;
        uint256 standing = _standing(i);
        if (3 - standing > mostOutInOneOrder) mostOutInOneOrder = 3 - standing;
        if (standing != 0 && !_orders[i].indivisible) {
            _books[i].held += amount / 4;
            return;
        }
        _books[i].revoked = true;
        _end(i);
    }

    /// @dev It did not bring what was demanded: the others go on.
    function _drop(uint256 i, uint256 k) private {
        uint256 amount = _stakeIn(i, k);
        uint256 tenth = _orders[i].bond / 10;
        _lose(
            k,
            _books[i].stage != Stage.Matched
                ? amount
                : tenth > amount / 4
                    ? tenth
                    : amount / 4
        );
        _books[i].fates[k] = Fate.Dropped;
        if (_orders[i].indivisible || _standing(i) < _orders[i].minContributors) _end(i);
    }

    function _fine(uint256 i, uint256 k) private {
        _lose(k, _stakeIn(i, k) / 4);
        _books[i].fined[k] = true;
        _asks[i][k].shown |= 1 << uint256(IDemands.Kind.Evaluation);
    }

    function _convictBroker(uint256 i) private {
        forfeited += _books[i].bond;
        (_books[i].bond, _books[i].feeForfeit) = (0, true);
        _asks[i][3].shown |= 1 << uint256(IDemands.Kind.Manifest);
    }

    function _lose(uint256 k, uint256 amount) private {
        faults[_node(k)] += amount;
        _take(_node(k), amount);
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

    function _hasShown(uint256 i, uint256 k, IDemands.Kind kind) private view returns (bool) {
        return (_asks[i][k].shown >> uint256(kind)) & 1 == 1;
    }

    function _demandStep(uint256 i, uint256 k, IDemands.Kind kind) private {
        uint256 now_ = vm.getBlockTimestamp();
        bytes32 id = _books[i].id;
        if (now_ > escrow.deliverByOf(id) || now_ > _orders[i].deliverBy + 10 * uint256(ANSWER)) return;
        if (_hasShown(i, k, kind)) return;
        bytes32[] memory digests = new bytes32[](0);
        if (kind == IDemands.Kind.Salt) digests = _committed(i, _saltDigests(id));
        if (kind == IDemands.Kind.Receipt) digests = _committed(i, _models());
        _demandStep(_orders[i], uint32(k), kind, digests);
        _opened(i, k, kind);
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

    /// @dev Whether data may be demanded still.
    function _isDemandable(uint256 i) private view returns (bool) {
        uint64 publishedAt = escrow.orderOf(_books[i].id).publishedAt;
        uint256 now_ = vm.getBlockTimestamp();
        bool isTooLate = now_ > uint256(publishedAt) + 2 * _orders[i].challengeSeconds + 2 * uint256(ANSWER);
        return !isTooLate && now_ <= escrow.windowOf(_orders[i]);
    }

    function _demandData(uint256 i, uint32 shard, bool isModel) private {
        if (!_isDemandable(i)) return;
        if (isModel && !_hasShown(i, shard, IDemands.Kind.Model)) {
            bytes32[] memory models = _committed(i, _models());
            vm.prank(buyer);
            demands.demandModel(_orders[i], _participants(), _books[i].dataset, shard, models);
            _opened(i, shard, IDemands.Kind.Model);
        } else {
            bytes32 root = _shardRoot(shard);
            (bytes32[] memory proof, ) = _path(_leavesOf(i), shard);
            vm.prank(buyer);
            demands.demandChunk(_orders[i], _participants(), _books[i].dataset, shard, root, proof, uint64(TRIED));
            _opened(i, shard, IDemands.Kind.Chunk);
        }
    }

    function _demandManifest(uint256 i) private {
        if (!_isDemandable(i) || _hasShown(i, 3, IDemands.Kind.Manifest)) return;
        vm.prank(buyer);
        demands.demandManifest(_orders[i], _participants(), _books[i].dataset);
        _opened(i, 3, IDemands.Kind.Manifest);
    }

    function _opened(uint256 i, uint256 k, IDemands.Kind kind) private {
        (_asks[i][k].kind, _asks[i][k].warned) = (kind, false);
        _asks[i][k].answerBy = vm.getBlockTimestamp() + ANSWER;
        _take(buyer, _depositOf(i, k));
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

    function _answerReceipt(uint256 i, uint32 k) private {
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(_books[i].id).shards[k];
        IDemands.Receipt memory receipt = IDemands.Receipt(
            shard.shardRoot,
            shard.epsilonMicro,
            shard.deltaE12,
            shard.contentDigest
        );
        vm.prank(_node(k));
        demands.answerReceipt(_books[i].id, k, receipt, shard.receipt);
    }

    function _answerChunk(uint256 i, uint32 shard) private {
        bytes memory chunk = _chunk(shard, TRIED / ROWS_PER_CHUNK);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(shard), TRIED / ROWS_PER_CHUNK);
        vm.prank(_node(shard));
        demands.answerChunk(_books[i].id, shard, ROW_WIDTH, uint64(TRIED / ROWS_PER_CHUNK), chunk, path, sides);
    }
}

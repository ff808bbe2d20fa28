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
            _revoke(i, stranger);
            ++convicted;
        } catch {
            if (isTrue) ++acquitted;
            else ++falseRowsThatStood;
        }
    }

    /// @notice The broker asks for a receipt, or the buyer for the model or a chunk.
    function demand(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        if (_books[i].stage == Stage.Drawn) _demandReceipt(i);
        if (_books[i].stage == Stage.Published) _demandData(i, choice >> 128);
    }

    function answer(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        IDemands.Kind kind = _books[i].demand;
        if (kind == IDemands.Kind.None || vm.getBlockTimestamp() > _books[i].answerBy) return;
        _setRows(i);
        if (kind == IDemands.Kind.Receipt) _answerReceipt(i);
        if (kind == IDemands.Kind.Model) _answerModel(i);
        if (kind == IDemands.Kind.Chunk) _answerChunk(i);
        _books[i].demand = IDemands.Kind.None;
        ++answered;
        uint256 deposit = _orders[i].price / 100;
        _give(kind == IDemands.Kind.Receipt ? broker : _node(i % 3), deposit);
        if (kind != IDemands.Kind.Receipt) spent += deposit;
    }

    function expire(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        IDemands.Kind kind = _books[i].demand;
        if (kind == IDemands.Kind.None || vm.getBlockTimestamp() <= _books[i].answerBy) return;
        Stage stage = _books[i].stage;
        demands.expire(_orders[i], _participants(), uint32(i % 3));
        _books[i].demand = IDemands.Kind.None;
        bool isReceipt = kind == IDemands.Kind.Receipt;
        _give(isReceipt ? broker : buyer, _orders[i].price / 100);
        if (stage != (isReceipt ? Stage.Drawn : Stage.Published)) return;
        if (isReceipt) _dropOut(i);
        else _revoke(i, buyer);
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
        } else if (before.free > 2 * STAKE) {
            vm.prank(node);
            registry.requestWithdrawal(1 ether);
        }
        if (registry.stakeOf(node).reserved != before.reserved) ++exposedStakeThatLeft;
    }

    /// @notice Data sets that stand revoked though their order was not ended by a conviction or a silence.
    function wronglyRevoked() external view returns (uint256 wrong) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].dataset == 0 || _books[i].stage == Stage.Over) continue;
            if (datasets.datasetOf(_books[i].dataset).status != IDatasetRegistry.Status.Valid) ++wrong;
        }
    }

    /// @dev Shard `i % 3` is false, or withheld (docs/spec/refutation.md, "Money").
    function _revoke(uint256 i, address rewarded) private {
        _books[i].stage = Stage.Over;
        ++faults[_node(i % 3)];
        uint256 bond = _books[i].bond;
        forfeited += bond;
        _take(_node(i % 3), STAKE);
        _give(buyer, _orders[i].price + (bond < STAKE / 4 ? bond : STAKE / 4));
        _give(rewarded, STAKE / 2);
    }

    /// @dev Its receipt was not shown: the broker is whole.
    function _dropOut(uint256 i) private {
        _books[i].stage = Stage.Over;
        ++faults[_node(i % 3)];
        _take(_node(i % 3), STAKE);
        _give(buyer, _orders[i].price + STAKE / 2);
        _give(broker, _books[i].bond);
    }

    function _pick(uint256 choice, Stage stage) private view returns (bool found, uint256 i) {
        for (uint256 k = 0; k < _orders.length && !found; ++k) {
            i = ((choice % _orders.length) + k) % _orders.length;
            found = _books[i].stage == stage;
        }
    }

    function _demandReceipt(uint256 i) private {
        if (_books[i].demand != IDemands.Kind.None || _books[i].receiptShown) return;
        if (vm.getBlockTimestamp() + ANSWER > _orders[i].deliverBy) return;
        vm.prank(broker);
        demands.demandReceipt(_orders[i], _participants(), uint32(i % 3), _models());
        _opened(i, IDemands.Kind.Receipt);
    }

    function _demandData(uint256 i, uint256 choice) private {
        if (_books[i].demand > IDemands.Kind.Receipt) return;
        uint64 publishedAt = escrow.orderOf(_books[i].id).publishedAt;
        uint256 now_ = vm.getBlockTimestamp();
        bool isTooLate = now_ > uint256(publishedAt) + 2 * _orders[i].challengeSeconds + ANSWER;
        if (isTooLate || now_ > escrow.windowOf(_orders[i])) return;
        uint32 shard = uint32(i % 3);
        _setRows(i);
        if (choice % 2 == 0 && !_books[i].modelShown) {
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
        uint256 deposit = _orders[i].price / 100;
        _take(kind == IDemands.Kind.Receipt ? broker : buyer, deposit);
        // A demand for data takes the place of one for the receipt, whose deposit goes back.
        if (_books[i].demand == IDemands.Kind.Receipt) _give(broker, deposit);
        _books[i].demand = kind;
        _books[i].answerBy = vm.getBlockTimestamp() + ANSWER;
    }

    function _answerReceipt(uint256 i) private {
        IDatasetRegistry.ShardRecord memory shard = _rowRecord(_books[i].id).shards[i % 3];
        IDemands.Receipt memory receipt = IDemands.Receipt(
            shard.shardRoot,
            shard.epsilonMicro,
            shard.deltaE12,
            shard.contentDigest
        );
        _books[i].receiptShown = true;
        vm.prank(_node(i % 3));
        demands.answerReceipt(_books[i].id, uint32(i % 3), receipt, shard.receipt);
    }

    function _answerModel(uint256 i) private {
        _books[i].modelShown = true;
        vm.prank(_node(i % 3));
        demands.answerModel(_books[i].id, uint32(i % 3), _modelBytes(uint32(i % 3)));
    }

    function _answerChunk(uint256 i) private {
        uint32 shard = uint32(i % 3);
        bytes memory chunk = _chunk(shard, 1);
        (bytes32[] memory path, uint256 sides) = _path(_chunkLeaves(shard), 1);
        vm.prank(_node(shard));
        demands.answerChunk(_books[i].id, shard, ROW_WIDTH, 1, chunk, path, sides);
    }
}

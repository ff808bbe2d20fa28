// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ContributorRegistry} from "../../../contracts/ContributorRegistry.sol";
import {DatasetRegistry} from "../../../contracts/DatasetRegistry.sol";
import {ModelCommitment} from "../../../contracts/ModelCommitment.sol";
import {OrderEscrow} from "../../../contracts/OrderEscrow.sol";
import {Rewards} from "../../../contracts/Rewards.sol";
import {TestToken} from "../../../contracts/TestToken.sol";
import {IChallenges} from "../../../contracts/interfaces/IChallenges.sol";
import {IContributorRegistry} from "../../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../../contracts/interfaces/IDemands.sol";
import {IOrderEscrow} from "../../../contracts/interfaces/IOrderEscrow.sol";
import {DatasetTree} from "../../../contracts/types/DatasetTree.sol";
import {OrderTerms, Participant} from "../../../contracts/types/OrderTerms.sol";
import {Permit} from "../../../contracts/types/Permit.sol";
import {RowVerifierDouble} from "./RowVerifierDouble.sol";
import {TestBase} from "./TestBase.sol";

/// @notice A deployed market with a funded buyer, a broker and three staked contributors, and the steps of an order.
/// @dev Type strings are spelled out here again, so that a typing error in the contracts does not pass unseen.
abstract contract Market is TestBase {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant BUYER_KEY = 0xB0B;
    uint256 internal constant BROKER_KEY = 0xB40;
    uint256 internal constant NODE_KEY = 0xC0DE;
    uint256 internal constant STRANGER_KEY = 0x57A;

    uint256 internal constant PRICE = 1_000 ether;
    /// @dev Of all contributors together, four times the price.
    uint256 internal constant STAKE = 4_000 ether;
    uint256 internal constant BOND = 100 ether;
    uint256 internal constant DEPOSIT = 20_000 ether;
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;
    uint32 internal constant UNBONDING = 1 days;
    uint64 internal constant DELAY = 2;
    uint32 internal constant ANSWER = 30 minutes;
    /// @dev One segment of 1,000 rows that conditions nothing.
    bytes internal constant CONDITIONS = hex"0001000003e80000";

    TestToken internal token;
    ContributorRegistry internal registry;
    OrderEscrow internal escrow;
    ModelCommitment internal commitment;
    DatasetRegistry internal datasets;
    Rewards internal rewards;
    RowVerifierDouble internal verifier;
    IChallenges internal challenges;
    IDemands internal demands;

    address internal buyer = vm.addr(BUYER_KEY);
    address internal broker = vm.addr(BROKER_KEY);
    address internal stranger = vm.addr(STRANGER_KEY);

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1_000);
        _deploy();
        token.mint(buyer, 1_000_000 ether);
        token.mint(broker, 1_000_000 ether);
        vm.prank(broker);
        token.approve(address(escrow), type(uint256).max);
        for (uint256 k = 0; k < 3; ++k) {
            _enrol(_node(k), DEPOSIT);
        }
    }

    /// @dev In the order, and with the nonces, of a real deployment.
    function _deploy() internal {
        uint256 nonce = vm.getNonce(address(this));
        address[12] memory addresses;
        for (uint256 i = 0; i < 12; ++i) {
            addresses[i] = vm.computeCreateAddress(address(this), nonce + i);
        }
        token = TestToken(_createToken());
        registry = ContributorRegistry(_create("ContributorRegistry", abi.encode(token, addresses[2], UNBONDING)));
        IOrderEscrow.Parties memory parties = IOrderEscrow.Parties({
            token: token,
            registry: registry,
            commitment: ModelCommitment(addresses[3]),
            datasets: addresses[4],
            rewards: Rewards(addresses[5]),
            challenges: addresses[7],
            demands: addresses[8],
            uptimeFeed: _createFeed()
        });
        escrow = OrderEscrow(_create("OrderEscrow", abi.encode(parties, _limits())));
        commitment = ModelCommitment(_create("ModelCommitment", abi.encode(escrow, DELAY)));
        datasets = DatasetRegistry(
            _create("DatasetRegistry", abi.encode(escrow, commitment, addresses[7], addresses[8], addresses[10]))
        );
        rewards = Rewards(_create("Rewards", abi.encode(token, escrow, datasets, addresses[9], addresses[10])));
        verifier = RowVerifierDouble(_createVerifier());
        challenges = IChallenges(_create("Challenges", abi.encode(escrow, commitment, datasets, verifier)));
        demands = IDemands(_create("Demands", abi.encode(token, escrow, commitment, datasets)));
        _create("DatasetSales", abi.encode(token, datasets, rewards));
        _create("Royalties", abi.encode(token, datasets, rewards));
    }

    /// @dev As little as a market may ask; OrderLimits.t.sol tries others.
    function _limits() internal pure returns (IOrderEscrow.Limits memory limits) {
        limits.maxScoreMicro = 1_000_000;
    }

    /// @dev Here a row is false when its bytes say so; JudgedRows.t.sol and JudgedModels.t.sol have the verifier proper.
    function _createVerifier() internal virtual returns (address) {
        return address(new RowVerifierDouble());
    }

    /// @dev Outages.t.sol and OutageAttacks.t.sol have one. It must not change the deployer's nonce.
    function _createFeed() internal virtual returns (address) {
        return address(0);
    }

    function _createToken() internal virtual returns (address) {
        return _create("TestToken", abi.encode(uint8(18)));
    }

    function _enrol(address node, uint256 stake) internal {
        token.mint(node, stake);
        vm.prank(node);
        registry.register(keccak256("metadata"));
        vm.prank(node);
        token.approve(address(registry), stake);
        vm.prank(node);
        registry.deposit(stake);
    }

    // -- the steps of an order ----------------------------------------------------------------------------------

    function _terms() internal view returns (OrderTerms memory terms) {
        terms.buyer = buyer;
        terms.broker = broker;
        terms.collection = keccak256("collection");
        terms.request = keccak256("request");
        terms.deliveryKey = keccak256("delivery key");
        terms.rows = 1_000;
        terms.epsilonMicro = 3_000_000;
        terms.deltaE12 = 10_000_000;
        terms.minScoreMicro = 600_000;
        terms.minContributors = 2;
        terms.maxContributors = 3;
        terms.brokerFeeBps = 500;
        terms.matchBy = uint64(START + 1 hours);
        terms.deliverBy = uint64(START + 1 days);
        (terms.challengeSeconds, terms.answerSeconds) = (1 hours, ANSWER);
        terms.price = PRICE;
        terms.stake = STAKE;
        terms.bond = BOND;
        terms.schemaDigest = keccak256("schema");
        (terms.sizeClass, terms.specVersion, terms.ownRealMicro) = (1, 1, 1_000_000);
        terms.salt = bytes32(uint256(1));
    }

    function _participants() internal pure returns (Participant[] memory participants) {
        participants = new Participant[](3);
        participants[0] = Participant(_node(0), 500);
        participants[1] = Participant(_node(1), 300);
        participants[2] = Participant(_node(2), 200);
    }

    /// @dev What each participant reserves: its part of STAKE by rows.
    function _stakeOf(uint256 k) internal pure returns (uint256) {
        return (STAKE * _participants()[k].rows) / 1_000;
    }

    function _nobody() internal pure returns (Participant[] memory) {
        return new Participant[](0);
    }

    function _noParents() internal pure returns (uint256[] memory) {
        return new uint256[](0);
    }

    function _shares() internal pure returns (uint16[] memory shares) {
        shares = new uint16[](3);
        (shares[0], shares[1], shares[2]) = (5_001, 3_333, 1_666);
    }

    function _place(OrderTerms memory terms) internal returns (bytes32 order) {
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        Permit memory permit = _permit(terms.price);
        vm.prank(stranger);
        return escrow.place(terms, signature, permit);
    }

    function _offer(
        bytes32 order,
        Participant[] memory participants
    ) internal view returns (bytes[] memory acceptances, uint64[] memory maxRows) {
        acceptances = new bytes[](participants.length);
        maxRows = new uint64[](participants.length);
        for (uint256 k = 0; k < participants.length; ++k) {
            maxRows[k] = 600;
            acceptances[k] = _signAcceptance(NODE_KEY + k, order, participants[k].contributor, 600);
        }
    }

    function _conditionBytes() internal view virtual returns (bytes memory) {
        return CONDITIONS;
    }

    function _match(OrderTerms memory terms) internal returns (bytes32 order) {
        order = _place(terms);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(order, _participants());
        bytes memory conditions = terms.conditions == 0 ? bytes("") : _conditionBytes();
        vm.prank(broker);
        escrow.matchOrder(terms, _participants(), acceptances, maxRows, conditions);
    }

    /// @dev SHA-256 of "model 0", "model 1" and "model 2". Spelled out, since a call of the precompile would spend an
    /// expected revert.
    function _models() internal view virtual returns (bytes32[] memory models) {
        models = new bytes32[](3);
        models[0] = 0x3c2c0281c4093b065ae1446e6b56762eb5108a2fa5e92873b86116b751a61abe;
        models[1] = 0xcd36b49d7b2a8b5e4e13663cb54c5e1338c17b7d3af1c506fb3842bd08291822;
        models[2] = 0x97e2521720cb4b3821c7ed9df7dbca7a63e04b42ba05ffe3e15dc992f227ae36;
    }

    function _salts() internal pure returns (bytes32[] memory salts) {
        salts = new bytes32[](3);
        for (uint256 k = 0; k < 3; ++k) {
            salts[k] = keccak256(abi.encodePacked("salt ", k));
        }
    }

    function _saltDigests(bytes32 order) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](3);
        for (uint256 k = 0; k < 3; ++k) {
            digests[k] = keccak256(abi.encode(order, k, _salts()[k]));
        }
    }

    function _modelSignatures(bytes32 order) internal view returns (bytes[] memory signatures) {
        signatures = new bytes[](3);
        for (uint256 k = 0; k < 3; ++k) {
            signatures[k] = _signModel(NODE_KEY + k, order, k, _models()[k]);
        }
    }

    function _commit(OrderTerms memory terms) internal returns (bytes32 order) {
        order = _match(terms);
        commitment.commit(order, _participants(), _models(), _saltDigests(order), _modelSignatures(order));
    }

    function _draw(OrderTerms memory terms) internal returns (bytes32 order) {
        order = _commit(terms);
        vm.roll(vm.getBlockNumber() + DELAY + 1);
        commitment.drawSeed(order, _saltDigests(order), _salts());
    }

    function _publish(OrderTerms memory terms) internal returns (bytes32 order, uint256 id) {
        order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _record(order);
        vm.prank(broker);
        id = datasets.publish(terms, _participants(), record);
    }

    /// @dev A complete, valid record for the order's three participants.
    function _record(bytes32 order) internal view returns (IDatasetRegistry.DatasetRecord memory record) {
        record.manifestDigest = sha256("manifest");
        record.scoreDigest = sha256("score");
        record.sharesBps = _shares();
        record.shards = new IDatasetRegistry.ShardRecord[](3);
        for (uint256 k = 0; k < 3; ++k) {
            record.shards[k].modelDigest = _models()[k];
            record.shards[k].shardRoot = sha256(abi.encodePacked("shard", k));
            record.shards[k].epsilonMicro = uint64(2_000_000 + k);
            record.shards[k].deltaE12 = uint64(9_000_000 + k);
            record.shards[k].contentDigest = sha256(abi.encodePacked("content", k));
        }
        _signRecord(order, record);
    }

    /// @dev Leaves shard `k`, which is out, out of a record; its share goes to the next.
    function _leaveOut(bytes32 order, IDatasetRegistry.DatasetRecord memory record, uint256 k) internal view {
        record.sharesBps[(k + 1) % 3] += record.sharesBps[k];
        record.sharesBps[k] = 0;
        record.shards[k] = IDatasetRegistry.ShardRecord(record.shards[k].modelDigest, 0, 0, 0, 0, "");
        _signRecord(order, record);
        record.shards[k].receipt = "";
        record.evaluations[k] = IDatasetRegistry.EvaluationRecord(0, "");
    }

    /// @dev Signs every receipt and evaluation anew, after a test changed the record.
    function _signRecord(bytes32 order, IDatasetRegistry.DatasetRecord memory record) internal view {
        for (uint256 k = 0; k < record.shards.length; ++k) {
            record.shards[k].receipt = _signReceipt(NODE_KEY + k, order, k, record.shards[k]);
        }
        uint32[] memory scores = new uint32[](record.shards.length);
        for (uint256 k = 0; k < scores.length; ++k) {
            scores[k] = uint32(900_000 - 10_000 * k);
        }
        _signScores(order, record, scores);
    }

    function _signScores(
        bytes32 order,
        IDatasetRegistry.DatasetRecord memory record,
        uint32[] memory scores
    ) internal view {
        record.evaluations = new IDatasetRegistry.EvaluationRecord[](scores.length);
        for (uint256 k = 0; k < scores.length; ++k) {
            record.evaluations[k].scoreMicro = scores[k];
            record.evaluations[k].signature = _signEvaluation(
                NODE_KEY + k,
                order,
                _root(record),
                scores[k],
                record.sharesBps
            );
        }
    }

    function _root(IDatasetRegistry.DatasetRecord memory record) internal pure returns (bytes32) {
        bytes32[] memory roots = new bytes32[](record.shards.length);
        for (uint256 k = 0; k < roots.length; ++k) {
            roots[k] = record.shards[k].shardRoot;
        }
        return DatasetTree.root(roots);
    }

    // -- signatures ---------------------------------------------------------------------------------------------

    function _node(uint256 k) internal pure returns (address) {
        return vm.addr(NODE_KEY + k);
    }

    function _signTerms(uint256 key, OrderTerms memory terms) internal view returns (bytes memory) {
        return _signDigest(key, escrow.hashTerms(terms));
    }

    function _signAcceptance(
        uint256 key,
        bytes32 order,
        address contributor,
        uint64 maxRows
    ) internal view returns (bytes memory) {
        bytes32 typehash = keccak256("Acceptance(bytes32 order,address contributor,uint64 maxRows)");
        return _signStruct(key, keccak256(abi.encode(typehash, order, contributor, maxRows)));
    }

    function _signModel(
        uint256 key,
        bytes32 order,
        uint256 shard,
        bytes32 modelDigest
    ) internal view returns (bytes memory) {
        bytes32 typehash = keccak256(
            "ModelCommitment(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 saltDigest)"
        );
        bytes32 saltDigest = _saltDigests(order)[shard];
        return _signStruct(key, keccak256(abi.encode(typehash, order, shard, modelDigest, saltDigest)));
    }

    function _hashReceipt(
        bytes32 order,
        uint256 k,
        IDatasetRegistry.ShardRecord memory shard
    ) internal view returns (bytes32) {
        bytes32 typehash = keccak256(
            "ShardReceipt(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 seed,uint64 rows,bytes32 shardRoot,"
            "uint64 epsilonMicro,uint64 deltaE12,bytes32 contentDigest)"
        );
        bytes32 seed = commitment.commitmentOf(order).seed;
        bytes memory head = abi.encode(typehash, order, k, shard.modelDigest, seed, _participants()[k].rows);
        bytes memory tail = abi.encode(shard.shardRoot, shard.epsilonMicro, shard.deltaE12, shard.contentDigest);
        return keccak256(bytes.concat(head, tail));
    }

    function _signReceipt(
        uint256 key,
        bytes32 order,
        uint256 k,
        IDatasetRegistry.ShardRecord memory shard
    ) internal view returns (bytes memory) {
        return _signStruct(key, _hashReceipt(order, k, shard));
    }

    function _signEvaluation(
        uint256 key,
        bytes32 order,
        bytes32 datasetRoot,
        uint256 scoreMicro,
        uint16[] memory shares
    ) internal view returns (bytes memory) {
        bytes32 typehash = keccak256(
            "Evaluation(bytes32 order,bytes32 datasetRoot,uint32 scoreMicro,bytes32 sharesDigest,bytes32 scoreDigest)"
        );
        bytes32 sharesDigest = keccak256(abi.encode(shares));
        bytes memory message = abi.encode(typehash, order, datasetRoot, scoreMicro, sharesDigest, sha256("score"));
        return _signStruct(key, keccak256(message));
    }

    /// @dev Lets a demand pass its first time, and the second.
    function _silence(OrderTerms memory terms, uint32 shard) internal {
        _warn(terms, shard);
        vm.warp(vm.getBlockTimestamp() + terms.answerSeconds + 1);
        demands.expire(terms, _participants(), shard);
    }

    /// @dev Lets a demand pass its first time.
    function _warn(OrderTerms memory terms, uint32 shard) internal {
        vm.warp(vm.getBlockTimestamp() + terms.answerSeconds + 1);
        demands.expire(terms, _participants(), shard);
    }

    function _demandStep(
        OrderTerms memory terms,
        uint32 shard,
        IDemands.Kind kind,
        bytes32[] memory digests
    ) internal {
        vm.prank(broker);
        demands.demandStep(terms, _participants(), shard, kind, digests);
    }

    function _permit(uint256 amount) internal view returns (Permit memory permit) {
        bytes32 typehash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        permit.deadline = START + 1 hours;
        bytes32 structHash = keccak256(
            abi.encode(typehash, buyer, address(escrow), amount, token.nonces(buyer), permit.deadline)
        );
        (permit.v, permit.r, permit.s) = vm.sign(
            BUYER_KEY,
            MessageHashUtils.toTypedDataHash(token.DOMAIN_SEPARATOR(), structHash)
        );
    }

    function _noPermit() internal pure returns (Permit memory permit) {
        return permit;
    }

    function _signStruct(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        return _signDigest(key, MessageHashUtils.toTypedDataHash(escrow.DOMAIN_SEPARATOR(), structHash));
    }

    function _signDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // -- what the tests look at ---------------------------------------------------------------------------------

    function _state(bytes32 order) internal view returns (IOrderEscrow.State) {
        return escrow.orderOf(order).state;
    }

    function assertState(bytes32 order, IOrderEscrow.State expected) internal view {
        assertEq(uint256(_state(order)), uint256(expected), "state");
    }

    /// @dev Shard `shard` alone is out, and the order goes on.
    function assertOut(bytes32 order, uint256 shard) internal view {
        assertEq(escrow.shardsOf(order).out, 1 << shard, "shards that are out");
    }

    function assertStake(address node, uint256 expectedFree, uint256 expectedReserved) internal view {
        IContributorRegistry.Stake memory found = registry.stakeOf(node);
        assertEq(found.free, expectedFree, "free stake");
        assertEq(found.reserved, expectedReserved, "reserved stake");
    }

    /// @dev Everything there is, wherever an order's money can go: must never change.
    function _allMoney() internal view returns (uint256 sum) {
        sum = token.balanceOf(buyer) + token.balanceOf(broker) + token.balanceOf(stranger) + token.balanceOf(BURN);
        sum += token.balanceOf(address(escrow)) + token.balanceOf(address(registry));
        sum += token.balanceOf(address(rewards)) + token.balanceOf(address(demands));
        for (uint256 k = 0; k < 4; ++k) {
            sum += token.balanceOf(_node(k));
        }
    }

    function assertBalance(address account, uint256 expected) internal view {
        assertEq(IERC20(token).balanceOf(account), expected, "balance");
    }
}

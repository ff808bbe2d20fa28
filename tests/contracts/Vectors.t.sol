// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetTree} from "../../contracts/types/DatasetTree.sol";
import {OrderTerms, OrderTermsHash} from "../../contracts/types/OrderTerms.sol";
import {ShardReceipt, ShardReceipts} from "../../contracts/types/ShardReceipt.sol";
import {SignedMessages} from "../../contracts/types/SignedMessages.sol";
import {TesseraDomain} from "../../contracts/types/TesseraDomain.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice The domain of an escrow at any address.
contract DomainOf is TesseraDomain {
    using OrderTermsHash for OrderTerms;

    constructor(address escrow) TesseraDomain(escrow) {}

    function orderId(OrderTerms calldata terms) external view returns (bytes32) {
        return _digest(terms.hash());
    }

    function digest(bytes32 structHash) external view returns (bytes32) {
        return _digest(structHash);
    }

    function isSignedBy(
        address signer,
        bytes32 structHash,
        bytes calldata signature
    ) external view returns (bool) {
        return _isSignedBy(signer, structHash, signature);
    }
}

/// @notice The vectors that Python tests read too.
contract VectorsTest is TestBase {
    function test_DataSetRootsAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/merkle.json");
        uint256 count = 0;
        for (; _has(json, ".datasetRoots", count); ++count) {
            string memory item = _at(".datasetRoots", count);
            bytes32[] memory roots = vm.parseJsonBytes32Array(json, string.concat(item, ".shardRoots"));
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(item, ".root"));
            assertEq(DatasetTree.root(roots), expected, item);
        }
        assertTrue(count >= 5, "vectors read");
    }

    function test_OrderIdIsThatOfTheSharedVector() public {
        string memory json = vm.readFile("tests/vectors/terms.json");
        bytes32 expected = vm.parseJsonBytes32(json, ".orderId");
        DomainOf domain = _domain(json);
        assertEq(domain.orderId(_terms(json)), expected, "order id");
        bytes32 typehash = keccak256(bytes(vm.parseJsonString(json, ".typeString")));
        assertEq(OrderTermsHash.TYPEHASH, typehash, "type string");
    }

    function test_ParentsHaveTheDigestOfTheSharedVector() public view {
        string memory json = vm.readFile("tests/vectors/terms.json");
        uint256[] memory ids = new uint256[](2);
        ids[0] = vm.parseJsonUint(json, ".parents.ids[0]");
        ids[1] = vm.parseJsonUint(json, ".parents.ids[1]");
        bytes32 expected = vm.parseJsonBytes32(json, ".parents.digest");
        assertEq(keccak256(abi.encode(ids)), expected, "parents");
        assertEq(vm.parseJsonBytes32(json, ".terms.parents"), expected, "parents of the terms");
    }

    function test_ReceiptsAreThoseOfTheSharedVectors() public {
        string memory json = vm.readFile("tests/vectors/receipts.json");
        DomainOf domain = _domain(json);
        uint256 count = 0;
        for (; _has(json, ".messages", count); ++count) {
            string memory item = _at(".messages", count);
            bytes32 structHash = _structHash(json, item);
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(item, ".digest"));
            assertEq(domain.digest(structHash), expected, string.concat(item, " digest"));
            address signer = vm.parseJsonAddress(json, string.concat(item, ".signer"));
            bytes memory signature = vm.parseJsonBytes(json, string.concat(item, ".signature"));
            assertTrue(domain.isSignedBy(signer, structHash, signature), string.concat(item, " signature"));
        }
        assertEq(count, 5, "messages read");
    }

    function _domain(string memory json) private returns (DomainOf) {
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        return new DomainOf(vm.parseJsonAddress(json, ".domain.verifyingContract"));
    }

    function _terms(string memory json) private pure returns (OrderTerms memory terms) {
        terms.buyer = vm.parseJsonAddress(json, ".terms.buyer");
        terms.broker = vm.parseJsonAddress(json, ".terms.broker");
        terms.collection = vm.parseJsonBytes32(json, ".terms.collection");
        terms.request = vm.parseJsonBytes32(json, ".terms.request");
        terms.deliveryKey = vm.parseJsonBytes32(json, ".terms.deliveryKey");
        terms.rows = uint64(vm.parseJsonUint(json, ".terms.rows"));
        terms.epsilonMicro = uint64(vm.parseJsonUint(json, ".terms.epsilonMicro"));
        terms.deltaE12 = uint64(vm.parseJsonUint(json, ".terms.deltaE12"));
        terms.minScoreMicro = uint32(vm.parseJsonUint(json, ".terms.minScoreMicro"));
        terms.minContributors = uint8(vm.parseJsonUint(json, ".terms.minContributors"));
        terms.maxContributors = uint8(vm.parseJsonUint(json, ".terms.maxContributors"));
        terms.brokerFeeBps = uint16(vm.parseJsonUint(json, ".terms.brokerFeeBps"));
        terms.matchBy = uint64(vm.parseJsonUint(json, ".terms.matchBy"));
        terms.deliverBy = uint64(vm.parseJsonUint(json, ".terms.deliverBy"));
        terms.challengeSeconds = uint32(vm.parseJsonUint(json, ".terms.challengeSeconds"));
        terms.answerSeconds = uint32(vm.parseJsonUint(json, ".terms.answerSeconds"));
        terms.price = vm.parseJsonUint(json, ".terms.price");
        terms.stake = vm.parseJsonUint(json, ".terms.stake");
        terms.bond = vm.parseJsonUint(json, ".terms.bond");
        terms.royaltyBps = uint16(vm.parseJsonUint(json, ".terms.royaltyBps"));
        terms.conditions = vm.parseJsonBytes32(json, ".terms.conditions");
        terms.parents = vm.parseJsonBytes32(json, ".terms.parents");
        terms.schemaDigest = vm.parseJsonBytes32(json, ".terms.schemaDigest");
        terms.sizeClass = uint8(vm.parseJsonUint(json, ".terms.sizeClass"));
        terms.specVersion = uint16(vm.parseJsonUint(json, ".terms.specVersion"));
        terms.ownRealMicro = uint32(vm.parseJsonUint(json, ".terms.ownRealMicro"));
        terms.indivisible = vm.parseJsonBool(json, ".terms.indivisible");
        terms.salt = vm.parseJsonBytes32(json, ".terms.salt");
    }

    /// @dev By the contracts' own hashing, chosen by the message's type string.
    function _structHash(string memory json, string memory item) private pure returns (bytes32) {
        bytes32 typehash = keccak256(bytes(vm.parseJsonString(json, string.concat(item, ".typeString"))));
        string memory message = string.concat(item, ".message");
        if (typehash == SignedMessages.PAYOUT_TYPEHASH) {
            address account = vm.parseJsonAddress(json, string.concat(message, ".account"));
            address to = vm.parseJsonAddress(json, string.concat(message, ".payout"));
            uint256 nonce = _number(json, message, ".nonce");
            return SignedMessages.payout(account, to, nonce, _number(json, message, ".deadline"));
        }
        bytes32 order = _word(json, message, ".order");
        if (typehash == SignedMessages.ACCEPTANCE_TYPEHASH) {
            address contributor = vm.parseJsonAddress(json, string.concat(message, ".contributor"));
            return SignedMessages.acceptance(order, contributor, uint64(_number(json, message, ".maxRows")));
        }
        if (typehash == SignedMessages.MODEL_COMMITMENT_TYPEHASH) {
            uint32 shard = uint32(_number(json, message, ".shard"));
            bytes32 saltDigest = _word(json, message, ".saltDigest");
            return SignedMessages.modelCommitment(order, shard, _word(json, message, ".modelDigest"), saltDigest);
        }
        if (typehash == SignedMessages.EVALUATION_TYPEHASH) {
            return
                SignedMessages.evaluation(
                    order,
                    _word(json, message, ".datasetRoot"),
                    uint32(_number(json, message, ".scoreMicro")),
                    _word(json, message, ".sharesDigest"),
                    _word(json, message, ".scoreDigest")
                );
        }
        assertEq(typehash, ShardReceipts.TYPEHASH, "type string");
        ShardReceipt memory receipt = ShardReceipt({
            order: order,
            shard: uint32(_number(json, message, ".shard")),
            modelDigest: _word(json, message, ".modelDigest"),
            seed: _word(json, message, ".seed"),
            rows: uint64(_number(json, message, ".rows")),
            shardRoot: _word(json, message, ".shardRoot"),
            epsilonMicro: uint64(_number(json, message, ".epsilonMicro")),
            deltaE12: uint64(_number(json, message, ".deltaE12")),
            contentDigest: _word(json, message, ".contentDigest")
        });
        return ShardReceipts.hash(receipt);
    }

    function _word(string memory json, string memory item, string memory field) private pure returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(item, field));
    }

    function _number(string memory json, string memory item, string memory field) private pure returns (uint256) {
        return vm.parseJsonUint(json, string.concat(item, field));
    }

    function _has(string memory json, string memory list, uint256 index) private view returns (bool) {
        return vm.keyExistsJson(json, _at(list, index));
    }

    function _at(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", text(index), "]");
    }
}

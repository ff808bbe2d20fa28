// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What the buyer signs: everything an order may ever cost, take or deliver.
/// @dev The EIP-712 digest of this struct is the order's id. Fields are in the order of the type string.
struct OrderTerms {
    /// Pays, signs the terms, receives the data-set token.
    address buyer;
    /// Matches, publishes, posts the bond, earns the fee.
    address broker;
    /// SHA-256 of the canonical collection document (schema, family, settings).
    bytes32 collection;
    /// SHA-256 of the canonical request document (conditions, purpose).
    bytes32 request;
    /// X25519 key the shards' keys are wrapped to; zero orders an open data set.
    bytes32 deliveryKey;
    /// Synthetic rows in all.
    uint64 rows;
    /// Ceiling of epsilon in 1e-6; zero asks for no privacy.
    uint64 epsilonMicro;
    /// Ceiling of delta in 1e-12.
    uint64 deltaE12;
    /// Least median evaluation score, in 1e-6.
    uint32 minScoreMicro;
    uint8 minContributors;
    uint8 maxContributors;
    /// Broker's part of the price, in 1e-4.
    uint16 brokerFeeBps;
    /// Last chain time (seconds) of a match.
    uint64 matchBy;
    /// Last chain time (seconds) of a publication.
    uint64 deliverBy;
    /// Chain time between publication and settlement.
    uint32 challengeSeconds;
    /// Chain time to answer a demand in; silence is punished after twice as long.
    uint32 answerSeconds;
    /// Whole amount escrowed, in token wei.
    uint256 price;
    /// Reserved of all contributors' stakes together, in token wei; each one's part is by its rows, rounded up.
    uint256 stake;
    /// Posted by the broker at the match, in token wei.
    uint256 bond;
    /// Part (1e-4) that data sets derived from this one, and its resales, owe to its contributors.
    uint16 royaltyBps;
    /// SHA-256 of the conditions in bytes; zero orders whole tables.
    bytes32 conditions;
    /// keccak256(abi.encode(uint256[])) of the data sets it derives from, ascending; zero for none.
    bytes32 parents;
    /// SHA-256 of the canonical schema document, as every shard's model carries it.
    bytes32 schemaDigest;
    /// 1: every model fits the class whose rows the chain can judge (docs/spec/model.md); 0: rows are recomputed only.
    uint8 sizeClass;
    /// Version of the row specification.
    uint16 specVersion;
    /// Part (1e-6) of the training rows that come from real tables directly.
    uint32 ownRealMicro;
    /// A part of the rows is worth nothing to the buyer: a shard that is false or missing refunds the whole price.
    bool indivisible;
    /// Makes otherwise equal orders different.
    bytes32 salt;
}

/// @notice One contributor of a matched order. Its index in the list is its shard's index.
struct Participant {
    address contributor;
    /// Rows of its shard.
    uint64 rows;
}

/// @notice EIP-712 hashing of order terms.
library OrderTermsHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "OrderTerms(address buyer,address broker,bytes32 collection,bytes32 request,bytes32 deliveryKey,"
        "uint64 rows,uint64 epsilonMicro,uint64 deltaE12,uint32 minScoreMicro,uint8 minContributors,"
        "uint8 maxContributors,uint16 brokerFeeBps,uint64 matchBy,uint64 deliverBy,uint32 challengeSeconds,"
        "uint32 answerSeconds,uint256 price,uint256 stake,uint256 bond,uint16 royaltyBps,bytes32 conditions,"
        "bytes32 parents,bytes32 schemaDigest,uint8 sizeClass,uint16 specVersion,uint32 ownRealMicro,"
        "bool indivisible,bytes32 salt)"
    );

    /// @return EIP-712 struct hash. Every member is one static word, so ABI encoding is EIP-712 encoding.
    function hash(OrderTerms calldata terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPEHASH, terms));
    }
}

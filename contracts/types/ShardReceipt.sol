// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a contributor signs of its shard: the rows under `shardRoot` are those of the model and the seed.
/// @dev Fields are in the order of the type string.
struct ShardReceipt {
    bytes32 order;
    uint32 shard;
    /// SHA-256 of the model bytes, as committed.
    bytes32 modelDigest;
    bytes32 seed;
    uint64 rows;
    /// Merkle root over the shard's rows.
    bytes32 shardRoot;
    /// Spent in training, in 1e-6; zero claims no privacy.
    uint64 epsilonMicro;
    /// In 1e-12.
    uint64 deltaE12;
    /// SHA-256 of the canonical content document.
    bytes32 contentDigest;
}

/// @notice EIP-712 hashing of receipts, and what an order asks of their privacy.
library ShardReceipts {
    bytes32 internal constant TYPEHASH = keccak256(
        "ShardReceipt(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 seed,uint64 rows,"
        "bytes32 shardRoot,uint64 epsilonMicro,uint64 deltaE12,bytes32 contentDigest)"
    );

    /// @return EIP-712 struct hash. Every member is one static word, so ABI encoding is EIP-712 encoding.
    function hash(ShardReceipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPEHASH, receipt));
    }

    /// @return Whether the shard kept to the ceilings of the terms. A ceiling of zero for epsilon asks for no privacy;
    /// with any other a receipt must claim some.
    function keepsPrivacy(
        ShardReceipt memory receipt,
        uint64 maxEpsilonMicro,
        uint64 maxDeltaE12
    ) internal pure returns (bool) {
        if (maxEpsilonMicro == 0) return true;
        return
            receipt.epsilonMicro != 0 &&
            receipt.epsilonMicro <= maxEpsilonMicro &&
            receipt.deltaE12 <= maxDeltaE12;
    }
}

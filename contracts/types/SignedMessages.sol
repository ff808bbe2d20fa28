// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice EIP-712 struct hashes of what contributors and recipients sign; the receipt's is in {ShardReceipts}. All
/// share the domain of {TesseraDomain}.
library SignedMessages {
    bytes32 internal constant ACCEPTANCE_TYPEHASH = keccak256(
        "Acceptance(bytes32 order,address contributor,uint64 maxRows)"
    );

    bytes32 internal constant MODEL_COMMITMENT_TYPEHASH = keccak256(
        "ModelCommitment(bytes32 order,uint32 shard,bytes32 modelDigest,bytes32 saltDigest)"
    );

    bytes32 internal constant EVALUATION_TYPEHASH = keccak256(
        "Evaluation(bytes32 order,bytes32 datasetRoot,uint32 scoreMicro,bytes32 sharesDigest,bytes32 scoreDigest)"
    );

    bytes32 internal constant PAYOUT_TYPEHASH = keccak256(
        "Payout(address account,address payout,uint256 nonce,uint256 deadline)"
    );

    /// @dev A contributor offers up to `maxRows` rows to an order.
    function acceptance(bytes32 order, address contributor, uint64 maxRows) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPTANCE_TYPEHASH, order, contributor, maxRows));
    }

    /// @dev A contributor fixes the model of its shard, and a secret salt, before the seed exists.
    function modelCommitment(
        bytes32 order,
        uint32 shard,
        bytes32 modelDigest,
        bytes32 saltDigest
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(MODEL_COMMITMENT_TYPEHASH, order, shard, modelDigest, saltDigest));
    }

    /// @dev What the salt that a contributor keeps until the block's hash is fixed has to hash to.
    function digestOfSalt(bytes32 order, uint32 shard, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(order, shard, salt));
    }

    /// @dev A contributor vouches for a score of the pooled data set, for the score file and for the division of the
    /// price.
    function evaluation(
        bytes32 order,
        bytes32 datasetRoot,
        uint32 scoreMicro,
        bytes32 sharesDigest,
        bytes32 scoreDigest
    ) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(EVALUATION_TYPEHASH, order, datasetRoot, scoreMicro, sharesDigest, scoreDigest));
    }

    /// @dev Rewards of `account` shall go to `to` from now on.
    function payout(address account, address to, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(PAYOUT_TYPEHASH, account, to, nonce, deadline));
    }
}

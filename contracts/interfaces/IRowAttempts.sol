// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRowVerifier} from "./IRowVerifier.sol";

/// @title Attempts at a conditioned row, in parts
/// @notice A row under conditions is the first of up to 64 attempts that meets them, more than one transaction may be
/// able to make. So anyone shows a part of them at a time: that attempts 0 .. n - 1 of a row do not meet its conditions
/// is a fact about model, seed, place and conditions, of whatever data set. {IChallenges.challenge} goes on from there.
///
/// Showing attempts says which row is doubted. For fifteen minutes from the first of a row they therefore count for
/// those alone who had committed to a claim before that block.
interface IRowAttempts {
    struct Attempts {
        /// Attempts 0 .. made - 1 do not meet the conditions; 64 if the row does not exist.
        uint8 made;
        /// When the first were shown.
        uint64 firstBlock;
        uint64 firstTime;
    }

    /// @notice The first `made` attempts of a row do not meet its conditions.
    event AttemptsTried(bytes32 indexed row, uint256 made);

    /// @notice Attempt `made` meets the conditions, or all were made: challenge the row.
    error Challenges_NoFurther(bytes32 row, uint256 made);

    /// @notice Makes the next attempts of a row, at most `count`, until one meets the conditions.
    /// @param query names the row; its digest must be that of the model. `attempt` is taken from what is known;
    /// `schemaDigest`, `sizeClass` and `shardRows` do not matter.
    /// @param model empty when `modelParts` says where it is stored.
    function tryAttempts(
        IRowVerifier.RowQuery calldata query,
        bytes calldata conditions,
        bytes calldata model,
        address[] calldata modelParts,
        uint256 count
    ) external;

    /// @return What is known of a row.
    function attemptsOf(bytes32 row) external view returns (Attempts memory);

    /// @return row keccak256(abi.encode(modelDigest, seed, shard, requestRow, chunk, row, keccak256(conditions))).
    function attemptsId(
        IRowVerifier.RowQuery memory query,
        bytes calldata conditions
    ) external pure returns (bytes32 row);
}

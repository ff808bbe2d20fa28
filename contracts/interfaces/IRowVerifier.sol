// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Makes one published row again
/// @notice Follows docs/spec/rows.md, model.md and conditions.md on bytes that the caller brings. Keeps nothing.
interface IRowVerifier {
    enum Verdict {
        Agrees,
        Differs,
        Malformed
    }

    /// @notice Which row, of which stream.
    struct RowQuery {
        /// SHA-256 that the model bytes must have.
        bytes32 modelDigest;
        bytes32 seed;
        uint32 shard;
        /// Rows of the shard.
        uint64 shardRows;
        /// The request's row that is the shard's row 0.
        uint64 requestRow;
        uint64 chunk;
        /// In the chunk.
        uint32 row;
    }

    /// @notice The model bytes have another digest than the query says.
    error RowVerifier_WrongModel(bytes32 found, bytes32 expected);

    /// @return Malformed when the model bytes are no model; Differs when the chunk has not the length that the shape
    /// demands, or the row is not the one made again, or no such row exists under the conditions; else Agrees.
    /// @param conditions in bytes, empty for none; the caller checks their digest.
    function judge(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict);

    /// @return The bytes of the row that model, seed and conditions make.
    function rowOf(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query
    ) external view returns (bytes memory);

    /// @return Whether the bytes keep every rule of docs/spec/model.md that needs no schema.
    function isSound(bytes calldata model) external view returns (bool);

    /// @notice The shape of ERC-7007's `verify`, for rows without conditions.
    /// @param prompt abi.encode(modelDigest, seed, shard, row)
    /// @param aigcData the row's bytes
    /// @param proof the model's bytes
    function verify(
        bytes calldata prompt,
        bytes calldata aigcData,
        bytes calldata proof
    ) external view returns (bool);
}

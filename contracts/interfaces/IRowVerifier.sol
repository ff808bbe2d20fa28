// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title One row of a synthetic table, made again on chain
/// @notice A row is a pure function of model bytes, seed, shard index, row number and conditions (docs/spec/rows.md,
/// docs/spec/conditions.md). This contract computes it and compares it with a chunk of the published rows.
/// @dev State: none. Privileges: none. Money: none. Everything is view: the answers depend on the arguments alone.
/// Who calls it checks what it cannot know: that model digest, seed, row counts and conditions are those of an order,
/// and that the chunk stands under the shard's root.
interface IRowVerifier {
    enum Verdict {
        /// The chunk holds the row that the model makes.
        Agrees,
        /// It holds another row, has another length than the shape demands, lies past the end, or holds a row that does
        /// not exist under the conditions.
        Differs,
        /// The bytes are no model (docs/spec/model.md, rules 3 to 9; where a whole model is judged, 10 too).
        Malformed,
        /// The model makes rows of another schema (rule 11).
        OtherSchema,
        /// The model, or its prefix steps under the row's conditions, are beyond the class (rule 13) that was promised.
        OutsideClass
    }

    struct RowQuery {
        /// SHA-256 of the model bytes.
        bytes32 modelDigest;
        bytes32 seed;
        /// SHA-256 of the schema document that the model must carry.
        bytes32 schemaDigest;
        /// 1 where the class was promised.
        uint8 sizeClass;
        /// Index of the shard in its data set.
        uint32 shard;
        /// Rows of the shard.
        uint64 shardRows;
        /// Row of the request that is row 0 of the shard: rows of the shards before it.
        uint64 requestRow;
        /// Index of the chunk in the shard.
        uint64 chunk;
        /// Row in the chunk, from 0.
        uint32 row;
        /// The first attempt to make: that none before it meets the conditions is known. 0 without conditions.
        uint256 attempt;
    }

    /// @notice The model bytes have another SHA-256 than the query names.
    error RowVerifier_WrongModel(bytes32 found, bytes32 expected);
    /// @notice The chunk is whole and holds `rows` rows, so there is no row `row` to judge; ask for one of them.
    error RowVerifier_RowOutsideChunk(uint256 row, uint256 rows);
    /// @notice The model bytes break docs/spec/model.md, so they make no row.
    error RowVerifier_MalformedModel(bytes32 modelDigest);
    /// @notice The model makes no such row: its number is too large, or the conditions have no such row or are not met.
    error RowVerifier_NoSuchRow(uint256 shardRow);

    /// @notice Makes row `query.row` of chunk `query.chunk` again and compares it.
    /// @param model model bytes, empty for those of `parts`; reverts if their SHA-256 is not the query's.
    /// @param parts the contracts that hold the bytes, in order (see {IModelStore}); used when `model` is empty.
    /// @param conditions in bytes; empty for none. Their digest is the caller's to check.
    /// @param chunk the rows of the chunk, as they stand under the shard's root.
    /// @return verdict what stands there.
    /// @return rowWidth bytes of a row, by which a shard's rows are cut into chunks (docs/spec/merkle.md); 0 unless the
    /// verdict is about a row.
    function judge(
        bytes calldata model,
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict verdict, uint256 rowWidth);

    /// @notice Makes attempts from `query.attempt` on, at most `count` and none after the last, number 63.
    /// @return attempt the first that meets the conditions, or, if none of them does, the first that was not made. 64
    /// where no such row can be, or no attempt is left: then the row does not exist. `schemaDigest`, `sizeClass` and
    /// `shardRows` of the query do not matter.
    function tryAttempts(
        bytes calldata model,
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        uint256 count
    ) external view returns (uint256 attempt);

    /// @notice The bytes of row `chunk * rows per chunk + row` of the shard.
    function rowOf(
        bytes calldata model,
        bytes calldata conditions,
        RowQuery calldata query
    ) external view returns (bytes memory row);

    /// @notice Judges a model by itself: whether the bytes obey all rules of docs/spec/model.md, the bound of 2^24
    /// included, carry this schema's digest, and, where `sizeClass` is 1, are inside the class.
    /// @return verdict `Agrees` if they do. Verdicts on rows of a model that breaks the bound are without meaning.
    function judgeModel(
        bytes calldata model,
        address[] calldata parts,
        bytes32 schemaDigest,
        uint8 sizeClass
    ) external view returns (Verdict verdict);

    /// @notice The check of ERC-7007 for one row without conditions: whether the model makes these bytes.
    /// @param prompt abi.encode(bytes32 modelDigest, bytes32 seed, uint32 shard, uint64 row).
    /// @param aigcData the row's bytes.
    /// @param proof the model bytes: nothing shorter proves a row than making it again.
    function verify(
        bytes calldata prompt,
        bytes calldata aigcData,
        bytes calldata proof
    ) external view returns (bool success);
}

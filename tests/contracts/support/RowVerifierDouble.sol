// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRowVerifier} from "../../../contracts/interfaces/IRowVerifier.sol";

/// @notice Stands in for the row verifier where challenges are tried: rows are 32-byte words, a row is false when it
/// begins with 0xFF, a model is none when it begins with 0xFF, and a chunk has a wrong length when it is no words.
contract RowVerifierDouble is IRowVerifier {
    /// @notice The questions that were not these would be refused; zero takes any.
    bytes32 public expectedQuery;
    bytes32 public expectedConditions = keccak256("");

    error RowVerifierDouble_OtherQuestion(RowQuery query, bytes conditions);

    function expect(RowQuery calldata query, bytes calldata conditions) external {
        (expectedQuery, expectedConditions) = (keccak256(abi.encode(query)), keccak256(conditions));
    }

    /// @inheritdoc IRowVerifier
    function judge(
        bytes calldata model,
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict, uint256) {
        bool isOther = expectedQuery != 0 && expectedQuery != keccak256(abi.encode(query));
        if (isOther || keccak256(conditions) != expectedConditions) {
            revert RowVerifierDouble_OtherQuestion(query, conditions);
        }
        bytes memory found = model.length == 0 ? _join(parts) : model;
        if (sha256(found) != query.modelDigest) revert RowVerifier_WrongModel(sha256(found), query.modelDigest);
        if (found[0] == 0xFF) return (Verdict.Malformed, 0);
        if (chunk.length % 32 != 0) return (Verdict.Differs, 32);
        return (chunk[query.row * 32] == 0xFF ? Verdict.Differs : Verdict.Agrees, 32);
    }

    /// @inheritdoc IRowVerifier
    function judgeModel(
        bytes calldata model,
        address[] calldata parts,
        bytes32,
        uint8
    ) external view returns (Verdict) {
        bytes memory found = model.length == 0 ? _join(parts) : model;
        return found[0] == 0xFF ? Verdict.Malformed : Verdict.Agrees;
    }

    /// @inheritdoc IRowVerifier
    function tryAttempts(
        bytes calldata,
        address[] calldata,
        bytes calldata,
        RowQuery calldata query,
        uint256 count
    ) external pure returns (uint256) {
        return query.attempt + count;
    }

    /// @inheritdoc IRowVerifier
    function rowOf(bytes calldata, bytes calldata, RowQuery calldata query) external pure returns (bytes memory) {
        return abi.encode(query.row);
    }

    /// @inheritdoc IRowVerifier
    function verify(bytes calldata, bytes calldata aigcData, bytes calldata) external pure returns (bool) {
        return aigcData.length == 32;
    }

    function _join(address[] calldata parts) private view returns (bytes memory model) {
        for (uint256 i = 0; i < parts.length; ++i) {
            bytes memory code = parts[i].code;
            for (uint256 k = 1; k < code.length; ++k) {
                model = bytes.concat(model, code[k]);
            }
        }
    }
}

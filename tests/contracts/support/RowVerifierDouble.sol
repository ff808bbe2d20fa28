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
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) public view returns (Verdict) {
        bool isOther = expectedQuery != 0 && expectedQuery != keccak256(abi.encode(query));
        if (isOther || keccak256(conditions) != expectedConditions) {
            revert RowVerifierDouble_OtherQuestion(query, conditions);
        }
        if (sha256(model) != query.modelDigest) revert RowVerifier_WrongModel(sha256(model), query.modelDigest);
        if (!isSound(model)) return Verdict.Malformed;
        if (chunk.length % 32 != 0) return Verdict.Differs;
        return chunk[query.row * 32] == 0xFF ? Verdict.Differs : Verdict.Agrees;
    }

    /// @inheritdoc IRowVerifier
    function judgeStored(
        address[] calldata parts,
        bytes calldata conditions,
        RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (Verdict) {
        return this.judge(_join(parts), conditions, query, chunk);
    }

    /// @inheritdoc IRowVerifier
    function isSoundStored(address[] calldata parts) external view returns (bool) {
        return this.isSound(_join(parts));
    }

    /// @inheritdoc IRowVerifier
    function rowWidthOf(bytes calldata model) public pure returns (uint256) {
        return isSound(model) ? 32 : 0;
    }

    /// @inheritdoc IRowVerifier
    function rowWidthOfStored(address[] calldata parts) external view returns (uint256) {
        return this.rowWidthOf(_join(parts));
    }

    /// @inheritdoc IRowVerifier
    function rowOf(bytes calldata, bytes calldata, RowQuery calldata query) external pure returns (bytes memory) {
        return abi.encode(query.row);
    }

    /// @inheritdoc IRowVerifier
    function verify(bytes calldata, bytes calldata aigcData, bytes calldata) external pure returns (bool) {
        return aigcData.length == 32;
    }

    /// @inheritdoc IRowVerifier
    function isSound(bytes calldata model) public pure returns (bool) {
        return model[0] != 0xFF;
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

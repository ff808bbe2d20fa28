// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRowAttempts} from "../interfaces/IRowAttempts.sol";
import {IRowVerifier} from "../interfaces/IRowVerifier.sol";

/// @notice Described in {IRowAttempts}.
abstract contract RowAttempts is IRowAttempts {
    /// @dev Chain time that whoever committed before the first attempts of a row were shown has for itself.
    uint256 private constant _HEAD_START = 15 minutes;

    IRowVerifier public immutable verifier;

    mapping(bytes32 row => Attempts) private _attempts;

    constructor(IRowVerifier verifier_) {
        verifier = verifier_;
    }

    /// @inheritdoc IRowAttempts
    function tryAttempts(
        IRowVerifier.RowQuery calldata query,
        bytes calldata conditions,
        bytes calldata model,
        address[] calldata modelParts,
        uint256 count
    ) external {
        bytes32 row = attemptsId(query, conditions);
        Attempts storage stored = _attempts[row];
        uint256 before = stored.made;
        IRowVerifier.RowQuery memory next = query;
        next.attempt = before;
        uint256 made = verifier.tryAttempts(model, modelParts, conditions, next, count);
        if (made == before) revert Challenges_NoFurther(row, made);
        if (before == 0) (stored.firstBlock, stored.firstTime) = (uint64(block.number), uint64(block.timestamp));
        stored.made = uint8(made);
        emit AttemptsTried(row, made);
    }

    /// @inheritdoc IRowAttempts
    function attemptsOf(bytes32 row) external view returns (Attempts memory) {
        return _attempts[row];
    }

    /// @inheritdoc IRowAttempts
    function attemptsId(
        IRowVerifier.RowQuery memory query,
        bytes calldata conditions
    ) public pure returns (bytes32 row) {
        return
            keccak256(
                abi.encode(
                    query.modelDigest,
                    query.seed,
                    query.shard,
                    query.requestRow,
                    query.chunk,
                    query.row,
                    keccak256(conditions)
                )
            );
    }

    /// @dev The first attempt that a claim which was committed to in block `since` need not show any more.
    function _attemptsFor(
        IRowVerifier.RowQuery memory query,
        bytes calldata conditions,
        uint256 since
    ) internal view returns (uint256 attempt) {
        if (conditions.length == 0) return 0;
        Attempts memory stored = _attempts[attemptsId(query, conditions)];
        bool isOpen = since < stored.firstBlock || block.timestamp > stored.firstTime + _HEAD_START;
        return isOpen ? stored.made : 0;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelStore} from "../../contracts/interfaces/IModelStore.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice What a call costs, without the transaction around it.
contract CallMeter {
    function judge(
        IRowVerifier verifier,
        bytes calldata model,
        IRowVerifier.RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (IRowVerifier.Verdict verdict, uint256 used) {
        bytes memory data = abi.encodeCall(IRowVerifier.judge, (model, new address[](0), "", query, chunk));
        return _measured(address(verifier), data);
    }

    function judgeStored(
        IRowVerifier verifier,
        address[] calldata parts,
        IRowVerifier.RowQuery calldata query,
        bytes calldata chunk
    ) external view returns (IRowVerifier.Verdict verdict, uint256 used) {
        bytes memory data = abi.encodeCall(IRowVerifier.judge, ("", parts, "", query, chunk));
        return _measured(address(verifier), data);
    }

    function _measured(address to, bytes memory data) private view returns (IRowVerifier.Verdict, uint256) {
        uint256 result;
        uint256 used;
        bool success;
        // A call on the bytes where they stand: Solidity's own would copy them first, at the meter's cost. The verdict
        // comes back in scratch memory.
        assembly ("memory-safe") {
            used := gas()
            success := staticcall(gas(), to, add(data, 32), mload(data), 0, 32)
            used := sub(used, gas())
            result := mload(0)
        }
        require(success, "reverted");
        return (IRowVerifier.Verdict(result), used);
    }
}

/// @notice The cost of a row of architecture 2 with 15 columns, 240 codes, H = 64, G = 32: 38,400 multiplications,
/// 63,275 bytes.
contract RowVerifierGasTest is TestBase {
    IRowVerifier private verifier;
    CallMeter private meter;
    bytes private model;

    function setUp() public {
        verifier = IRowVerifier(_create("RowVerifier", ""));
        meter = new CallMeter();
        model = _made();
    }

    function test_JudgingARowCostsAtMost530k() public view {
        (IRowVerifier.RowQuery memory query, bytes memory chunk) = _true();
        (IRowVerifier.Verdict verdict, uint256 used) = meter.judge(verifier, model, query, chunk);
        assertEq(uint256(verdict), uint256(IRowVerifier.Verdict.Agrees), "verdict");
        assertAtMost(used, 530_000, "judge");
    }

    function test_JudgingARowOfAStoredModelCostsAtMost550k() public {
        (IRowVerifier.RowQuery memory query, bytes memory chunk) = _true();
        IModelStore store = IModelStore(_create("ModelStore", ""));
        address[] memory parts = new address[](3);
        for (uint256 i = 0; i < 3; ++i) parts[i] = store.store(_slice(model, i * 22_000, 22_000));
        (IRowVerifier.Verdict verdict, uint256 used) = meter.judgeStored(verifier, parts, query, chunk);
        assertEq(uint256(verdict), uint256(IRowVerifier.Verdict.Agrees), "verdict");
        assertAtMost(used, 550_000, "judgeStored");
    }

    function test_ProvingTheBoundFitsATransaction() public view {
        assertEq(uint256(verifier.judgeModel(model, new address[](0), bytes32(0), 1)), 0, "sound");
        assertAtMost(vm.lastCallGas().gasTotalUsed, 16_777_216, "transaction");
    }

    /// @dev Sixteen codes, sixteen codes, one allowed: 291 evaluations, 9.27 M units of work. Before: no bound; 256 states
    /// of many steps cost 78 M gas and more.
    function test_B3_TheMostPrefixStepsOfTheClassFitATransaction() public view {
        IRowVerifier.RowQuery memory query = _lastAttempt();
        (IRowVerifier.Verdict verdict, ) = verifier.judge(
            model,
            new address[](0),
            _first(3),
            query,
            new bytes(15)
        );
        assertEq(uint256(verdict), uint256(IRowVerifier.Verdict.Differs), "verdict");
        assertAtMost(vm.lastCallGas().gasTotalUsed, 12_500_000, "transaction");
    }

    /// @dev A fourth such step doubles the work.
    function test_B3_PrefixStepsBeyondTheClassAreNotMade() public view {
        IRowVerifier.RowQuery memory query = _lastAttempt();
        (IRowVerifier.Verdict verdict, ) = verifier.judge(
            model,
            new address[](0),
            _first(4),
            query,
            new bytes(15)
        );
        assertEq(uint256(verdict), uint256(IRowVerifier.Verdict.OutsideClass), "verdict");
        assertAtMost(vm.lastCallGas().gasTotalUsed, 3_500_000, "transaction");
    }

    function _lastAttempt() private view returns (IRowVerifier.RowQuery memory query) {
        query.modelDigest = sha256(model);
        (query.shardRows, query.sizeClass, query.attempt) = (1, 1, 63);
    }

    /// @dev One segment of a row; columns 2 .. count - 1 hold 0.
    function _first(uint16 count) private pure returns (bytes memory data) {
        data = abi.encodePacked(hex"000100000001", uint16(count - 2));
        for (uint16 k = 2; k < count; ++k) {
            data = bytes.concat(data, abi.encodePacked(k, hex"000000010000000000000000"));
        }
    }

    function test_TheContractFitsTheLimitOfCode() public view {
        assertAtMost(address(verifier).code.length, 24_576, "bytes");
    }

    function _true() private view returns (IRowVerifier.RowQuery memory query, bytes memory chunk) {
        query.modelDigest = sha256(model);
        query.shardRows = 1;
        chunk = verifier.rowOf(model, "", query);
    }

    /// @dev Header, 15 columns of 16 codes, draw order, 15 steps, embedding. Weights are a hash's bytes, halved.
    function _made() private pure returns (bytes memory data) {
        bytes32 tables = 0xf5d60c326204acfbbd9529cc8deacfbbd5954852296b675873b796c6b8c75475;
        bytes memory columns;
        bytes memory codes;
        bytes memory order;
        for (uint16 column = 0; column < 15; ++column) {
            columns = bytes.concat(columns, hex"001001");
            order = bytes.concat(order, bytes2(column));
            for (uint32 code = 0; code < 16; ++code) codes = bytes.concat(codes, bytes4(code), hex"00000001");
        }
        bytes memory header = bytes.concat(hex"54534d3102ff000f00f0004000000020", bytes32(0), tables);
        data = bytes.concat(header, columns, codes, order);
        for (uint256 step = 0; step < 15; ++step) {
            bytes memory first = bytes.concat(
                new bytes(256),
                _weights(2048, 2 * step),
                new bytes(128),
                _shifts(32)
            );
            data = bytes.concat(data, first, _weights(512, 2 * step + 1), _shifts(16), new bytes(64));
        }
        data = bytes.concat(data, _weights(15_360, 99));
    }

    function _weights(uint256 count, uint256 tag) private pure returns (bytes memory data) {
        data = new bytes(count);
        for (uint256 i = 0; i < count; i += 32) {
            bytes32 word = keccak256(abi.encode(tag, i));
            // Whole words of an array whose length is a multiple of 32; int8 between -64 and 63.
            assembly ("memory-safe") {
                let half := and(word, 0x3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f)
                let sign := and(word, 0x8080808080808080808080808080808080808080808080808080808080808080)
                mstore(add(add(data, 32), i), or(half, or(sign, shr(1, sign))))
            }
        }
    }

    function _shifts(uint256 count) private pure returns (bytes memory data) {
        data = new bytes(count);
        for (uint256 i = 0; i < count; ++i) data[i] = 0x06;
    }

    function _slice(bytes memory data, uint256 from, uint256 length) private pure returns (bytes memory part) {
        if (from + length > data.length) length = data.length - from;
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) part[i] = data[from + i];
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMarketDeployer} from "./interfaces/IMarketDeployer.sol";

/// @notice Described in {IMarketDeployer}.
contract MarketDeployer is IMarketDeployer {
    /// @dev Contract k is created with nonce k + 1, and RLP writes nonces up to 127 as one byte.
    uint256 private constant _LAST_NUMBER = 126;

    /// @inheritdoc IMarketDeployer
    bytes32 public immutable plan;
    /// @inheritdoc IMarketDeployer
    uint64 public immutable createdAt;
    /// @inheritdoc IMarketDeployer
    uint256 public created;

    constructor(bytes32 plan_) {
        plan = plan_;
        createdAt = uint64(block.timestamp);
    }

    /// @inheritdoc IMarketDeployer
    function create(bytes32[] calldata digests, Step calldata step) external returns (address made) {
        bytes32 found = keccak256(abi.encode(digests));
        if (found != plan) revert MarketDeployer_WrongPlan(found, plan);
        uint256 number = created;
        if (number == digests.length) revert MarketDeployer_Complete(number);
        found = keccak256(abi.encode(step));
        if (found != digests[number]) revert MarketDeployer_WrongStep(number, found, digests[number]);

        created = number + 1;
        emit ContractCreated(number, addressOf(number));
        bytes memory code = bytes.concat(step.code, _arguments(step));
        // CREATE with no value; the code lies behind the length word of the bytes array. Its revert is ours.
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                let ptr := mload(0x40)
                returndatacopy(ptr, 0, returndatasize())
                revert(ptr, returndatasize())
            }
        }
    }

    /// @inheritdoc IMarketDeployer
    function addressOf(uint256 number) public view returns (address) {
        if (number > _LAST_NUMBER) revert MarketDeployer_NumberOutOfRange(number, _LAST_NUMBER);
        // RLP of [this contract, its nonce].
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(number + 1))))));
    }

    function _arguments(Step calldata step) private view returns (bytes memory) {
        bytes32[] memory words = step.words;
        for (uint256 i = 0; i < words.length; ++i) {
            if ((step.siblings >> i) & 1 == 1) words[i] = bytes32(uint256(uint160(addressOf(uint256(words[i])))));
        }
        return abi.encodePacked(words);
    }
}

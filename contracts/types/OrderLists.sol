// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Participant} from "./OrderTerms.sol";

/// @notice Digests by which the chain knows the lists of an order; callers bring the lists again.
library OrderLists {
    function digest(Participant[] calldata participants) internal pure returns (bytes32) {
        return keccak256(abi.encode(participants));
    }

    /// @param sharesBps one per participant.
    function digest(uint16[] calldata sharesBps) internal pure returns (bytes32) {
        return keccak256(abi.encode(sharesBps));
    }

    /// @param parents data sets, ascending.
    /// @return Zero for none.
    function digest(uint256[] calldata parents) internal pure returns (bytes32) {
        return parents.length == 0 ? bytes32(0) : keccak256(abi.encode(parents));
    }

    /// @param modelDigests one per participant.
    function digest(bytes32[] memory modelDigests) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(modelDigests));
    }
}

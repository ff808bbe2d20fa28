// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Hashes of past blocks, as far back as the chain keeps them.
library BlockHashes {
    /// @notice Where EIP-2935 keeps the hashes of the last 8,191 blocks, on chains that have it.
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    /// @return hash of a block before the current one; zero when the chain does not know it (any more). Without
    /// EIP-2935 the opcode reaches 256 blocks.
    function of_(uint256 number) internal view returns (bytes32 hash) {
        hash = blockhash(number);
        if (hash != 0) return hash;
        (bool success, bytes memory answer) = HISTORY.staticcall(abi.encode(number));
        // An account without code answers with no bytes; the history refuses blocks out of its reach.
        if (success && answer.length == 32) hash = abi.decode(answer, (bytes32));
    }
}

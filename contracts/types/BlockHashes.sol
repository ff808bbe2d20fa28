// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Where Arbitrum tells of its own blocks: the opcodes tell of those of the chain below it.
interface IArbSys {
    function arbBlockNumber() external view returns (uint256);

    function arbBlockHash(uint256 number) external view returns (bytes32);
}

/// @notice This chain's blocks as its nodes count them, and hashes of past ones as far back as it keeps them.
library BlockHashes {
    /// @notice Where EIP-2935 keeps the hashes of the last 8,191 blocks, on chains that have it.
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    /// @notice There is code here on Arbitrum and chains of its kind only.
    IArbSys internal constant ARB_SYS = IArbSys(address(100));

    /// @return number of the current block.
    function current() internal view returns (uint256 number) {
        return address(ARB_SYS).code.length == 0 ? block.number : ARB_SYS.arbBlockNumber();
    }

    /// @return hash of a block before the current one; zero when the chain does not know it (any more). Without
    /// EIP-2935 the opcode reaches 256 blocks.
    function of_(uint256 number) internal view returns (bytes32 hash) {
        bool success;
        bytes memory answer;
        if (address(ARB_SYS).code.length == 0) {
            hash = blockhash(number);
        } else {
            // It refuses blocks out of its reach.
            (success, answer) = address(ARB_SYS).staticcall(abi.encodeCall(IArbSys.arbBlockHash, (number)));
            if (success && answer.length == 32) hash = abi.decode(answer, (bytes32));
        }
        if (hash != 0) return hash;
        (success, answer) = HISTORY.staticcall(abi.encode(number));
        // An account without code answers with no bytes; the history refuses blocks out of its reach.
        if (success && answer.length == 32) hash = abi.decode(answer, (bytes32));
    }
}

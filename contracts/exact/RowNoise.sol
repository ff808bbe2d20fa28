// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Philox} from "./Philox.sol";
import {Workspace} from "./Workspace.sol";

/// @notice The noise of one row (docs/spec/rows.md, "Noise").
struct RowNoise {
    uint256 key0;
    uint256 key1;
    /// Number of blocks a row has.
    uint256 blocks;
    /// Counter of the row's first block.
    uint256 counter;
    /// Memory address of the row's words, 32 bytes each.
    uint256 words;
}

library RowNoiseMaker {
    /// @notice The noise of row `row` before any attempt has been drawn. The words are counted from 0.
    function open(
        bytes32 modelDigest,
        bytes32 seed,
        uint32 shard,
        uint256 row,
        uint256 words
    ) internal pure returns (RowNoise memory noise) {
        bytes32 key = sha256(abi.encodePacked("tessera/row-noise/1", seed, shard, modelDigest));
        noise.key0 = uint256(key) >> 192;
        noise.key1 = (uint256(key) >> 128) & type(uint64).max;
        noise.blocks = (words + 3) / 4;
        noise.counter = row * noise.blocks;
        noise.words = Workspace.reserve(noise.blocks * 128);
    }

    /// @notice Whether the row's counters stay below 2^64 (rule 3); other rows do not exist.
    function exists(RowNoise memory noise) internal pure returns (bool) {
        return noise.counter + noise.blocks <= 1 << 64;
    }

    /// @notice Writes all words of attempt `attempt`.
    function draw(RowNoise memory noise, uint256 attempt) internal pure {
        unchecked {
            for (uint256 i = 0; i < noise.blocks; ++i) {
                Philox.block4(noise.counter + i, attempt, noise.key0, noise.key1, noise.words + i * 128);
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BigEndian} from "./BigEndian.sol";

/// @notice Where the parts of model bytes stand in memory. Every `...At` is a memory address.
struct ExactModel {
    uint256 ptr;
    uint256 end;
    uint256 architecture;
    uint256 aMax;
    uint256 columns;
    uint256 codes;
    /// Z of architecture 1, H of architecture 2.
    uint256 inputs;
    /// L of architecture 1, else 0.
    uint256 depth;
    /// G of architecture 2, else 0.
    uint256 neurons;
    uint256 widthsAt;
    uint256 columnsAt;
    uint256 codesAt;
    /// What follows the codes: layers of architecture 1, draw order of architecture 2.
    uint256 bodyAt;
    /// Architecture 1: the output layer; architecture 2: the embedding.
    uint256 lastAt;
    uint256 rowWidth;
    /// First code of each column, and the number of codes at the end.
    uint256[] firstCodes;
    /// Architecture 2: address of each step's arrays.
    uint256[] steps;
    /// Architecture 2: 1 + the step that draws the column.
    uint256[] places;
}

/// @notice Questions about the codebook of a model that has been read.
library Codebook {
    function codeCount(ExactModel memory model, uint256 column) internal pure returns (uint256 count) {
        return BigEndian.u16(model.columnsAt + 3 * column);
    }

    function valueWidth(ExactModel memory model, uint256 column) internal pure returns (uint256 bytes_) {
        return BigEndian.u8(model.columnsAt + 3 * column + 2);
    }

    /// @notice The values low .. low + width - 1 of a code, counted among all codes.
    function range(ExactModel memory model, uint256 code) internal pure returns (uint256 low, uint256 width) {
        uint256 both = BigEndian.word(model.codesAt + 8 * code);
        return (both >> 224, (both >> 192) & type(uint32).max);
    }

    /// @notice The column that a step of architecture 2 draws.
    function columnOf(ExactModel memory model, uint256 step) internal pure returns (uint256 column) {
        return BigEndian.u16(model.bodyAt + 2 * step);
    }

    /// @notice Noise words of a row before the columns' own.
    function latentWords(ExactModel memory model) internal pure returns (uint256 words) {
        return model.architecture == 1 ? (model.inputs + 7) / 8 : 0;
    }
}

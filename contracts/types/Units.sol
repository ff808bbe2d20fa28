// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The whole, in basis points: parts of money are counted in 1e-4.
uint256 constant WHOLE_BPS = 10_000;
/// @dev The whole, in millionths: scores and parts of rows are counted in 1e-6.
uint256 constant WHOLE_MICRO = 1_000_000;
/// @dev A delivery is late by at most this many times to answer: four steps can be demanded, each twice that time, with
/// one for the broker after each.
uint256 constant MAX_ANSWERS_LATE = 12;
/// @dev Nobody has its key: what is sent there is destroyed.
address constant NOBODY = 0x000000000000000000000000000000000000dEaD;

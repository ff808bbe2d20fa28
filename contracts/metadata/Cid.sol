// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Content identifiers of what is one raw block (docs/spec/manifest.md: files up to 1 MiB).
library Cid {
    /// @dev Base 32 of RFC 4648 in lower case, without padding.
    bytes32 private constant _ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
    /// @dev The multibase prefix, then 36 bytes in groups of five bits.
    uint256 private constant _LENGTH = 59;

    /// @return CIDv1 of the block whose SHA-256 is `digest`: version 1, codec raw, hash sha2-256 of 32 bytes.
    function raw(bytes32 digest) internal pure returns (string memory) {
        bytes memory cid = abi.encodePacked(hex"01551220", digest);
        bytes memory text = new bytes(_LENGTH);
        text[0] = "b";
        uint256 pending = 0;
        uint256 bits = 0;
        uint256 next = 0;
        for (uint256 place = 1; place < _LENGTH; ++place) {
            if (bits < 5) {
                // Behind the last byte stand zeros: 58 characters hold two bits more than 36 bytes.
                pending = (pending << 8) | (next < cid.length ? uint8(cid[next]) : 0);
                bits += 8;
                ++next;
            }
            bits -= 5;
            text[place] = _ALPHABET[(pending >> bits) & 31];
        }
        return string(text);
    }
}

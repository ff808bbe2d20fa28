// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Philox4x64-10 (Salmon et al. 2011), rule 4 of docs/spec/rows.md.
library Philox {
    /// @notice Writes the four words of one block, each as a memory word, from `to` on (128 bytes, reserved by the
    /// caller). The counter is (c0, c1, 0, 0); c0, c1, k0, k1 are below 2^64.
    function block4(uint256 c0, uint256 c1, uint256 k0, uint256 k1, uint256 to) internal pure {
        // Ten rounds on 64-bit numbers in 256-bit words. A product of two of them is below 2^128, so its high half is
        // the product shifted by 64 and its low half the product under a mask. Adding a Weyl constant needs the mask
        // too; the exclusive ors do not.
        assembly ("memory-safe") {
            let mask := 0xffffffffffffffff
            let c2 := 0
            let c3 := 0
            for {
                let round := 0
            } lt(round, 10) {
                round := add(round, 1)
            } {
                let p0 := mul(c0, 0xd2e7470ee14c6c93)
                let p1 := mul(c2, 0xca5a826395121157)
                c0 := xor(xor(shr(64, p1), c1), k0)
                c1 := and(p1, mask)
                c2 := xor(xor(shr(64, p0), c3), k1)
                c3 := and(p0, mask)
                k0 := and(add(k0, 0x9e3779b97f4a7c15), mask)
                k1 := and(add(k1, 0xbb67ae8584caa73b), mask)
            }
            mstore(to, c0)
            mstore(add(to, 0x20), c1)
            mstore(add(to, 0x40), c2)
            mstore(add(to, 0x60), c3)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Multiples of the generator of secp256k1, computed step by step: what the contracts check in another way.
library Curve {
    uint256 internal constant PRIME = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 internal constant Y = 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8;

    /// @dev Jacobian coordinates: (x / z^2, y / z^3); z = 0 is the point at infinity.
    struct Point {
        uint256 x;
        uint256 y;
        uint256 z;
    }

    /// @param secret no multiple of the order.
    /// @return x coordinate of `secret` times the generator.
    function point(uint256 secret) internal view returns (bytes32) {
        Point memory sum;
        for (uint256 bit = 256; bit != 0; --bit) {
            sum = _doubled(sum);
            if ((secret >> (bit - 1)) & 1 == 1) sum = _plusGenerator(sum);
        }
        uint256 inverse = Math.modExp(sum.z, PRIME - 2, PRIME);
        return bytes32(mulmod(sum.x, mulmod(inverse, inverse, PRIME), PRIME));
    }

    function _doubled(Point memory p) private pure returns (Point memory) {
        uint256 y2 = mulmod(p.y, p.y, PRIME);
        uint256 s = mulmod(4, mulmod(p.x, y2, PRIME), PRIME);
        uint256 m = mulmod(3, mulmod(p.x, p.x, PRIME), PRIME);
        uint256 x = addmod(mulmod(m, m, PRIME), mulmod(PRIME - 2, s, PRIME), PRIME);
        uint256 y = mulmod(m, addmod(s, PRIME - x, PRIME), PRIME);
        y = addmod(y, mulmod(PRIME - 8, mulmod(y2, y2, PRIME), PRIME), PRIME);
        return Point(x, y, mulmod(2, mulmod(p.y, p.z, PRIME), PRIME));
    }

    function _plusGenerator(Point memory p) private pure returns (Point memory) {
        if (p.z == 0) return Point(X, Y, 1);
        uint256 z2 = mulmod(p.z, p.z, PRIME);
        uint256 h = addmod(mulmod(X, z2, PRIME), PRIME - p.x, PRIME);
        uint256 r = addmod(mulmod(Y, mulmod(z2, p.z, PRIME), PRIME), PRIME - p.y, PRIME);
        if (h == 0) return r == 0 ? _doubled(p) : Point(0, 0, 0);
        uint256 h2 = mulmod(h, h, PRIME);
        uint256 h3 = mulmod(h2, h, PRIME);
        uint256 v = mulmod(p.x, h2, PRIME);
        uint256 x = addmod(mulmod(r, r, PRIME), addmod(PRIME - h3, mulmod(PRIME - 2, v, PRIME), PRIME), PRIME);
        uint256 y = mulmod(r, addmod(v, PRIME - x, PRIME), PRIME);
        y = addmod(y, PRIME - mulmod(p.y, h3, PRIME), PRIME);
        return Point(x, y, mulmod(p.z, h, PRIME));
    }
}

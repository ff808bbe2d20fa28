// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Keys handed from a seller to a buyer so that the chain can open them once the buyer shows its own one-time
/// secret (docs/spec/sealing.md, "Keys of a resold data set").
/// @dev Points of secp256k1 are named by their x coordinate. Two points have it, and products of either with a secret
/// have one x coordinate again, so that nobody needs to say which is meant. What multiplies a point is checked by the
/// `ecrecover` precompile: for hash 0 it returns the address of (s / r) * R, where R is a point with x coordinate r.
/// An address has 160 bits; to make two secrets for one takes 2^80 work.
library KeyDelivery {
    uint256 private constant _PRIME = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant _ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant _GENERATOR_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    /// @dev `v` of a signature whose R has an even y: one of the two points, it does not matter which.
    uint8 private constant _V = 27;
    bytes private constant _COMMITMENT_LABEL = "tessera/content-key/1";
    bytes private constant _MASK_LABEL = "tessera/resale-mask/1";

    /// @notice What shows nothing but the key itself: published before, compared after.
    function commitment(bytes32 order, uint32 shard, bytes32 key) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(_COMMITMENT_LABEL, order, shard, key));
    }

    /// @notice What hides the key of one shard between a delivery and its buyer.
    /// @param shared x coordinate of the product of one side's secret and the other's point.
    function mask(
        bytes32 order,
        uint32 shard,
        bytes32 shared,
        bytes32 sellerPoint,
        bytes32 buyerPoint
    ) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(_MASK_LABEL, order, shard, shared, sellerPoint, buyerPoint));
    }

    /// @return Whether `x` names a point whose multiples can be checked. `ecrecover` takes no x beyond the order.
    function isPoint(bytes32 x) internal view returns (bool) {
        return uint256(x) < _ORDER && _lift(uint256(x)) != 0;
    }

    /// @return Whether `point` is the x coordinate of `secret` times the generator.
    /// @param point one for which {isPoint} holds.
    function isSecretOf(uint256 secret, bytes32 point) internal view returns (bool) {
        return _isProduct(secret, _GENERATOR_X, uint256(point));
    }

    /// @return Whether `shared` is the x coordinate of `secret` times `point`.
    /// @param point one for which {isPoint} holds.
    function isSharedBy(uint256 secret, bytes32 point, bytes32 shared) internal view returns (bool) {
        return _isProduct(secret, uint256(point), uint256(shared));
    }

    function _isProduct(uint256 secret, uint256 factorX, uint256 productX) private view returns (bool) {
        uint256 y = _lift(productX);
        if (y == 0) return false;
        bytes32 s = bytes32(mulmod(secret, factorX, _ORDER));
        address product = ecrecover(0, _V, bytes32(factorX), s);
        // Zero is what a secret that is a multiple of the order gives.
        return
            product != address(0) &&
            (product == _accountOf(productX, y) || product == _accountOf(productX, _PRIME - y));
    }

    /// @return y of one of the two points; zero when no point has this x (none has y = 0).
    function _lift(uint256 x) private view returns (uint256 y) {
        if (x >= _PRIME) return 0;
        uint256 square = addmod(mulmod(mulmod(x, x, _PRIME), x, _PRIME), 7, _PRIME);
        // The prime is 3 modulo 4.
        y = Math.modExp(square, (_PRIME + 1) / 4, _PRIME);
        if (mulmod(y, y, _PRIME) != square) return 0;
    }

    function _accountOf(uint256 x, uint256 y) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(x, y)))));
    }
}

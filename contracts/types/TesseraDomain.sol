// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {OrderTerms, OrderTermsHash} from "./OrderTerms.sol";

/// @notice The one EIP-712 domain of Tessera: name "Tessera", version "1", verified by the order escrow.
/// @dev OpenZeppelin's EIP712 binds a contract to its own address; here several contracts check signatures made for
/// one of them, so that a signer shows its wallet a single domain.
abstract contract TesseraDomain is IERC5267 {
    bytes32 private constant DOMAIN_TYPEHASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );

    address private immutable _verifyingContract;
    uint256 private immutable _cachedChainId;
    bytes32 private immutable _cachedSeparator;

    constructor(address verifyingContract) {
        _verifyingContract = verifyingContract;
        _cachedChainId = block.chainid;
        _cachedSeparator = _buildSeparator(verifyingContract);
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        // Bits of the members that are used: name, version, chainId, verifyingContract.
        return (hex"0f", "Tessera", "1", block.chainid, _verifyingContract, 0, new uint256[](0));
    }

    /// @return Domain separator; computed anew after a chain split, so that a signature counts on one chain only.
    function _domainSeparator() internal view returns (bytes32) {
        return block.chainid == _cachedChainId ? _cachedSeparator : _buildSeparator(_verifyingContract);
    }

    /// @return EIP-712 digest of a struct hash under the domain.
    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domainSeparator(), structHash);
    }

    /// @return The order's id: EIP-712 digest of its terms.
    function _orderId(OrderTerms calldata terms) internal view returns (bytes32) {
        return _digest(OrderTermsHash.hash(terms));
    }

    /// @return Whether `signer`, a key or an ERC-1271 contract, signed the message. The key is tried first, so that an
    /// account that delegates to code (EIP-7702) after it signed cannot take back what it signed.
    function _isSignedBy(
        address signer,
        bytes32 structHash,
        bytes calldata signature
    ) internal view returns (bool) {
        bytes32 digest = _digest(structHash);
        (address recovered, ECDSA.RecoverError problem, ) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return
            signer.code.length != 0 &&
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }

    function _buildSeparator(address verifyingContract) private view returns (bytes32) {
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, keccak256("Tessera"), keccak256("1"), block.chainid, verifyingContract)
            );
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @notice Like the dollar tokens in use: six decimals, permits under version "2", a separator, and no ERC-5267.
contract DollarToken is ERC20, Nonces {
    bytes32 private constant _PERMIT = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );

    string public constant version = "2";

    constructor() ERC20("Test Dollar", "TUSD") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function permit(
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external virtual {
        require(block.timestamp <= deadline, "expired");
        bytes32 message = keccak256(abi.encode(_PERMIT, owner, spender, value, _useNonce(owner), deadline));
        bytes32 digest = MessageHashUtils.toTypedDataHash(DOMAIN_SEPARATOR(), message);
        require(ECDSA.recover(digest, v, r, s) == owner, "not the owner's signature");
        _approve(owner, spender, value);
    }

    function decimals() public pure virtual override returns (uint8) {
        return 6;
    }

    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() public view virtual returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    keccak256(
                        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                    ),
                    keccak256(bytes(name())),
                    keccak256(bytes(version)),
                    block.chainid,
                    address(this)
                )
            );
    }
}

/// @notice A permit that nobody can compute from what the token says of itself.
contract OddDomainToken is DollarToken {
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() public view override returns (bytes32) {
        return keccak256(abi.encode("another domain", super.DOMAIN_SEPARATOR()));
    }
}

/// @notice An ERC-20 token without permits.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLN") {}
}

/// @notice Says yes to whatever it does not know, as WETH does: a permit seems to pass, and allows nothing.
contract PhantomPermitToken is DollarToken {
    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external override {}
}

/// @notice More places than a price can be counted in.
contract FineToken is DollarToken {
    function decimals() public pure override returns (uint8) {
        return 24;
    }
}

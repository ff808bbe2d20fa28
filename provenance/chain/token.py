"""The token of a market, as it says of itself: symbol, decimals, and the EIP-712 domain under which permits are signed.

What cannot be seen from outside is not looked for: a fee on transfers, balances that change by themselves, a list of
blocked accounts, an owner who may replace the code.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from provenance.chain.abi import interface
from provenance.chain.errors import DeploymentError, RevertError
from provenance.chain.rpc import Rpc
from provenance.crypto.permit import Permit, PermitMessage, sign_permit
from provenance.crypto.signing import Signer
from provenance.crypto.typed_data import Domain
from provenance.units import TOKEN, TokenUnit
from provenance.values import Address, Digest, keccak256

_MOST_SYMBOL: Final = 16
_ALL_MEMBERS: Final = b"\x0f"
"""ERC-5267: the domain has name, version, chain id and contract, and no salt."""
_DOMAIN_TYPES: Final = ("bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]")
_DEFAULT_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token with ERC-2612 permits that were seen to work."""

    address: Address
    name: str
    unit: TokenUnit
    domain: Domain


def inspect_token(rpc: Rpc, address: Address) -> Token:
    """Reads a token and tries its permits, with calls alone. Raises DeploymentError for one that no market can use."""
    if rpc.request("eth_getCode", str(address), "latest") in ("0x", None):
        raise DeploymentError(
            f"there is no contract at {address} on the chain of {rpc.url}; expected an ERC-20 token: check the address "
            "and the RPC URL"
        )
    unit = TokenUnit(_decimals(rpc, address), _symbol(rpc, address))
    for function, words in (("totalSupply", b""), ("balanceOf", bytes(32)), ("allowance", bytes(64))):
        _require(rpc, address, f"{function}({','.join(['address'] * (len(words) // 32))})", words)
    domain = permit_domain(rpc, address)
    _try_permit(rpc, address, domain)
    return Token(address, domain.name, unit, domain)


def permit_domain(rpc: Rpc, address: Address) -> Domain:
    """The EIP-712 domain of the token's permits, compared with the separator that the token computes.

    A token names its domain by ERC-5267, or has a `name` and maybe a `version`. Raises DeploymentError when none of
    these gives the separator: a signature under a guessed domain would be refused, or say something else.
    """
    separator = _answer(rpc, address, "DOMAIN_SEPARATOR()")
    if separator is None or len(separator) != Digest.LENGTH:
        raise DeploymentError(
            f"the token {address} has no DOMAIN_SEPARATOR: it has no permits (ERC-2612), by which buyers pay without "
            "sending a transaction. Choose a token that has them"
        )
    chain_id = rpc.integer("eth_chainId")
    for domain in _domains(rpc, address, chain_id):
        if domain.separator() == Digest(separator):
            return domain
    raise DeploymentError(
        f"the token {address} has the domain separator 0x{separator.hex()}, which is not that of its name, version, "
        "chain id and address: wallets could not sign permits for it. Choose another token"
    )


def _domains(rpc: Rpc, address: Address, chain_id: int) -> list[Domain]:
    """What the domain may be, the token's own word first."""
    found: list[Domain] = []
    told = _answer(rpc, address, "eip712Domain()")
    if told:
        try:
            members, name, version, chain, contract, _, _ = decode(_DOMAIN_TYPES, told)
        except DecodingError:
            members = b""
        if members == _ALL_MEMBERS:
            found.append(Domain(chain, Address.parse(contract), name, version))
    name = _text(rpc, address, "name()")
    if name is not None:
        version = _text(rpc, address, "version()") or _DEFAULT_VERSION
        found.append(Domain(chain_id, address, name, version))
    return found


def _try_permit(rpc: Rpc, address: Address, domain: Domain) -> None:
    """A right signature has to pass and a wrong one to be refused, both by a call that changes nothing."""
    owner, other = Signer(secrets.token_bytes(32)), Signer(secrets.token_bytes(32))
    now = int(rpc.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    message = PermitMessage(owner.address, other.address, 1, 0, now + 86_400)
    try:
        _permit(rpc, address, message, sign_permit(owner, domain, message))
    except RevertError as error:
        raise DeploymentError(
            f"the token {address} refuses a permit that is signed as ERC-2612 says ({error}); choose another token"
        ) from error
    try:
        _permit(rpc, address, message, sign_permit(other, domain, message))
    except RevertError:
        return
    raise DeploymentError(
        f"the token {address} takes a permit that its owner did not sign: it ignores permits, as tokens without them "
        "may. Choose another token"
    )


def _permit(rpc: Rpc, address: Address, message: PermitMessage, signed: Permit) -> None:
    arguments = (message.owner, message.spender, message.value, signed.deadline, signed.v, signed.r, signed.s)
    rpc.call(address, interface("TestToken").encode_call("permit", arguments), action="a trial of a permit")


def _decimals(rpc: Rpc, address: Address) -> int:
    answer = _answer(rpc, address, "decimals()")
    found = None if answer is None or len(answer) != 32 else int.from_bytes(answer, "big")
    if found is None or found > TOKEN:
        shown = "nothing" if found is None else str(found)
        raise DeploymentError(
            f"decimals of the token {address}: found {shown}, expected a number from 0 to {TOKEN}; choose another token"
        )
    return found


def _symbol(rpc: Rpc, address: Address) -> str:
    found = _text(rpc, address, "symbol()")
    if not found or len(found) > _MOST_SYMBOL or not found.isprintable():
        raise DeploymentError(
            f"symbol of the token {address}: found {ascii(found)[:60]}, expected 1 to {_MOST_SYMBOL} printable "
            "characters; choose another token"
        )
    return found


def _require(rpc: Rpc, address: Address, signature: str, words: bytes) -> None:
    answer = _answer(rpc, address, signature, words)
    if answer is None or len(answer) != 32:
        raise DeploymentError(
            f"the contract at {address} does not answer {signature}: it is no ERC-20 token; check the address"
        )


def _text(rpc: Rpc, address: Address, signature: str) -> str | None:
    """The string that a view answers; None when there is no such view."""
    answer = _answer(rpc, address, signature)
    if not answer:
        return None
    try:
        (text,) = decode(["string"], answer)
    except (DecodingError, UnicodeDecodeError):
        return None
    return str(text)


def _answer(rpc: Rpc, address: Address, signature: str, words: bytes = b"") -> bytes | None:
    """What a view answers; None when the contract refuses the call."""
    try:
        return rpc.call(address, bytes(keccak256(signature.encode()))[:4] + words, action=signature)
    except RevertError:
        return None

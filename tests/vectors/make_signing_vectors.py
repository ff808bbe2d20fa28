"""Writes terms.json, receipts.json and sealing.json. Run from the repository root after a deliberate change:

    python -m tests.vectors.make_signing_vectors

The digests of typed messages come from eth_account, not from provenance, so that the vectors are a second opinion.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_abi.abi import encode as abi_encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from provenance.crypto.seal import DeliveryKey, FileKind, file_label, wrap_key
from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.record.receipts import (
    Acceptance,
    Evaluation,
    ModelCommitment,
    Payout,
    ShardReceipt,
    salt_digest,
    shares_digest,
)
from provenance.record.terms import OrderTerms
from provenance.values import Address, Digest, sha256

FOLDER = Path(__file__).parent
DOMAIN = Domain(31337, Address.parse("0xe7f1725e7734ce288f8367e1bb143e90bb3f0512"))
SECRET = bytes(range(1, 33))
PARENTS = [3, 2**64 + 1]


def main() -> None:
    terms = OrderTerms(
        buyer=Address(bytes([0xB1] * 20)),
        broker=Address(bytes([0xB2] * 20)),
        collection=sha256(b"collection"),
        request=sha256(b"request"),
        delivery_key=DeliveryKey(SECRET).public,
        rows=10_000,
        epsilon_micro=3_000_000,
        delta_e12=10_000_000,
        min_score_micro=800_000,
        min_contributors=3,
        max_contributors=5,
        broker_fee_bps=500,
        match_by=1_800_000_000,
        deliver_by=1_800_003_600,
        challenge_seconds=86_400,
        answer_seconds=14_400,
        price=10**19,
        stake=2 * 10**18,
        bond=10**18,
        royalty_bps=250,
        conditions=sha256(b"conditions"),
        parents=Digest(keccak(abi_encode(["uint256[]"], [PARENTS]))),
        schema_digest=sha256(b"schema"),
        size_class=1,
        spec_version=1,
        own_real_micro=1_000_000,
        indivisible=False,
        salt=sha256(b"salt"),
    )
    order = Digest(digest_of(terms))
    write(
        "terms.json",
        {
            "domain": {"chainId": DOMAIN.chain_id, "verifyingContract": str(DOMAIN.verifying_contract)},
            "typeString": terms.type_string(),
            "terms": terms.document(),
            "orderId": str(order),
            "parents": {"ids": [str(each) for each in PARENTS], "digest": str(terms.parents)},
            **signed(terms),
        },
    )
    write("receipts.json", receipts(order))
    write("sealing.json", sealing(order))


def receipts(order: Digest) -> dict[str, object]:
    contributor = Address(bytes([0xC1] * 20))
    shares, models = [5000, 3000, 2000], [sha256(bytes([n])) for n in range(3)]
    models_digest, block_hash = keccak(b"".join(models)), sha256(b"block")
    salts = [sha256(b"salt %d" % n) for n in range(3)]
    people = [(str(contributor), 6000), (str(Address(bytes([0xC2] * 20))), 4000)]
    messages: list[TypedMessage] = [
        Acceptance(order, contributor, 5_000),
        ModelCommitment(order, 2, models[2], salt_digest(order, 2, salts[2])),
        ShardReceipt(
            order,
            1,
            models[1],
            sha256(b"seed"),
            3_333,
            sha256(b"root"),
            2_900_000,
            10_000_000,
            sha256(b"content"),
        ),
        Evaluation(order, sha256(b"root"), 912_345, shares_digest(shares), sha256(b"score")),
        Payout(contributor, Address(bytes([0xC3] * 20)), 7, 1_800_000_000),
    ]
    return {
        "domain": {"chainId": DOMAIN.chain_id, "verifyingContract": str(DOMAIN.verifying_contract)},
        "messages": [
            {
                "name": message.NAME,
                "typeString": message.type_string(),
                "message": message.document(),
                "digest": "0x" + digest_of(message).hex(),
                **signed(message),
            }
            for message in messages
        ],
        "shares": {"bps": shares, "digest": hex_keccak(abi_encode(["uint16[]"], [shares]))},
        "participants": {
            "list": [{"contributor": who, "rows": rows} for who, rows in people],
            "digest": hex_keccak(abi_encode(["(address,uint64)[]"], [people])),
        },
        "seed": {
            "order": str(order),
            "modelDigests": [str(model) for model in models],
            "modelsDigest": "0x" + models_digest.hex(),
            "blockHash": str(block_hash),
            "salts": [str(salt) for salt in salts],
            "saltDigests": [
                hex_keccak(abi_encode(["bytes32", "uint32", "bytes32"], [order, shard, salt]))
                for shard, salt in enumerate(salts)
            ],
            "seed": hex_keccak(
                abi_encode(["bytes32"] * 4, [order, models_digest, block_hash, keccak(b"".join(salts))])
            ),
        },
    }


def sealing(order: Digest) -> dict[str, object]:
    """Files sealed frame by frame with AESGCM directly. The wrapped key is random: readers unwrap it."""
    key, prefix = bytes(range(32)), bytes(range(7))
    files = []
    plains: dict[FileKind, bytes] = {"rows": bytes(65_536) + b"end", "model": b"", "score": b"{}"}
    for kind, plain in plains.items():
        label = file_label(order, 3, kind)
        frames = [plain[i : i + 65_536] for i in range(0, max(len(plain), 1), 65_536)]
        sealed = b"TSE1" + prefix
        for number, frame in enumerate(frames):
            nonce = prefix + number.to_bytes(4, "big") + bytes([number == len(frames) - 1])
            sealed += AESGCM(key).encrypt(nonce, frame, label)
        files.append(
            {
                "kind": kind,
                "label": "0x" + label.hex(),
                "plainSize": len(plain),
                "plainSha256": str(sha256(plain)),
                "sealedSha256": str(sha256(sealed)),
                "sealedTail": "0x" + sealed[-32:].hex(),
            }
        )
    delivery = DeliveryKey(SECRET)
    return {
        "order": str(order),
        "shard": 3,
        "deliverySecret": "0x" + SECRET.hex(),
        "deliveryKey": str(delivery.public),
        "contentKey": "0x" + key.hex(),
        "wrappedKey": "0x" + wrap_key(key, delivery.public, order, 3).hex(),
        "noncePrefix": "0x" + prefix.hex(),
        "files": files,
    }


def digest_of(message: TypedMessage) -> bytes:
    """EIP-712 digest by eth_account."""
    signable = encode_typed_data(full_message=message.typed_data(DOMAIN))
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def signed(message: TypedMessage) -> dict[str, str]:
    signature = Account.sign_typed_data(SECRET, full_message=message.typed_data(DOMAIN))
    return {"signer": Account.from_key(SECRET).address, "signature": "0x" + bytes(signature.signature).hex()}


def hex_keccak(data: bytes) -> str:
    return "0x" + keccak(data).hex()


def write(name: str, document: dict[str, object]) -> None:
    (FOLDER / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

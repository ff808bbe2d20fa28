"""Contents: the CID is the store's, bytes come back as they went in."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.content import release
from provenance.crypto.signing import Signer
from provenance.errors import ContentMissingError
from provenance.store.unixfs import cid_of
from provenance.values import Cid
from tests.backend.conftest import Api


def test_refuses_what_is_no_cid(api: Api) -> None:
    answer = api.call("GET", "/v1/content/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnSPdG")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_refuses_a_cid_that_the_store_lacks(api: Api) -> None:
    answer = api.call("GET", f"/v1/content/{cid_of(b'never stored')}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_refuses_an_empty_body(api: Api) -> None:
    answer = api.call("POST", "/v1/content", b"", by=api.broker)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_refuses_a_damaged_file_instead_of_serving_it(api: Api, tmp_path: Path) -> None:
    cid = api.call("POST", "/v1/content", b"precious", by=api.broker).json()["cid"]
    file = next((tmp_path / "waiting").rglob(cid))
    file.write_bytes(b"damaged!")
    answer = api.call("GET", f"/v1/content/{cid}", by=api.broker)
    assert (answer.status_code, answer.json()["code"]) == (502, "content-damaged")


def test_keeps_bytes_of_several_blocks_and_serves_them_to_all_once_they_are_released(
    api: Api, two_nodes: list[Signer]
) -> None:
    api.announce(two_nodes[0], api.collection())
    data = bytes(range(256)) * 4096 * 2 + b"tail"
    first = api.call("POST", "/v1/content", data, by=two_nodes[0])
    assert (first.status_code, first.json()) == (201, {"cid": str(cid_of(data)), "size": len(data)})
    assert api.call("POST", "/v1/content", data, by=api.broker).status_code == 200
    cid = Cid(first.json()["cid"])
    for caller in (None, two_nodes[0]):
        answer = api.call("GET", f"/v1/content/{cid}", by=caller)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert api.call("GET", f"/v1/content/{cid}", by=api.broker).content == data
    for _ in range(2):
        release(api.ports, cid)
    served = api.call("GET", f"/v1/content/{cid}")
    assert served.content == data
    assert served.headers["content-type"] == "application/octet-stream"
    assert not api.ports.waiting.has(cid), "it is kept once"
    with pytest.raises(ContentMissingError):
        release(api.ports, cid_of(b"never brought"))

"""What a node keeps of its table and of its orders is sealed: who copies the folder without its key reads nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from generator.errors import StateError
from generator.federation.private_files import PrivateFiles
from generator.federation.state import ContributorState
from generator.federation.task import Result
from generator.fitting.private_schema import PrivateRequest, private_schema
from generator.node.context import ORDERS, Node
from generator.node.orders import Orders
from generator.node.policy import DEFAULT_TEXT
from generator.node.sample import sample_shard
from generator.node.setup import COLLECTION, DEPLOYMENT, STATE, open_node
from generator.privacy.ledger import PrivacyCap
from generator.privacy.owner import Owner
from provenance import canonical
from provenance.crypto.at_rest import MARK, RestKey
from provenance.crypto.signing import load_key
from provenance.record.collection import Collection
from provenance.table.codec import decode_values, encode_table
from tests.generator.node import memory
from tests.generator.node.trained import Trained
from tests.generator.node.world import World, toy_table

PIECE = 48


def private_bytes(trained: Trained) -> list[bytes]:
    """Pieces of everything that has to be sealed on the first node's disk."""
    node = trained.nodes[0]
    state, folder = node.state.order(trained.order), node.orders.folder(trained.order)
    answer = folder.stored("sample")
    assert answer is not None
    results = [state.result(path.stem) for path in state.folder.glob("results/*")]
    sent = [array for each in (*results, Result.decode(answer)) if each for array in each.arrays.values()]
    assert len(sent) >= 4
    whole = [node.state.values.tobytes(), state.model(), *(array.tobytes() for array in sent)]
    pieces = [
        data[at : at + PIECE] for data in whole for at in range(0, len(data) - PIECE, len(data) // 4 or 1)
    ]
    key = folder.content_key()
    return [key, key.hex().encode(), *(piece for piece in pieces if len(set(piece)) > 3)]


def found_in(folder: Path, pieces: list[bytes]) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(piece in path.read_bytes() for piece in pieces)]


def sampled(trained: Trained) -> Trained:
    sample_shard(trained.nodes[0], trained.sample_task())
    return trained


def plain_again(node: Node) -> list[Path]:
    """The folder as an earlier release would have left it; returns what was private in it."""
    made = []
    for root in (node.folder / STATE, node.folder / ORDERS):
        private = PrivateFiles(root, RestKey.of(node.signer))
        (root / MARK).unlink(missing_ok=True)
        for path in [each for each in root.rglob("*") if each.is_file()]:
            if path.read_bytes().startswith(b"TSE1"):
                path.write_bytes(private.read(path))
                made.append(path)
    return made


def test_no_private_byte_lies_plain_in_a_node_s_folder(trained: Trained) -> None:
    pieces = private_bytes(sampled(trained))
    node = trained.nodes[0]
    assert found_in(node.folder, pieces) == []
    made = plain_again(node)
    assert len(found_in(node.folder, pieces)) >= 5, "the search finds what is plain"
    names = {path.name for path in made}
    assert names > {
        "table.safetensors",
        "secret.key",
        "model.tsm",
        "bins.safetensors",
        "content.key",
        "rows",
        "sample",
    }


@pytest.mark.parametrize("killed_after", [None, 0, 3])
def test_a_folder_of_an_earlier_release_is_sealed_when_it_is_opened(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, killed_after: int | None
) -> None:
    pieces, node = private_bytes(sampled(trained)), trained.nodes[0]
    values, key = node.state.values, RestKey.of(node.signer)
    wrapped = node.orders.folder(trained.order).key_to_release(0)
    plain_again(node)
    if killed_after is not None:
        real, left = PrivateFiles.write, iter(range(killed_after))

        def write(self: PrivateFiles, path: Path, data: bytes) -> None:
            next(left)
            real(self, path, data)

        with monkeypatch.context() as patch:
            patch.setattr(PrivateFiles, "write", write)
            with pytest.raises(StopIteration):
                ContributorState.open(node.folder / STATE, key)
    state = ContributorState.open(node.folder / STATE, key)
    Orders(node.folder / ORDERS, key).seal_all()
    assert found_in(node.folder, pieces) == []
    assert np.array_equal(state.values, values)
    assert trained.world.node(0).orders.folder(trained.order).key_to_release(0) == wrapped
    sample_shard(trained.world.node(0), trained.sample_task())


def test_another_key_opens_nothing_and_says_so(trained: Trained) -> None:
    node = sampled(trained).nodes[0]
    Orders(node.folder / ORDERS, RestKey.of(node.signer)).seal_all()
    for key in (RestKey.random(), RestKey.of(trained.nodes[1].signer)):
        with pytest.raises(StateError, match="sealed under another key than this node's"):
            ContributorState.open(node.folder / STATE, key)
        with pytest.raises(StateError, match="name the key that the node was set up with"):
            Orders(node.folder / ORDERS, key).seal_all()


def test_sealed_files_cannot_be_exchanged(trained: Trained) -> None:
    state = trained.nodes[0].state.order(trained.order)
    shutil.copy(
        state.folder / "results" / "tables.safetensors", state.folder / "results" / "bins.safetensors"
    )
    with pytest.raises(StateError, match="does not open"):
        state.result("bins")


def test_opening_a_node_seals_it_and_charges_the_released_schema_to_its_table(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with or without a fit that charged it before."""
    owner = Owner(world.folder / "owner")
    monkeypatch.setenv("TESSERA_OWNER", str(owner.folder))
    cells = decode_values(world.collection.schema, toy_table(0))
    schema = private_schema(lambda: [cells], PrivateRequest("toy", 1.0, 1e-6, target="c")).schema
    collection = Collection("toy", "Toy", schema, "marginal", "private", 2, 10**15, 3_000_000, {})
    values = encode_table(schema, cells)
    node = world.node(0)
    folder = node.folder
    shutil.rmtree(folder / STATE)
    key = folder / "node.key"
    key.write_text(f"0x{(bytes([1]) * 32).hex()}\n")
    key.chmod(0o600)
    table = owner.table(values, schema, "table.csv")
    rest = RestKey.of(load_key(key))
    ContributorState.create(folder / STATE, schema, values, PrivacyCap(4.0), rest, owned=table)
    node.settings.write(folder)
    memory.DEPLOYMENT.save(folder / DEPLOYMENT)
    (folder / COLLECTION).write_bytes(canonical.encode(collection.document()))
    (folder / "policy.toml").write_text(DEFAULT_TEXT)
    assert table.ledger().charged_epsilon() == 0
    for _ in range(2):
        opened = open_node(folder)
        assert 0.5 < opened.state.ledger.charged_epsilon() < 1.01
        (charge,) = opened.state.ledger.charged()
        assert schema.release is not None
        assert charge.order == schema.release.id
    assert (folder / ORDERS / MARK).exists()
    key.write_text(f"0x{(bytes([2]) * 32).hex()}\n")
    with pytest.raises(StateError, match="another key"):
        open_node(folder)

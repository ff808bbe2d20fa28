"""Messages: strict on reading, the same bytes on writing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from generator.errors import TaskFormatError
from generator.federation.task import Result, Task, answer, from_fixed, to_fixed
from provenance import canonical
from provenance.canonical import JsonValue
from provenance.values import Address, sha256

ORDER = sha256(b"order")
NODE = Address(b"\x11" * 20)
HEAD = {
    "format": "tessera-task/2",
    "meta": {},
    "name": "bins",
    "node": str(NODE),
    "order": str(ORDER),
}


def raw(head: object = HEAD, arrays: dict[str, np.ndarray] | None = None, **extra: str) -> bytes:
    return save(arrays or {}, metadata={"tessera": canonical.encode(head).decode(), **extra})


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, np.float16),
        np.zeros(2, np.complex128),
        np.array(["text"]),
        np.array([3.0]),
        np.array([3.0], dtype=np.float32),
    ],
)
def test_refuses_to_send_other_arrays_than_of_integers(array: np.ndarray) -> None:
    """The last bits of a noisy count as a double tell the count."""
    for kind in (Task, Result):
        with pytest.raises(TaskFormatError, match="array a has type"):
            kind(ORDER, "bins", NODE, {}, {"a": array}).encode()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("kind", "name"), [(Task, "task"), (Result, "result")])
def test_refuses_received_arrays_of_floating_point_numbers(
    kind: type[Task] | type[Result], name: str, dtype: type
) -> None:
    head = {**HEAD, "format": f"tessera-{name}/2"}
    assert kind.decode(raw(head, {"a": np.zeros(2, np.int64)})).arrays["a"].dtype == np.int64
    with pytest.raises(TaskFormatError, match="'a' of type F"):
        kind.decode(raw(head, {"a": np.zeros(2, dtype)}))


def test_what_is_no_whole_number_travels_as_whole_steps() -> None:
    sent = to_fixed(np.array([0.1, -3.0, 1e300]))
    assert sent.dtype == np.int64
    assert from_fixed(sent)[:2] == pytest.approx([0.1, -3.0], abs=2**-25)
    assert to_fixed(np.array([-1e9]), np.int32).tolist() == [-(2**30)]
    with pytest.raises(TaskFormatError, match="finite"):
        to_fixed(np.array([np.nan]))
    with pytest.raises(TaskFormatError, match="float64"):
        from_fixed(np.zeros(1))


def test_refuses_booleans_that_are_neither_true_nor_false() -> None:
    data = bytearray(raw(arrays={"a": np.array([True, False])}))
    data[-1] = 2
    with pytest.raises(TaskFormatError, match="BOOL"):
        Task.decode(bytes(data))


@pytest.mark.parametrize("name", ["", "Bins", "../x", "round/3", "bins/0001/0002", "a" * 40])
def test_refuses_step_names_outside_the_alphabet(name: str) -> None:
    with pytest.raises(TaskFormatError, match="name"):
        Task.decode(raw({**HEAD, "name": name}))


@pytest.mark.parametrize(
    "head",
    [
        {**HEAD, "format": "tessera-task/1"},
        {**HEAD, "format": "tessera-result/2"},
        {**HEAD, "more": 1},
        {**HEAD, "meta": []},
        {**HEAD, "node": "0x12"},
        {**HEAD, "order": 5},
        [],
    ],
)
def test_refuses_heads_that_are_not_a_task_of_this_version(head: object) -> None:
    with pytest.raises(TaskFormatError):
        Task.decode(raw(head))


def test_refuses_metadata_beside_its_own_and_metadata_that_is_not_canonical() -> None:
    with pytest.raises(TaskFormatError):
        Task.decode(raw(also="this"))
    spaced = save({}, metadata={"tessera": canonical.encode(HEAD).decode().replace(":", ": ", 1)})
    with pytest.raises(TaskFormatError):
        Task.decode(spaced)
    with pytest.raises(TaskFormatError):
        Task.decode(save({}))


def test_refuses_a_header_nested_without_end() -> None:
    header = b"[" * 1_000_000
    with pytest.raises(TaskFormatError, match="nested too deeply"):
        Task.decode(len(header).to_bytes(8, "little") + header)


def test_refuses_more_bytes_than_the_limit() -> None:
    data = Task(ORDER, "bins", NODE, {}, {"a": np.zeros(100, np.int64)}).encode()
    with pytest.raises(TaskFormatError, match="refuse the sender"):
        Task.decode(data, max_bytes=len(data) - 1)


def test_refuses_every_truncation_and_appended_bytes() -> None:
    data = Task(ORDER, "bins", NODE, {"a": 1}, {"a": np.arange(3)}).encode()
    for end in range(len(data)):
        with pytest.raises(TaskFormatError):
            Task.decode(data[:end])
    with pytest.raises(TaskFormatError):
        Task.decode(data + b"\0")


META = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)
DTYPES = st.sampled_from(["i1", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "?"])
ARRAYS = st.dictionaries(
    st.from_regex(r"\A[A-Za-z0-9_./-]{1,12}\Z"),
    DTYPES.flatmap(
        lambda dtype: hnp.arrays(
            np.dtype(dtype),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        )
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(META, ARRAYS)
def test_what_was_sent_is_received_and_bytes_are_unique(
    meta: dict[str, JsonValue], arrays: dict[str, np.ndarray]
) -> None:
    task = Task(ORDER, "round/0003", NODE, meta, arrays)
    data = task.encode()
    back = Task.decode(data)
    assert (back.key, back.meta) == (task.key, meta)
    assert back.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].shape == array.shape
        assert np.array_equal(back.arrays[name], array)
    assert back.encode() == data


def test_a_result_belongs_to_its_task_and_is_no_task() -> None:
    task = Task(ORDER, "bins", NODE)
    result = answer(task, {"n": 1})
    assert result.key == task.key
    assert Result.decode(result.encode()).meta == {"n": 1}
    with pytest.raises(TaskFormatError):
        Task.decode(result.encode())

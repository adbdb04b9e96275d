"""Whatever bytes come, reading them gives a request that fits the model or a refusal, and memory stays bounded."""

import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.request_targets import MODELS, SEEDS, TARGETS, try_case
from tests.serving.request_stage import message

CASES = 30_000
SEEDED = sorted(SEEDS.iterdir())
TOKENS = [
    *(
        word.encode()
        for word in ('"data":', '"shape":', '"binary_data_size":', '"inputs":[', '"outputs":[{"name":"x"}]')
    ),
    *(
        b"null true false NaN -Infinity 1e400 1e39 -0 0 1 -1 256 65536 4294967296 18446744073709551616".split()
    ),
    *(b'[ ] { } [[ ]] , : " "" \\ \\u0000 \\ud800 \\udfff " \n'.split(b" ")),
    *(b"\xff \xc3\x28 \xed\xa0\x80 \x00 \xef\xbb\xbf FP32 BYTES BOOL INT64 9223372036854775807".split(b" ")),
]


def mutated(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """A neighbour of a valid case: a few edits of bytes, words or pieces of another case."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        place = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 2, 4, 8, 30))
        kind = chance.randrange(6)
        if kind == 0 and place < len(data):
            data[place] = chance.randrange(256)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = chance.choice(TOKENS)
        elif kind == 3:
            data[place : place + length] = chance.choice(TOKENS)
        elif kind == 4:
            start = chance.randrange(len(other))
            data[place : place + length] = other[start : start + length]
        else:
            data[place:place] = data[place : place + length] * chance.choice((1, 2, 50))
    return bytes(data)


@pytest.mark.parametrize("seed", SEEDED, ids=lambda path: path.name)
def test_every_kept_case_has_an_outcome(seed: Any) -> None:
    refused = {"binary-words-length", "content-type", "csv-flags", "deep", "header", "huge", "nan", "range"}
    assert try_case(seed.read_bytes()) is (seed.name not in refused)


@pytest.mark.slow
def test_neighbours_of_valid_bodies_are_read_or_refused() -> None:
    chance = random.Random(7)
    contents = [path.read_bytes() for path in SEEDED]
    taken = 0
    for _ in range(CASES):
        taken += try_case(mutated(chance.choice(contents), chance.choice(contents), chance))
    # Neither a fuzzer that is always refused nor a decoder that takes everything.
    assert 0.02 * CASES < taken < 0.5 * CASES


NAMES = st.sampled_from(["x", "age", "town", "BYTES", "FP32", "y", ""])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(width=32), st.text(max_size=3), st.just(2**64)
)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=8)
PARAMETERS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["binary_data_size", "binary_data", "binary_data_output"]), SCALARS, max_size=2
    ),
    DATA,
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(NAMES, SCALARS),
        "datatype": st.one_of(st.sampled_from(["FP32", "FP64", "BYTES", "BOOL", "UINT8"]), SCALARS),
        "shape": st.one_of(st.lists(st.one_of(st.integers(0, 3), st.integers()), max_size=4), DATA),
        "data": DATA,
        "parameters": PARAMETERS,
    },
)
TABLES = st.one_of(
    DATA,
    st.dictionaries(
        st.sampled_from(["data", "columns", "x", "age", "town", "p", "q", "r"]), DATA, max_size=4
    ),
    st.lists(st.dictionaries(NAMES, DATA, max_size=3), max_size=3),
)


@pytest.mark.slow
@given(
    st.sampled_from(sorted(name for name in TARGETS if name.endswith("infer"))),
    st.lists(ITEMS, max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "outputs", "parameters"]), st.one_of(DATA, st.lists(ITEMS, max_size=2))
    ),
    st.binary(max_size=40),
    st.booleans(),
)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_messages_of_any_content_are_read_or_refused(
    target: str, items: list[Any], more: dict[str, Any], tail: bytes, binary: bool
) -> None:
    head = message(*items, **more)
    line = f"{target} {len(head)}" if binary else target
    try_case(line.encode() + b"\n" + head + (tail if binary else b""))


@pytest.mark.slow
@given(
    st.sampled_from(sorted(name for name in TARGETS if name.endswith("invoke"))),
    st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params"]),
        TABLES,
        max_size=2,
    ),
)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_tables_of_any_content_are_read_or_refused(target: str, body: dict[str, Any]) -> None:
    try_case(target.encode() + b"\n" + json.dumps(body).encode())


@pytest.mark.parametrize(
    "filler", [b"[", b"[],", b"0,", b'"",', b'"a",', b"{},", b"null,", b"9" * 1000 + b","]
)
@pytest.mark.parametrize("name", MODELS)
def test_memory_is_bounded_by_the_size_of_the_body(name: str, filler: bytes) -> None:
    tensor = MODELS[name].inputs[-1]
    shape = [max(1, size) for size in tensor.shape]
    start = (
        f'{name}-infer\n{{"inputs":[{{"name":"{tensor.name}","datatype":"{tensor.datatype}","shape":{shape},'
    )
    contents = [
        start.encode() + b'"data":[' + filler * (300_000 // len(filler)) + tail
        for tail in (b"", b"0]}]}", b"[]]}]}")
    ]
    contents.append(f"{name}-invoke\n".encode() + b'{"inputs":[' + filler * (300_000 // len(filler)) + b"0]}")
    for content in contents:
        tracemalloc.start()
        try_case(content)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 64 * len(content)

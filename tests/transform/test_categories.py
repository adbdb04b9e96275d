import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran

from fiat.errors import SpecError
from fiat.transform.categories import EmbedIndex, Hash, OneHot, Ordinal
from fiat.transform.numbers import Bucketize
from fiat.transform.texts import Lower
from fiat.transform.tokens import Tokenize

NAN = math.nan
ALL = {"max": 100, "min_rows": 1, "unknown": "other"}
words = st.lists(st.sampled_from(["a", "b", "", "é", "日本", "A b", "\x1f"]), min_size=1, max_size=20)


def texts(*rows: str) -> np.ndarray:
    return np.array(rows, object).reshape(-1, 1)


def numbers(*rows: float) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 1)


def ran(operation: Any, train: np.ndarray, kind: str = "text", **setting: Any) -> Ran:
    return Ran([(operation, {**ALL, **setting})], kind, train)


def test_one_hot_has_a_column_a_category_the_most_frequent_first_and_one_for_all_others() -> None:
    found = ran(OneHot(), texts("b", "c", "b", "a"))
    assert found.value.names == ("x=b", "x=a", "x=c", "x=(other)")
    assert found(["a", "b", "zz", ""]).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]


def test_missing_is_a_category_when_train_has_it() -> None:
    found = ran(OneHot(), texts("a", "", "a"), unknown="ignore")
    assert found.value.names == ("x=a", "x=(missing)")
    assert found(["", "new"]).tolist() == [[0, 1], [0, 0]]
    whole = ran(Ordinal(), numbers(3, NAN, 3), "number")
    assert whole(numbers(3, NAN, 4)).reshape(-1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("setting", "kept"), [({"max": 2}, ["a", "b"]), ({"min_rows": 3}, ["a"])])
def test_rare_categories_are_unknown(setting: dict[str, int], kept: list[str]) -> None:
    found = ran(OneHot(), texts(*"aaabbcc"), **setting)
    assert found.value.names == (*(f"x={item}" for item in kept), "x=(other)")


def test_whole_numbers_that_arrive_as_floats_are_categories_and_what_is_between_them_is_unknown() -> None:
    found = ran(Ordinal(), numbers(7, 7, 5, -3), "number")
    assert found.value.n_categories == 4
    served = numbers(7, -3, 5, 5.5, 1e308, -math.inf, math.inf, NAN, 7.0000001)
    assert found(served).reshape(-1).tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("operation", [OneHot(), Ordinal(), EmbedIndex()])
def test_numbers_that_are_not_whole_are_no_categories(operation: Any) -> None:
    with pytest.raises(SpecError, match=r"column 'x' holds 0.5, but categories are texts or whole") as caught:
        ran(operation, numbers(1, 0.5, NAN), "number")
    assert "bucketize" in caught.value.hint
    with pytest.raises(SpecError, match="holds inf"):
        ran(operation, numbers(1, math.inf), "number")
    with pytest.raises(SpecError, match=r"holds 0.5"):
        Ran([(Hash(), 10)], "number", numbers(0.5))


def test_buckets_are_categories() -> None:
    steps = [(Bucketize(), {"edges": [0, 10]}), (OneHot(), ALL)]
    found = Ran(steps, "number", numbers(-1, 5, 5, 50, NAN))
    assert found.value.names == ("x=1", "x=0", "x=2", "x=3", "x=(other)")
    assert found(numbers(5, NAN)).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]


def test_an_unknown_category_is_refused_when_the_spec_says_so() -> None:
    found = ran(OneHot(), texts("a", "b"), unknown="error")
    assert found(["b", "a"]).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(Exception, match="a category of x that training did not see"):
        found(["a", "c"])


@pytest.mark.parametrize("setting", [{"max": 1}, {"min_rows": 2}])
def test_what_the_graph_would_refuse_of_train_itself_is_told_when_fitting(setting: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="has 2 categories in train, of which 1 are kept"):
        ran(OneHot(), texts("a", "a", "b"), unknown="error", **setting)


def test_no_category_is_left_by_a_high_min_rows() -> None:
    with pytest.raises(SpecError, match="no value of column 'x' is in 5 rows of train"):
        ran(Ordinal(), texts("a", "b"), min_rows=5)


def test_ordinal_has_no_number_for_nothing() -> None:
    with pytest.raises(SpecError, match="`ordinal` has no number for no category"):
        ran(Ordinal(), texts("a"), unknown="ignore")


def test_counts_of_distinct_texts_weigh_and_texts_made_equal_are_one_category() -> None:
    rows, counts = texts("B", "a", "b", "A"), np.array([2, 4, 3, 0])
    found = Ran([(Lower(), True), (Ordinal(), ALL)], "text", rows, counts=counts)
    assert found.states[1] == {"categories": ["b", "a"]}


def test_embed_index_keeps_0_for_missing_and_1_for_unknown() -> None:
    found = ran(EmbedIndex(), texts("a", "b", "b", ""))
    assert found.value.own
    assert found.value.n_categories == 4
    assert found(["", "x", "b", "a"]).reshape(-1).tolist() == [0, 1, 2, 3]
    whole = ran(EmbedIndex(), numbers(4, 4, 9, NAN), "number")
    assert whole(numbers(NAN, 5, 4, 9, 0.5)).reshape(-1).tolist() == [0, 1, 2, 3, 1]


def test_embed_index_of_words_cuts_and_fills_up_to_its_length() -> None:
    steps = [(Tokenize(), {}), (EmbedIndex(), {"max": 2, "min_rows": 1, "length": 3})]
    found = Ran(steps, "text", texts("b a b", "c c b a"))
    assert found.states[1] == {"categories": ["a", "b"]}  # both are in two texts
    assert found.value.names == ("x[0]", "x[1]", "x[2]")
    assert found.value.n_categories == 4
    for rows in (["a b c d", "", "b"], ["b"], ["", ""]):
        expected = {"a b c d": [2, 3, 1], "": [0, 0, 0], "b": [3, 0, 0]}
        assert found(rows).tolist() == [expected[row] for row in rows]


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0. Source: the reference implementation of Austin Appleby, public domain."""

    def mix(k: int) -> int:
        k = k * 0xCC9E2D51 & 0xFFFFFFFF
        k = (k << 15 | k >> 17) & 0xFFFFFFFF
        return k * 0x1B873593 & 0xFFFFFFFF

    h, whole = 0, len(data) // 4 * 4
    for at in range(0, whole, 4):
        h ^= mix(int.from_bytes(data[at : at + 4], "little"))
        h = (h << 13 | h >> 19) & 0xFFFFFFFF
        h = (h * 5 + 0xE6546B64) & 0xFFFFFFFF
    h ^= mix(int.from_bytes(data[whole:], "little")) if data[whole:] else 0
    h ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h ^= h >> shift
        h = h * factor & 0xFFFFFFFF
    return h


@settings(max_examples=40, deadline=None)
@given(words, st.integers(1, 1000))
def test_hash_is_murmurhash3_modulo_the_buckets(rows: list[str], n_buckets: int) -> None:
    found = Ran([(Hash(), n_buckets)], "text", texts("a"))
    assert found.value.n_categories == n_buckets
    assert found(rows).reshape(-1).tolist() == [murmur3(row.encode()) % n_buckets for row in rows]


def test_whole_numbers_are_hashed_by_their_bytes() -> None:
    found = Ran([(Hash(), 97)], "number", numbers(1))
    served = [0, 1, -1, 2**40]
    expected = [murmur3(item.to_bytes(8, "little", signed=True)) % 97 for item in served]
    assert found(numbers(*served)).reshape(-1).tolist() == expected


def test_hash_of_words_counts_those_of_each_bucket() -> None:
    found = Ran([(Tokenize(), {}), (Hash(), 5)], "text", texts("a"))
    rows = ["a b a", "", "日本 a", "one two three four five six"]
    expected = [
        [Counter(murmur3(word.encode()) % 5 for word in row.split())[bucket] for bucket in range(5)]
        for row in rows
    ]
    assert found(rows).tolist() == expected
    assert found([""]).tolist() == [[0] * 5]


@settings(max_examples=60, deadline=None)
@given(words, words, st.integers(1, 4), st.integers(1, 3), st.sampled_from(["other", "ignore"]))
def test_one_hot_is_what_counting_by_hand_gives(
    train: list[str], served: list[str], most: int, min_rows: int, unknown: str
) -> None:
    counts = Counter(train)
    kept = sorted(
        (item for item in counts if counts[item] >= min_rows), key=lambda item: (-counts[item], item)
    )
    kept = kept[:most]
    if not kept:
        return
    expected = [[float(row == item) for item in kept] for row in served]
    if unknown == "other":
        expected = [[*row, float(not any(row))] for row in expected]
    found = ran(OneHot(), texts(*train), max=most, min_rows=min_rows, unknown=unknown)
    assert found(served).tolist() == expected

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.transform.vocabulary import choose_grams, count_grams

TEXTS = st.lists(st.tuples(st.lists(st.sampled_from("abc"), max_size=5), st.integers(1, 3)), max_size=8)


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.integers(1, 4))
def test_each_text_counts_a_sequence_once(texts: list[tuple[list[str], int]], longest: int) -> None:
    table = np.full((len(texts), 5), "", object)
    expected: Counter[tuple[str, ...]] = Counter()
    for row, (words, count) in enumerate(texts):
        table[row, : len(words)] = words
        grams = {
            tuple(words[start : start + length])
            for length in range(1, longest + 1)
            for start in range(len(words) - length + 1)
        }
        expected.update(dict.fromkeys(grams, count))
    found = count_grams(table, np.array([count for _, count in texts], np.int64), longest)
    assert dict(found) == dict(expected)


def test_of_equally_frequent_ones_the_first_by_alphabet_stay() -> None:
    found = {("b",): 2, ("a", "b"): 2, ("c",): 3, ("d",): 1}
    assert choose_grams(found, 2, 1) == [(("c",), 3), (("a", "b"), 2)]
    assert choose_grams(found, 9, 2) == [(("c",), 3), (("a", "b"), 2), (("b",), 2)]

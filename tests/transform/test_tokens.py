import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran

from fiat.errors import SpecError
from fiat.transform.categories import EmbedIndex, Hash
from fiat.transform.runtime import MOST_LETTERS, run_all, run_parts
from fiat.transform.tokens import TfIdf, Tokenize

QUICK = settings(max_examples=25, deadline=None)
WORDS = st.sampled_from(["a", "b", "Ä", "日本", "😀", "c-d", "e.f"])
SENTENCES = st.lists(WORDS, max_size=6).map(" ".join)
TF_IDF = {"max": 1000, "min_rows": 1, "ngrams": 1}
LONG = " ".join(f"w{place % 700}" for place in range(10_000))


def column(texts: list[str]) -> np.ndarray:
    return np.array([[text] for text in texts], object).reshape(len(texts), 1)


def rows(table: np.ndarray) -> list[list[str]]:
    return [[word for word in row if word] for row in table.tolist()]


def tokenized(**setting: Any) -> Ran:
    return Ran([(Tokenize(), setting)], "text")


SPACES = tokenized()


def tf_idf(train: list[str], **setting: Any) -> Ran:
    return Ran([(TfIdf(), {**TF_IDF, **setting})], "text", column(train))


def reference(train: list[str], **setting: Any) -> TfidfVectorizer:
    vectorizer = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, norm="l2", **setting
    )
    return vectorizer.fit(train)


@QUICK
@given(st.lists(st.text(), max_size=20))
def test_words_are_what_is_between_white_space(texts: list[str]) -> None:
    assert rows(SPACES(texts)) == [text.split() for text in texts]


@pytest.mark.parametrize("pattern", ["[a-z]+", r"\w+|[^\w\s]", "ab?", "[Ää]+x", r"\d{2}", "(?i)x+", "a*"])
def test_words_are_what_a_pattern_matches(pattern: str) -> None:
    texts = ["ab abb; a-b 1234 5", "Ääx Xx", "", "  ", "aab"]
    found = rows(tokenized(pattern=pattern)(texts))
    assert found == [[word for word in re.findall(pattern, text, re.ASCII) if word] for text in texts]


def test_later_words_are_left_out() -> None:
    ran = tokenized(max=2)
    assert rows(ran(["a b c d", "a", ""])) == [["a", "b"], ["a"], []]
    assert rows(ran(["a", ""])) == [["a"], []]


def test_a_pattern_that_the_runtime_can_not_read_is_named_with_the_reason() -> None:
    with pytest.raises(SpecError) as caught:
        tokenized(pattern="(a")
    assert "'(a' of `tokenize` for column 'x' can't be read: missing ): (a" in str(caught.value)
    with pytest.raises(SpecError, match="no looking ahead"):
        tokenized(pattern="(?=a)b")


@QUICK
@given(st.lists(SENTENCES, min_size=1, max_size=12), st.lists(SENTENCES, max_size=8), st.integers(1, 3))
def test_tf_idf_is_that_of_scikit_learn(train: list[str], serving: list[str], ngrams: int) -> None:
    if not any(train):
        return
    ran, theirs = tf_idf(train, ngrams=ngrams), reference(train, ngram_range=(1, ngrams))
    found = ran(serving)
    order = [theirs.vocabulary_[name.removeprefix("x=")] for name in ran.value.names]
    assert sorted(order) == list(range(len(theirs.vocabulary_)))
    expected = theirs.transform(serving).toarray()[:, order] if serving else np.zeros((0, len(order)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_tf_idf_takes_words_of_a_pattern() -> None:
    train = ["one, two", "two; three", "two"]
    ran = Ran([(Tokenize(), {"pattern": "[a-z]+"}), (TfIdf(), TF_IDF)], "text", column(train))
    theirs = TfidfVectorizer(token_pattern="[a-z]+").fit(train)
    order = [theirs.vocabulary_[name.removeprefix("x=")] for name in ran.value.names]
    np.testing.assert_allclose(ran(train), theirs.transform(train).toarray()[:, order], atol=1e-6)


def test_tf_idf_keeps_words_of_most_texts_and_counts_each_distinct_text_as_often_as_it_was_there() -> None:
    texts = ["b b b b", "a", "c a"]
    ran = Ran([(TfIdf(), {**TF_IDF, "max": 2})], "text", column(texts), counts=np.array([3, 1, 1]))
    assert ran.value.names == ("x=b", "x=a")
    assert ran.states[0]["idf"] == pytest.approx([np.log(6 / 4) + 1, np.log(6 / 3) + 1])


def test_what_tf_idf_learned_can_be_written_as_json() -> None:
    state = tf_idf(["good movie", "movie"], ngrams=2).states[0]
    assert json.loads(json.dumps(state)) == state
    assert state["words"] == [["movie"], ["good"], ["good", "movie"]]


def test_min_rows_counts_texts_and_not_how_often_a_word_is_there() -> None:
    assert tf_idf(["a a a", "b", "b"], min_rows=2).value.names == ("x=b",)
    with pytest.raises(SpecError, match="no word of column 'x' is in 3 texts of train"):
        tf_idf(["a a a", "b", "b"], min_rows=3)
    with pytest.raises(SpecError, match="no word"):
        tf_idf(["", "  "])


def test_tf_idf_of_sequences_alone_needs_no_single_words() -> None:
    ran = tf_idf(["a b", "b a"] * 3, ngrams=2, max=4)
    assert set(ran.value.names) == {"x=a", "x=b", "x=a b", "x=b a"}
    assert np.isclose(np.linalg.norm(ran(["b a b"])), 1)


def test_a_sequence_does_not_reach_into_the_next_text() -> None:
    assert set(tf_idf(["a b", "c d"], ngrams=3).value.names) == {"x=a", "x=b", "x=c", "x=d", "x=a b", "x=c d"}


AFTER = {
    "hash": (Hash(), 7),
    "embed_index": (EmbedIndex(), {"max": 100, "min_rows": 1, "length": 4}),
    "tf_idf": (TfIdf(), TF_IDF),
}


@pytest.fixture(scope="module", params=AFTER)
def after(request: pytest.FixtureRequest) -> Ran:
    return Ran([(Tokenize(), {}), AFTER[request.param]], "text", column(["a b", "b c 日本", ""]))


@pytest.mark.parametrize(
    "texts", [[], [""], ["", ""], ["  ", "\t\n"], ["a"], ["new words"], ["", "a b c d e f g", LONG]]
)
def test_odd_texts_go_through_all_that_takes_words(after: Ran, texts: list[str]) -> None:
    found = after(texts)
    assert found.shape == (len(texts), len(after.value.names))
    assert np.isfinite(found).all()
    assert (found[[not text.split() for text in texts]] == 0).all()


@given(st.lists(st.one_of(SENTENCES, st.text()), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_a_text_gives_alone_what_it_gives_among_others(after: Ran, texts: list[str]) -> None:
    alone = np.concatenate([after([text]) for text in texts])
    assert np.array_equal(after(texts), alone)


def test_words_hashed_are_counted_a_bucket() -> None:
    found = Ran([(Tokenize(), {}), (Hash(), 5)], "text")(["a b a a", "b", LONG])
    assert found.sum(axis=1).tolist() == [4, 1, 10_000]
    assert found[0].max() >= 3


def test_words_indexed_are_cut_or_filled_up() -> None:
    setting = {"max": 2, "min_rows": 1, "length": 3}
    ran = Ran([(Tokenize(), {}), (EmbedIndex(), setting)], "text", column(["b a", "b a", "b c"]))
    assert ran(["a b", "c b a b", ""]).tolist() == [[3, 2, 0], [1, 2, 3], [0, 0, 0]]


def test_a_word_is_indexed_by_how_many_texts_it_is_in() -> None:
    setting = {"max": 9, "min_rows": 2, "length": 2}
    ran = Ran([(Tokenize(), {}), (EmbedIndex(), setting)], "text", column(["a a a", "b", "b"]))
    assert ran.states[1] == {"categories": ["b"]}


ENTRIES = {
    "tf_idf": (("tf_idf", {**TF_IDF, "max": 5}),),
    "hash": (("tokenize", {}), ("hash", 5)),
    "embed_index": (
        ("lower", True),
        ("tokenize", {}),
        ("embed_index", {"max": 5, "min_rows": 1, "length": 3}),
    ),
}


@pytest.mark.parametrize("word", ENTRIES)
def test_one_long_text_among_many_short_ones_does_not_fill_the_memory(word: str) -> None:
    """As one table of words they would be 20,000 x 20,000 texts of 32 bytes."""
    code = (
        "import sys\n"
        "peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "import pyarrow as pa\n"
        "from fiat.transform.distinct import DistinctRunner\n"
        "from fiat.transform.fit import fit_transforms\n"
        "from fiat.transform.model import Entry\n"
        "table = pa.table({'t': ['word ' * 20_000, *(f'a{row} b c' for row in range(19_999))]})\n"
        "before = peak()\n"
        "fitted = fit_transforms(table, ('t',), [Entry(('t',), eval(sys.argv[1]), key='transform[0]')])\n"
        "DistinctRunner(fitted).run(table.to_batches()[0])\n"
        "print((peak() - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, repr(ENTRIES[word])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300  # MB


def test_parts_of_the_rows_give_together_what_all_give() -> None:
    texts = ["a b", "", *(" ".join("c" * count) for count in (1, 3000, 5)), LONG, *["d e f"] * 60]
    feed = {"x": column(texts * 3)}
    session = SPACES.session()
    parts = [part for (part,) in run_parts(session, ["y"], feed)]
    assert len(parts) > 2
    assert all(part.size <= MOST_LETTERS for part in parts)
    assert rows(run_all(session, ["y"], feed)[0]) == [text.split() for text in texts * 3]


def test_words_are_not_hashed_into_more_columns_than_there_is_memory_for() -> None:
    with pytest.raises(SpecError, match=r"would make 2,000,000,000 columns of the words of 'x'") as caught:
        Ran([(Tokenize(), {}), (Hash(), 2_000_000_000)], "text")(column(["a b"]))
    assert "fewer buckets" in caught.value.hint

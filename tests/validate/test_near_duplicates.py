"""Planted near duplicates are found, in time that grows with the rows, and nothing else is called one."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.netpbm import decode_netpbm
from fiat.data.stream import tensor_array
from fiat.validate.duplicates import find_duplicates
from fiat.validate.likeness import grids_of, jaccard, tokens_of
from fiat.validate.model import DuplicatesRule
from fiat.validate.near_duplicates import NearPairs, find_near_pairs
from tests.validate.folders import dataset

FACES = Path(__file__).parents[3] / "shared" / "data" / "orl-faces"


def near(first: pa.Table, second: pa.Table, likeness: float = 0.9) -> NearPairs:
    return find_near_pairs(first, second, likeness, np.arange(second.num_rows))


def people(n_rows: int, seed: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    numbers = {f"n{index}": rng.normal(size=n_rows) for index in range(8)}
    words = {f"w{index}": [f"word {value}" for value in rng.integers(0, 50, n_rows)] for index in range(4)}
    return {**numbers, **words}


def test_planted_rows_are_found_and_no_others() -> None:
    train, test = people(6_000, 0), people(1_000, 1)
    rng = np.random.default_rng(2)
    planted = np.arange(0, 1_000, 4)
    origin = rng.choice(6_000, len(planted), replace=False)
    for name, values in test.items():
        source = train[name]
        if isinstance(values, np.ndarray):
            assert isinstance(source, np.ndarray)
            values[planted] = source[origin] + rng.normal(0, 1e-3, len(planted))
        else:
            for row, place in zip(planted, origin, strict=True):
                values[row] = source[place]  # type: ignore[index]
    found = near(pa.table(train), pa.table(test))
    recall = np.isin(planted, found.second).mean()
    assert recall >= 0.98, recall
    assert set(found.second.tolist()) <= set(planted.tolist())
    assert (found.likeness >= 0.9).all()
    right = dict(zip(planted.tolist(), origin.tolist(), strict=True))
    assert all(right[b] == a for a, b in zip(found.first.tolist(), found.second.tolist(), strict=True))


def test_long_texts_with_a_few_other_words_are_found() -> None:
    rng = np.random.default_rng(3)
    words = [f"w{number}" for number in range(3_000)]

    def text(size: int = 60) -> list[str]:
        return rng.choice(words, size, replace=False).tolist()

    train = [text() for _ in range(2_000)]
    planted = [[*train[row][:58], "other", "words"] for row in range(0, 2_000, 20)]
    test = [*planted, *(text() for _ in range(400))]
    tables = [pa.table({"text": [" ".join(part) for part in rows]}) for rows in (train, test)]
    found = near(*tables, 0.9)
    assert set(found.second.tolist()) <= set(range(100))
    assert len(found.second) >= 97
    assert found.likeness == pytest.approx(58 / 62)


def test_case_and_marks_don_t_part_long_texts_and_one_word_parts_short_ones() -> None:
    train = pa.table({"text": ["The quick brown fox jumps over the lazy dog", "Blue Cab"]})
    test = pa.table({"text": ["the quick, brown fox jumps over the lazy dog!", "Blue Taxi"]})
    found = near(train, test)
    assert found.second.tolist() == [0]
    assert found.likeness.tolist() == [1.0]


@pytest.mark.parametrize("likeness", [0.5, 0.8, 0.95, 1.0])
def test_a_pair_just_as_like_as_asked_is_rarely_missed(likeness: float) -> None:
    rng = np.random.default_rng(4)
    size, missed = 100, 0
    shared = int(np.ceil(2 * size * likeness / (1 + likeness)))
    train, test = [], []
    for row in range(300):
        mine = [f"a{row}x{number}" for number in range(size)]
        theirs = [*mine[:shared], *(f"b{row}x{number}" for number in range(size - shared))]
        train.append(" ".join(mine))
        test.append(" ".join(rng.permutation(theirs)))
    found = near(pa.table({"t": train}), pa.table({"t": test}), likeness)
    missed = 300 - len(found.second)
    assert missed <= 6
    assert (found.first == found.second).all()


def test_likeness_is_the_jaccard_index_of_the_token_sets() -> None:
    first = pa.table({"t": ["a b c d e f g", "same short"], "n": [1.0, 100.0]})
    second = pa.table({"t": ["a b c d e f h", "same short"], "n": [1.0, 100.0]})
    grids = grids_of(first)
    assert jaccard(tokens_of(first, grids), tokens_of(second, grids)).tolist() == [8 / 10, 1.0]


def test_missing_values_are_alike_and_unlike_any_value() -> None:
    table = pa.table({"t": pa.array([None, "x"]), "n": pa.array([None, 1.0])})
    grids = grids_of(table)
    tokens = tokens_of(table, grids)
    assert jaccard(tokens, tokens).tolist() == [1.0, 1.0]
    assert jaccard(tokens, tokens[::-1]).tolist() == [0.0, 0.0]


def test_numbers_close_to_each_other_share_a_cell_wherever_it_ends() -> None:
    values = np.linspace(-3, 3, 601)
    table = pa.table({"n": values})
    moved = pa.table({"n": values + 0.001})
    grids = grids_of(table)
    assert (jaccard(tokens_of(table, grids), tokens_of(moved, grids)) > 0).all()


def pictures(seed: int, n_rows: int) -> np.ndarray:
    """Smooth random pictures, as photos are."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n_rows, 7, 7))
    return np.clip(np.kron(coarse, np.ones((8, 8))), 0, 255).astype(np.uint8)


def test_pictures_that_are_noisy_or_brighter_are_found() -> None:
    rng = np.random.default_rng(5)
    train, test = pictures(0, 1_500), pictures(1, 300)
    noisy = np.clip(train[:50] + rng.normal(0, 6, train[:50].shape), 0, 255)
    brighter = np.clip(train[100:150] * 0.8 + 20, 0, 255)
    test[:50], test[50:100] = noisy.astype(np.uint8), brighter.astype(np.uint8)
    found = near(pa.table({"image": tensor_array(train)}), pa.table({"image": tensor_array(test)}))
    assert found.second.tolist() == list(range(100))
    assert found.first.tolist() == [*range(50), *range(100, 150)]


def test_pictures_of_many_colours_and_plain_vectors_are_compared_too() -> None:
    rng = np.random.default_rng(6)
    colours = rng.uniform(0, 255, (200, 20, 30, 3)).astype(np.uint8)
    vectors = rng.normal(size=(200, 1000)).astype(np.float32)
    for values in (colours, vectors):
        train = pa.table({"x": tensor_array(values)})
        test = pa.table({"x": tensor_array(values[[7, 9]])})
        assert near(train, test).first.tolist() == [7, 9]


@pytest.mark.skipif(not FACES.is_dir(), reason=f"{FACES} is not here")
def test_faces_of_one_person_are_no_near_duplicates_but_a_second_scan_is() -> None:
    faces = np.stack(
        [
            decode_netpbm((FACES / f"s{person}" / f"{number}.pgm").read_bytes())
            for person in range(1, 41)
            for number in range(1, 11)
        ]
    )
    rng = np.random.default_rng(7)
    test = np.arange(0, 400, 10)
    train = np.setdiff1d(np.arange(400), test)
    scan = np.clip(faces[train[:20]] + rng.normal(0, 5, faces[train[:20]].shape), 0, 255).astype(np.uint8)
    given = np.concatenate([scan, faces[test]]).reshape(-1, 112, 92)
    found = near(
        pa.table({"x": tensor_array(faces[train].reshape(-1, 112, 92))}), pa.table({"x": tensor_array(given)})
    )
    assert set(range(20)) <= set(found.second.tolist())
    assert len(found.second) <= 22, "faces of one person that differ are not the same picture"


def test_near_rows_are_told_beside_equal_ones(tmp_path: Path) -> None:
    train = people(500, 8)
    test = {name: values[:3] for name, values in people(500, 9).items()}  # type: ignore[index]
    for name, values in train.items():
        test[name][0] = values[40]  # type: ignore[index]
        test[name][1] = values[41] + 1e-7 if isinstance(values, np.ndarray) else values[41]  # type: ignore[index]
    folder = dataset(tmp_path / "d", train=train, test=test)
    found = find_duplicates(folder, DuplicatesRule(near=0.9, key="checks[0]"), list(train), None)
    assert [(item.kind, item.n_rows) for item in found] == [
        ("duplicates_across", 1),
        ("near_duplicates_across", 1),
    ]
    (example,) = found[1].examples
    assert (example.row, example.value) == (2, {"split": "train", "row": 42, "likeness": 1.0})
    assert "at least 0.9 like a row of train" in found[1].message


def test_time_grows_with_the_rows_even_where_all_are_alike() -> None:
    """All rows share most bands: pairs would be 400 million."""
    rng = np.random.default_rng(10)
    columns = {f"c{index}": rng.integers(0, 2, 20_000) for index in range(6)}
    table = pa.table(columns)
    started = time.perf_counter()
    found = near(table, table)
    assert time.perf_counter() - started < 30
    assert len(found.second) == 20_000

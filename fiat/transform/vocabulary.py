"""Count in how many texts words, and sequences of words, are."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

Gram = tuple[str, ...]


def count_grams(words: np.ndarray, counts: np.ndarray, longest: int) -> Mapping[Gram, int]:
    """In how many texts each sequence of words is.

    Args:
        words: `(n, most)` texts, rows filled up with empty ones.
        counts: how often each row is there, `(n,)` int64.
        longest: words of the longest sequence.

    Returns:
        Sequence of 1 to `longest` words to the number of texts.
    """
    rows, places = np.nonzero(words != "")
    if not len(rows):
        return {}
    coded = pa.array(words[rows, places], pa.string()).dictionary_encode()
    codes = coded.indices.to_numpy().astype(np.int64)
    known: list[Gram] = [(word,) for word in coded.dictionary.to_pylist()]
    singles, found = known, dict(_count(rows, codes, known, counts))
    grams, ends = codes, np.arange(len(rows))
    for _ in range(longest - 1):
        # Each sequence grows by the word behind it, as far as that is in the same text.
        inside = ends + 1 < len(rows)
        inside[inside] = rows[ends[inside] + 1] == rows[ends[inside]]
        grams, ends = grams[inside], ends[inside] + 1
        if not len(ends):
            break
        pairs, grams = np.unique(grams * len(singles) + codes[ends], return_inverse=True)
        known = [known[pair // len(singles)] + singles[pair % len(singles)] for pair in pairs.tolist()]
        found |= _count(rows[ends], grams, known, counts)
    return found


def choose_grams(found: Mapping[Gram, int], most: int, min_rows: int) -> list[tuple[Gram, int]]:
    """Those in most texts, in that order; of equally frequent ones the first by alphabet.

    Args:
        found: sequence to the number of texts.
        most: how many at most.
        min_rows: fewest texts.
    """
    often = [(gram, n_texts) for gram, n_texts in found.items() if n_texts >= min_rows]
    return sorted(often, key=lambda item: (-item[1], item[0]))[:most]


def _count(rows: np.ndarray, codes: np.ndarray, known: list[Gram], counts: np.ndarray) -> Mapping[Gram, int]:
    there = np.unique(rows * len(known) + codes)
    n_texts = np.zeros(len(known), np.int64)
    np.add.at(n_texts, there % len(known), counts[there // len(known)])
    return dict(zip(known, n_texts.tolist(), strict=True))

"""What `data.<name>.split` and `sample` say, as rules of the data craft."""

from collections.abc import Mapping

from fiat.data.moments import moment
from fiat.data.sample import SampleRule
from fiat.data.split import SPLITS, AllTrain, ByColumn, ByFiles, ByShares, ByTime, SplitRule
from fiat.errors import SpecError


def split_rule(params: Mapping[str, object]) -> SplitRule:
    """The rule of a data step's parameters; without `split` every row is for training.

    `files.eval` may be a pattern, or a share (above 0, below 1) of the rows of `train` that their hash picks.

    Raises:
        SpecError: shares that are all 0, a share outside its range, or a time that can't be read.
    """
    split = _split(params)
    files, time, column = split.get("files"), split.get("time"), split.get("column")
    if isinstance(files, Mapping):
        return _by_files(files)
    if isinstance(time, Mapping):
        first, until = str(time["test"]), time.get("eval")
        for text in (first, *([str(until)] if until else [])):
            moment(text)
        return ByTime(str(time["column"]), first, str(until) if until else None)
    if column:
        return ByColumn(str(column))
    if not split:
        return AllTrain()
    shares = tuple(_number(split.get(name, 0)) for name in SPLITS)
    if min(shares) < 0 or shares[0] <= 0:
        raise SpecError("split: shares are 0 or more, and that of train is above 0")
    key = split.get("key")
    return ByShares((shares[0], shares[1], shares[2]), None if key is None else str(key))


def sample_rule(params: Mapping[str, object]) -> SampleRule | None:
    """Which rows to take, None for all of them; where the split goes by a key, so does the sample.

    Raises:
        SpecError: a ratio or number that is none.
    """
    sample = params.get("sample")
    if not isinstance(sample, Mapping):
        return None
    ratio, rows, seed = sample.get("ratio"), sample.get("rows"), sample.get("seed", 0)
    if ratio is not None and not 0 < _number(ratio) <= 1:
        raise SpecError(f"sample.ratio is {ratio}, expected a share above 0 and up to 1")
    if rows is not None and _number(rows) < 1:
        raise SpecError(f"sample.rows is {rows}, expected 1 or more")
    key = _split(params).get("key")
    return SampleRule(
        ratio=None if ratio is None else _number(ratio),
        rows=None if rows is None else int(_number(rows)),
        seed=int(_number(seed)),
        key=None if key is None else str(key),
    )


def split_columns(params: Mapping[str, object]) -> tuple[str, ...]:
    """Columns that the split reads: no features unless the spec names them so."""
    split = _split(params)
    time = split.get("time")
    named = [split.get("key"), split.get("column"), time.get("column") if isinstance(time, Mapping) else None]
    return tuple(str(name) for name in named if name)


def wanted_splits(params: Mapping[str, object]) -> tuple[str, ...]:
    """Splits that the spec asks for, so that an empty one deserves a warning."""
    split = _split(params)
    inner = next((split[way] for way in ("files", "time") if isinstance(split.get(way), Mapping)), split)
    if split.get("column"):
        return ("eval", "test")
    return tuple(name for name in ("eval", "test") if isinstance(inner, Mapping) and inner.get(name))


def _by_files(files: Mapping[str, object]) -> ByFiles:
    patterns = {name: value for name, value in files.items() if name in SPLITS and isinstance(value, str)}
    share = files.get("eval", 0)
    eval_share = 0.0 if share is None or isinstance(share, str) else _number(share)
    if not 0 <= eval_share < 1:
        raise SpecError(
            f"split.files.eval is {eval_share:g}, expected a pattern, or a share above 0 and below 1"
        )
    return ByFiles(patterns, eval_share)


def _split(params: Mapping[str, object]) -> Mapping[str, object]:
    split = params.get("split")
    return split if isinstance(split, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0

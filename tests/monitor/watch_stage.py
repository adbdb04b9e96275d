"""What tests of watching share: a service's folder with a package, a log of it, and labels."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.profile.document import write_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile
from fiat.serving.log_files import write_rows
from fiat.serving.log_rows import FEATURE, label_rows
from fiat.serving.place import Place
from fiat.serving.release import ReleaseManifest, Version, write_manifest

DIGEST = "aaaaaaaa" + "0" * 24 + ".dir"
OTHER = "bbbbbbbb" + "0" * 24 + ".dir"
HOUR = "2026-03-01T10"
START_S = 1_772_359_200.0


def reference(train: pa.Table, answers: pa.Table | None = None) -> DataProfile:
    """The profile that a package of a model trained on these rows has."""
    profiles = [profile_batches(train.to_batches(), split="train")]
    if answers is not None:
        profiles.append(profile_batches(answers.to_batches(), split="test"))
    return DataProfile(tuple(profiles), "label")


def release(place: Place, profile: DataProfile, digest: str = DIGEST, commit: str = "c0ffee") -> None:
    """Put a package there and let it serve."""
    package = place.releases / digest
    package.mkdir(parents=True)
    write_profile(package, profile)
    (package / "manifest.json").write_text(json.dumps({"commit": commit}))
    version = Version("1", digest, f"releases/{digest}", 100.0)
    write_manifest(place.folder / "release.json", ReleaseManifest("taxi", 1, (version,)))


def logged(
    features: pa.Table,
    *,
    first: int = 0,
    digest: str = DIGEST,
    prediction: pa.Array | None = None,
    score: pa.Array | None = None,
    rows_a_request: int = 1,
) -> pa.Table:
    """Rows of the log with these features, numbered on from `first`."""
    n = features.num_rows
    place = np.arange(n)
    moments = ((START_S + first + place) * 1e6).astype(np.int64)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "time": pa.array(moments).cast(pa.timestamp("us", "UTC")),
        "request_id": pa.array([f"r{first + number // rows_a_request}" for number in range(n)]),
        "row": pa.array((place % rows_a_request).astype(np.int32)),
        "version": pa.array(["1"] * n),
        "digest": pa.array([digest] * n),
    }
    fields = [pa.field(name, values.type) for name, values in columns.items()]
    for name, values in zip(features.schema.names, features.columns, strict=True):
        columns[name] = values.combine_chunks()
        fields.append(pa.field(name, values.type, metadata={FEATURE: name.encode()}))
    answers = {
        "prediction": prediction if prediction is not None else pa.nulls(n, pa.string()),
        "score": score if score is not None else pa.nulls(n, pa.float64()),
        "latency_us": pa.array(np.full(n, 800, np.int32)),
    }
    for name, values in answers.items():
        columns[name] = values
        fields.append(pa.field(name, values.type))
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def write_log(place: Place, rows: pa.Table, number: int = 0, worker: int = 0) -> Path:
    """A file of the log."""
    digest = rows.column("digest")[0].as_py()
    path = place.predictions / f"{HOUR}-{digest[:8]}-{worker}.{number + 1}.parquet"
    write_rows(path, rows)
    return path


def write_labels(place: Place, labels: Sequence[tuple[str, object]], number: int = 0) -> Path:
    """A file of labels: (request id, label) each."""
    path = place.labels / f"{HOUR}-labels-0.{number + 1}.parquet"
    moment = round((START_S + 1e5 + number) * 1e6)
    write_rows(path, label_rows([(moment, name, 0, label) for name, label in labels]))
    return path


def two_columns(draw: np.random.Generator, n: int, *, shift: float = 0.0) -> pa.Table:
    """A number of a normal distribution and a text of three values."""
    return pa.table(
        {
            "amount": draw.normal(shift, 1.0, n),
            "city": pa.array(draw.choice(["Rome", "Oslo", "Bonn"], n, p=[0.5, 0.3, 0.2])),
        }
    )


def now_s() -> float:
    """Seconds since 1970."""
    return time.time()

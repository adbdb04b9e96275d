"""What `fiat models` and `fiat verify` show."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from fiat.builtin.view_sheet import Cell, Sheet, Table
from fiat.builtin.view_text import moment, number, short
from fiat.errors import EnvironmentFault
from fiat.run.registry import AliasMove, ModelSummary, ModelVersion
from fiat.store.store import Store
from fiat.wiring.verify import Verification
from fiat.wiring.views import print_sheet


@dataclass(frozen=True)
class ListedVersion:
    """A version with the number that people look at first.

    Attributes:
        version: the version.
        metric: name of the first metric of its package; empty when the package is gone.
        value: of that metric, None when it has none.
    """

    version: ModelVersion
    metric: str
    value: float | None


def list_versions(store: Store, model: str) -> list[ListedVersion]:
    """The versions of a model, the first one first."""
    return [ListedVersion(one, *_headline(store, one.digest)) for one in store.registry.versions(model)]


def show_models(models: Sequence[ModelSummary]) -> None:
    """One row a model."""
    rows = tuple(
        (
            Cell(one.model, "strong"),
            Cell(str(one.n_versions)),
            Cell(moment(one.newest.released_at)),
            Cell(short(one.newest.digest), "quiet"),
            Cell(", ".join(f"{alias}={version}" for alias, version in one.aliases)),
        )
        for one in models
    )
    heads = ("model", "versions", "newest release", "digest", "aliases")
    table = Table(heads, rows, frozenset({1}))
    print_sheet(Sheet((table,) if rows else ((Cell("no model was released yet"),),)))


def show_versions(versions: Sequence[ListedVersion], moves: Sequence[AliasMove]) -> None:
    """One row a version, the newest first; then its notes, and who moved aliases."""
    metric = next((one.metric for one in reversed(versions) if one.metric), "metric")
    rows = tuple(
        (
            Cell(str(one.version.number), "strong"),
            Cell(moment(one.version.first.released_at)),
            Cell(short(one.version.first.commit) or "none"),
            Cell(one.version.first.branch),
            Cell(short(one.version.digest), "quiet"),
            Cell(_value(one, metric)),
            Cell(", ".join(one.version.aliases), "good"),
            Cell(", ".join(f"{tag.name}={tag.value}" for tag in one.version.tags)),
            Cell(", ".join(f"{at.place} ({at.state})" for at in one.version.standings)),
        )
        for one in reversed(versions)
    )
    heads = ("version", "released", "commit", "branch", "digest", metric, "aliases", "tags", "deployed")
    notes = tuple(
        (
            Cell(str(one.version.number)),
            Cell(moment(note.written_at), "quiet"),
            Cell(note.who),
            Cell(note.text),
        )
        for one in versions
        for note in one.version.notes
    )
    numbers = {one.version.digest: str(one.version.number) for one in versions}
    moved = tuple(
        (
            Cell(move.alias),
            Cell(numbers.get(move.digest, "-")),
            Cell(moment(move.moved_at), "quiet"),
            Cell(move.who or "a release"),
            Cell(move.reason),
        )
        for move in moves
    )
    print_sheet(
        Sheet(
            (
                Table(heads, rows, frozenset({0, 5})),
                Table(("version", "when", "who", "note"), notes, title="notes"),
                Table(("alias", "version", "when", "who", "why"), moved, title="moves of aliases"),
            )
        )
    )


def show_verification(found: Verification) -> None:
    """One row a check."""
    marks: dict[str, Cell] = {
        "pass": Cell("✓ holds", "good"),
        "fail": Cell("✗ fails", "bad"),
        "skipped": Cell("- not looked at", "quiet"),
    }
    rows = tuple((Cell(one.name), marks[one.state], Cell(one.reason)) for one in found.checks)
    print_sheet(
        Sheet(
            (Table(("", "", ""), rows), (Cell(f"{found.model or 'a package'} in {found.folder}", "quiet"),))
        )
    )


def _value(one: ListedVersion, metric: str) -> str:
    text = number(one.value)
    return text if one.metric in ("", metric) else f"{one.metric} {text}"


def _headline(store: Store, digest: str) -> tuple[str, float | None]:
    try:
        metrics = json.loads(store.artifacts.file_path(digest, "metrics.json").read_bytes())
        first = next(item for item in metrics if not item["slice"])
        value = first["value"]
        return str(first["name"]), float(value) if isinstance(value, (int, float)) else None
    except (EnvironmentFault, OSError, ValueError, LookupError, TypeError, StopIteration):
        return "", None

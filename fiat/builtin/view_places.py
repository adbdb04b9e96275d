"""What `fiat status` shows: one row a place, and below it what is wrong or under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import short

_TONES: Mapping[str, Tone] = {
    "serving": "good",
    "rolling": "strong",
    "baking": "strong",
    "paused": "doubt",
    "failed": "bad",
    "broken": "bad",
    "absent": "bad",
    "stopped": "quiet",
}


@dataclass(frozen=True)
class PlaceRow:
    """A place as it is shown.

    Attributes:
        place: its name.
        kind: of target.
        phase: what it does, a `fiat.ports.deploy.Phase`.
        model: name and version, such as `digits 3`.
        commit: that it was deployed for.
        age: how long ago that was.
        url: where it answers, or empty.
        shares: per cent of each version, such as `2: 90 %, 3: 10 %`; empty when one has all.
        notes: sentences about what goes on.
        faults: sentences about what differs from git.
        holds: what is held back, sentences.
    """

    place: str
    kind: str
    phase: str
    model: str
    commit: str
    age: str
    url: str = ""
    shares: str = ""
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


def places_sheet(rows: Sequence[PlaceRow]) -> Sheet:
    """One row a place."""
    if not rows:
        return Sheet(
            ((Cell("nothing was deployed from here yet: `fiat run` deploys what its gates let through"),),)
        )
    table = Table(
        ("place", "kind", "state", "model", "commit", "since", "url"),
        tuple(
            (
                Cell(row.place, "strong"),
                Cell(row.kind),
                Cell("drifted" if row.faults and row.phase == "serving" else row.phase, _tone(row)),
                Cell(row.model),
                Cell(short(row.commit)),
                Cell(row.age),
                Cell(row.url),
            )
            for row in rows
        ),
    )
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        said: list[tuple[str, Tone]] = [(row.shares, "")] if row.shares else []
        said += [(text, "quiet") for text in row.notes]
        said += [(f"differs from git: {text}", "bad") for text in row.faults]
        said += [(text, "doubt") for text in row.holds]
        lines += [(Cell(f"{row.place}  ", "quiet"), Cell(text, tone)) for text, tone in said if text]
    return Sheet((table, *lines))


def differences_sheet(
    spec: str,
    rows: Sequence[tuple[str, str, str, bool, Sequence[str]]],
    changes: Mapping[str, Sequence[tuple[str, object, object]]],
) -> Sheet:
    """What `fiat diff` shows.

    Args:
        spec: name of the spec.
        rows: target, what git says, what is there, whether these are the same, what else differs.
        changes: target to name, before and after of what the two models differ in.
    """
    if not rows:
        return Sheet(((Cell(f"{spec} deploys nowhere: it has no `deploy`"),),))
    table = Table(
        ("target", "git says", "is there", ""),
        tuple(
            (
                Cell(target, "strong"),
                Cell(wanted),
                Cell(has),
                Cell("the same" if same else "differs", "good" if same else "doubt"),
            )
            for target, wanted, has, same, _ in rows
        ),
    )
    blocks: list[Table | tuple[Cell, ...]] = [table]
    blocks += [(Cell(f"{row[0]}  ", "quiet"), Cell(fault, "bad")) for row in rows for fault in row[4]]
    for target, items in changes.items():
        if items:
            cells = tuple((Cell(name), Cell(_said(old)), Cell(_said(new))) for name, old, new in items)
            blocks += [(Cell(""),), Table(("", "is there", "git says"), cells, title=target)]
    return Sheet(tuple(blocks))


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)[:60]


def _tone(row: PlaceRow) -> Tone:
    return "bad" if row.faults else _TONES.get(row.phase, "")

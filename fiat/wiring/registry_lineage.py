"""What `fiat lineage` looks up and shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fiat.builtin.view_sheet import Cell, Sheet, Table
from fiat.builtin.view_text import moment, short
from fiat.errors import SpecError
from fiat.wiring.lineage import Ancestry, Descendant, StepOrigin, descend, trace
from fiat.wiring.registry_names import resolve_name
from fiat.wiring.shelf import Shelf
from fiat.wiring.views import print_sheet


def look_up(shelf: Shelf, name: str) -> Ancestry | tuple[Descendant, ...]:
    """What made a model of this name; else the models that came from data of this name.

    Args:
        shelf: the store, and the checkout that files belong to.
        name: see `registry_names.py` and `descend`; a file or folder means its content.

    Raises:
        SpecError: nothing is called so, or several things are.
    """
    named = resolve_name(shelf.store, name)
    ancestry = trace(shelf.store, named) if named is not None else None
    if ancestry is not None:
        return ancestry
    found = descend(shelf.store, name)
    if not found and Path(name).exists():
        found = descend(shelf.store, shelf.store.digester.digest(Path(name)))
    if not found:
        raise SpecError(
            f"no released model is called {name}, or came from data of that name or content",
            hint="`fiat models` lists models; data are named like data.images, by digest, or by file",
        )
    return tuple(found)


def show_ancestry(found: Ancestry) -> None:
    """What made a model: facts, data, parameters, steps."""
    first, run = found.version.first, found.run
    facts = [
        ("model", f"{found.model}, version {found.version.number}"),
        ("digest", found.digest),
        ("commit", (first.commit or "none") + (" with changes" if run and run.dirty else "")),
        ("branch", first.branch),
        ("released", moment(first.released_at)),
        ("run", first.run),
        ("spec", f"{run.spec_path} {short(run.spec_digest)}" if run else ""),
        ("overrides", " ".join(run.overrides) if run else ""),
        ("verdict", f"{run.verdict}: {run.reason}" if run else "the run is gone from the store"),
        ("aliases", ", ".join(found.version.aliases)),
        ("deployed", ", ".join(f"{one.place} ({one.state})" for one in found.version.standings)),
    ]
    rows = tuple((Cell(name, "quiet"), Cell(value)) for name, value in facts if value)
    params = run.config.get("params") if run else None
    tables = [
        Table(("", ""), rows),
        Table(("dataset", "digest", "read from", "content"), _data(found), title="data"),
    ]
    if isinstance(params, Mapping) and params:
        given = tuple((Cell(str(key), "quiet"), Cell(str(value))) for key, value in params.items())
        tables.append(Table(("", ""), given, title="parameters"))
    steps = tuple(_step(step, first.run) for step in found.steps)
    tables.append(Table(("step", "kind", "made", "by run", "code", "outputs"), steps, title="steps"))
    print_sheet(Sheet(tuple(tables)))


def show_descendants(name: str, found: Sequence[Descendant]) -> None:
    """Models that came from some data."""
    rows = tuple(
        (
            Cell(one.model, "strong"),
            Cell(str(one.number)),
            Cell(short(one.digest), "quiet"),
            Cell(one.dataset),
            Cell(short(one.dataset_digest), "quiet"),
            Cell(short(one.commit) or "none"),
            Cell(", ".join(one.aliases), "good"),
            Cell(", ".join(f"{at.place} ({at.state})" for at in one.standings)),
        )
        for one in found
    )
    heads = ("model", "version", "package", "dataset", "content", "commit", "aliases", "deployed")
    print_sheet(Sheet((Table(heads, rows, frozenset({1}), title=f"came from {name}"),)))


def _data(found: Ancestry) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (Cell(step.name, "strong"), Cell(short(digest), "quiet"), Cell(source), Cell(short(content), "quiet"))
        for step in found.steps
        if step.kind == "data"
        for digest in step.outputs.values()
        for source, content in (step.sources.items() or {"": ""}.items())
    )


def _step(step: StepOrigin, run: str) -> tuple[Cell, ...]:
    code = [f"{path} {digest[:8]}" for path, digest in step.code.items()]
    more = f" and {len(code) - 3} more" if len(code) > 3 else ""
    made = ", ".join(f"{name} {short(digest)}" for name, digest in step.outputs.items())
    return (
        Cell(step.name, "strong"),
        Cell(step.call or step.kind),
        Cell(moment(step.made_at), "quiet"),
        Cell("" if step.run == run else step.run),
        Cell(", ".join(code[:3]) + more),
        Cell(made, "quiet"),
    )

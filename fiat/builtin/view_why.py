"""What `fiat why` shows: one line a fact, in the order in which people ask."""

from collections.abc import Mapping, Sequence

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import moment, short
from fiat.run.deployment import Deployment
from fiat.run.model import GateResult, Release, Run

_TONES: Mapping[str, Tone] = {
    "pass": "good",
    "warn": "doubt",
    "fail": "bad",
    "skipped": "quiet",
    "error": "bad",
}


def why_sheet(
    name: str,
    digest: str,
    manifest: Mapping[str, object],
    release: Release | None,
    run: Run | None,
    gates: Sequence[GateResult],
    deployments: Sequence[Deployment],
) -> Sheet:
    """The story of one package.

    Args:
        name: what people call it.
        digest: of the package.
        manifest: where it comes from.
        release: its newest release.
        run: that judged it.
        gates: what they said.
        deployments: where it was put, the newest first.
    """
    lines: list[tuple[Cell, ...]] = [(Cell(name, "strong"), Cell(f"  {digest}", "quiet"))]
    lines += [
        (Cell(f"  {key:<10}"), Cell(text, tone)) for key, text, tone in _facts(manifest, release, run) if text
    ]
    blocks: list[Table | tuple[Cell, ...]] = list(lines)
    if gates:
        rows = tuple(
            (Cell(gate.state, _TONES[gate.state]), Cell(gate.name), Cell(gate.reason)) for gate in gates
        )
        blocks.append(Table(("gate", "", "why"), rows))
    if deployments:
        blocks.append(
            Table(
                ("put on", "when", "commit", "state", "approver", "because"), tuple(map(_placed, deployments))
            )
        )
    return Sheet(tuple(blocks))


def _facts(
    manifest: Mapping[str, object], release: Release | None, run: Run | None
) -> list[tuple[str, str, Tone]]:
    data = manifest.get("data")
    origin = (
        f"{short(release.commit)} on {release.branch or 'no branch'}"
        if release
        else str(manifest.get("commit") or "")
    )
    dirty = " (the working tree differed from the commit)" if manifest.get("dirty") else ""
    found: list[tuple[str, str, Tone]] = [
        ("made of", short(str(manifest.get("commit") or "")) or "no commit", ""),
        ("commit", (origin or "outside git") + dirty, ""),
        ("spec", str(manifest.get("spec") or ""), ""),
        ("released", moment(release.released_at) if release else "never", ""),
    ]
    if isinstance(data, Mapping):
        found += [("data", f"{name} {digest}", "") for name, digest in data.items()]
    params = manifest.get("params")
    if isinstance(params, Mapping) and params:
        found.append(("params", ", ".join(f"{key}={value}" for key, value in params.items()), ""))
    if run is not None:
        found.append(("run", run.id, ""))
        found.append(("verdict", f"{run.verdict}: {run.reason}", _TONES.get(run.verdict or "error", "")))
    return found


def _placed(deployment: Deployment) -> tuple[Cell, ...]:
    tone: Tone = (
        "good" if deployment.state == "deployed" else "bad" if deployment.state != "deploying" else "strong"
    )
    return (
        Cell(deployment.place),
        Cell(moment(deployment.began_at)),
        Cell(short(deployment.commit)),
        Cell(deployment.state, tone),
        Cell(deployment.approver or "nobody was asked", "" if deployment.approver else "quiet"),
        Cell(deployment.reason if deployment.state in ("refused", "failed") else deployment.cause),
    )

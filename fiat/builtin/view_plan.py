"""What `fiat plan` and `fiat explain` show."""

from collections.abc import Sequence

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import count
from fiat.plan.model import Decision, Plan

_TONES: dict[str, Tone] = {"run": "strong", "reuse": "quiet", "wait": "", "skip": "quiet"}
_SAID = (("run", "to run"), ("wait", "waiting for them"), ("reuse", "reused"), ("skip", "skipped"))


def plan_sheet(plan: Plan, decisions: Sequence[Decision]) -> Sheet:
    """One row a step: what happens to it, and the first reason why.

    Args:
        plan: gives the spec's name.
        decisions: in plan order.
    """
    rows = tuple(
        (
            Cell(item.step, "strong" if item.action == "run" else ""),
            Cell(item.action, _TONES[item.action]),
            Cell(_first_reason(item), "quiet" if item.action in ("reuse", "skip") else ""),
        )
        for item in decisions
    )
    return Sheet((_headline(plan, decisions), Table(("step", "action", "why"), rows)))


def explain_sheet(plan: Plan, decisions: Sequence[Decision]) -> Sheet:
    """Every reason of every step, one a line."""
    blocks: list[Table | tuple[Cell, ...]] = [_headline(plan, decisions)] if len(decisions) > 1 else []
    for item in decisions:
        heads = (Cell(item.step, "strong"), Cell("  "), Cell(item.action, _TONES[item.action]))
        if blocks:
            blocks.append((Cell(""),))
        blocks.append(heads)
        blocks.extend((Cell("  "), Cell(reason)) for reason in item.reasons)
        if item.fingerprint:
            blocks.append((Cell("  "), Cell(f"fingerprint {item.fingerprint[:16]}", "quiet")))
    return Sheet(tuple(blocks))


def _headline(plan: Plan, decisions: Sequence[Decision]) -> tuple[Cell, ...]:
    actions: list[str] = [item.action for item in decisions]
    parts = [f"{actions.count(action)} {said}" for action, said in _SAID if action in actions]
    doing = "nothing to do, " if not {"run", "wait"} & set(actions) else ""
    return (
        Cell(plan.spec, "strong"),
        Cell(f": {doing}{count(len(decisions), 'step')}" + (f", {', '.join(parts)}" if parts else "")),
    )


def _first_reason(item: Decision) -> str:
    if not item.reasons:
        return ""
    more = len(item.reasons) - 1
    return item.reasons[0] + (f" (and {more} more)" if more else "")

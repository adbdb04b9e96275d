"""Fold steps and gates into one verdict. Pure."""

from collections.abc import Sequence

from fiat.run.model import GateResult, StepResult, Verdict


def fold(
    steps: Sequence[StepResult],
    gates: Sequence[GateResult],
    warnings: Sequence[str],
    *,
    refusals: Sequence[str] = (),
) -> tuple[Verdict, str]:
    """The verdict of a run and one sentence why.

    A failed or cancelled step is an error: nothing was judged. A refused gate fails the run. A gate of severity
    warn, a gate with nothing to compare with, and a step's warning make it `warn`; so does a deploy target that is not
    granted where nothing is deployed anyway (where it would be, its step has failed).

    Args:
        steps: in plan order.
        gates: in spec order.
        warnings: of steps.
        refusals: why deploy targets are not granted.
    """
    broken = [step for step in steps if step.state in ("failed", "cancelled")]
    if broken:
        first = broken[0]
        return "error", f"step {first.name} {first.state}: {first.reason}"
    refused = [gate for gate in gates if gate.state == "fail"]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        return "fail", f"gate {refused[0].name} refused: {refused[0].reason}{more}"
    doubts = list(refusals)
    doubts += [f"gate {gate.name}: {gate.reason}" for gate in gates if gate.state == "warn"]
    doubts += list(warnings)
    if doubts:
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        return "warn", doubts[0] + more
    if gates:
        passed = sum(gate.state == "pass" for gate in gates)
        rest = len(gates) - passed
        tail = f", {rest} had nothing to judge" if rest else ""
        return "pass", f"{passed} gate{'' if passed == 1 else 's'} passed{tail}"
    return "pass", "every step has its result"

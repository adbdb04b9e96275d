"""The state of one walk over a plan: what is settled, what can start, what waits."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from fiat.engine.baseline import BASELINE, Baseline
from fiat.engine.decide import Decided, Decider
from fiat.engine.previous import PREVIOUS, REFUSED, SERVING
from fiat.engine.warm import Warm, work_key
from fiat.plan.model import Decision, Plan, Step
from fiat.plan.training import WARM, WARM_ROLE
from fiat.run.model import Artifact, Result, StepResult

THROUGHPUT = "samples_per_s"
_HAS_OUTPUTS = frozenset({"ran", "reused"})


class Walk:
    """Walks a plan: `advance` decides whatever can be decided, `settle` tells it how a step ended.

    Args:
        plan: the graph.
        decider: fingerprints and look-ups.
        find_baseline: the released model to compare with, by the fingerprint of the candidate's export.
        skip: a reason to leave a step out, or None (deploys that are not for this branch).
        find_previous: digest of the profile that a check is compared with, by the check's name and the digest of its
            dataset; empty when there is none.
        find_served: digest of the profile of what clients sent to the served model; empty when there is none. It is asked
            once a walk, so that all checks are compared with the same.
        find_warm: the trained model to start from, by the name and the `work_key` of the step that asks first: trials and
            the training with the best of them start from the same.
    """

    def __init__(
        self,
        plan: Plan,
        decider: Decider,
        find_baseline: Callable[[str], Baseline],
        skip: Callable[[Step], str | None],
        find_previous: Callable[[str, str], str] = lambda step, dataset: "",
        find_served: Callable[[], str] = lambda: "",
        find_warm: Callable[[str, str], Warm] = lambda step, key: Warm("", "starts anew"),
    ) -> None:
        self.plan = plan
        self.decided: dict[str, Decided] = {}
        self.settled: dict[str, StepResult] = {}
        self.results: dict[str, Result] = {}
        self.baseline: Baseline | None = None
        self.warm: Warm | None = None
        self._decider = decider
        self._find_baseline = find_baseline
        self._skip = skip
        self._find_previous = find_previous
        self._find_served = cache(find_served)
        self._find_warm = find_warm

    def advance(self) -> list[Decided]:
        """Decide every step whose inputs are known; returns those that must run now, in plan order."""
        to_run: list[Decided] = []
        for step in self.plan.steps:
            if step.name in self.settled or step.name in self.decided:
                continue
            reason = self._skip(step) or self._blocked(step)
            if reason:
                self.settled[step.name] = StepResult(step.name, step.kind, "skipped", reason)
                continue
            inputs = self._inputs(step)
            if inputs is None or step.kind == "deploy":
                continue
            decided = self._decider.decide(step, inputs, self._logged(step))
            if self.warm is not None and WARM_ROLE in step.inputs:
                decided = replace(decided, reasons=(*decided.reasons, self.warm.reason))
            self.decided[step.name] = decided
            if decided.result is None:
                to_run.append(decided)
            else:
                self._reuse(decided, decided.result)
        return to_run

    def settle(self, outcome: StepResult, result: Result | None) -> None:
        """Tell how a step ended; `result` when it made one."""
        self.settled[outcome.name] = outcome
        if result is not None:
            self.results[outcome.name] = result

    def ready_deploys(self) -> list[Step]:
        """Deploy steps whose inputs are there and that are not settled."""
        return [
            step
            for step in self.plan.steps
            if step.kind == "deploy" and step.name not in self.settled and self._inputs(step) is not None
        ]

    def output(self, step: str, name: str) -> Artifact | None:
        """An output of a step that is settled, None when it has none."""
        settled = self.settled.get(step)
        return settled.outputs.get(name) if settled else None

    def steps(self) -> tuple[StepResult, ...]:
        """Every step in plan order; what is not settled is `waiting`."""
        return tuple(
            self.settled.get(step.name, StepResult(step.name, step.kind, "waiting"))
            for step in self.plan.steps
        )

    def decisions(self) -> tuple[Decision, ...]:
        """What would happen to each step, in plan order."""
        return tuple(self._decision(step) for step in self.plan.steps)

    def _decision(self, step: Step) -> Decision:
        settled, decided = self.settled.get(step.name), self.decided.get(step.name)
        if settled is not None and settled.state == "skipped":
            return Decision(step.name, "skip", (settled.reason,))
        if decided is not None:
            reuse = decided.result is not None
            return Decision(step.name, "reuse" if reuse else "run", decided.reasons, decided.fingerprint)
        waits = [
            ref.step
            for ref in step.inputs.values()
            if not ref.step.startswith("@") and self._unsettled(ref.step)
        ]
        waits += [name for name in step.after if self._unsettled(name)]
        names = ", ".join(dict.fromkeys(waits)) or "the model"
        return Decision(step.name, "wait", (f"waits for {names}",))

    def _unsettled(self, name: str) -> bool:
        return name not in self.settled

    def _reuse(self, decided: Decided, result: Result) -> None:
        self.results[decided.step.name] = result
        self.settled[decided.step.name] = StepResult(
            decided.step.name,
            decided.step.kind,
            "reused",
            decided.reasons[0],
            fingerprint=decided.fingerprint,
            outputs=result.outputs,
        )

    def _blocked(self, step: Step) -> str | None:
        """Why a step can never start, when something that it needs did not end well."""
        for role, ref in step.inputs.items():
            if role in step.optional:
                continue
            if ref.step == BASELINE:
                found = self._resolve_baseline()
                if found is not None and found.release is None:
                    return found.reason
                export = self.settled.get("export")
                if found is None and export is not None:
                    return f"needs export, which {_ended(export)}"
                continue
            if ref.step in (PREVIOUS, SERVING):
                continue
            settled = self.settled.get(ref.step)
            if settled is not None and settled.state not in _HAS_OUTPUTS:
                return f"needs {ref.step}, which {_ended(settled)}"
        for name in step.after:
            settled = self.settled.get(name)
            if settled is not None and settled.state not in _HAS_OUTPUTS:
                return f"comes after {name}, which {_ended(settled)}"
            if name in self.results and self.results[name].facts.get(REFUSED):
                return f"comes after {name}, which refused the data"
        return None

    def _inputs(self, step: Step) -> dict[str, str] | None:
        """Role to digest, None while one is unknown."""
        if any(name not in self.settled for name in step.after):
            return None
        inputs: dict[str, str] = {}
        for role, ref in step.inputs.items():
            if ref.step == BASELINE:
                found = self._resolve_baseline()
                if found is None or found.release is None:
                    return None
                inputs[role] = found.release.digest
                continue
            if ref.step == PREVIOUS:
                if digest := self._find_previous(step.name, inputs["dataset"]):
                    inputs[role] = digest
                continue
            if ref.step == SERVING:
                if digest := self._find_served():
                    inputs[role] = digest
                continue
            if ref == WARM:
                continue
            settled = self.settled.get(ref.step)
            if settled is None:
                return None
            if ref.output in settled.outputs:
                inputs[role] = settled.outputs[ref.output].digest
            elif role not in step.optional:
                return None
        if step.inputs.get(WARM_ROLE) == WARM and (digest := self._resolve_warm(step, inputs).digest):
            inputs[WARM_ROLE] = digest
        return inputs

    def _resolve_warm(self, step: Step, inputs: Mapping[str, str]) -> Warm:
        if self.warm is None:
            key = work_key(self._decider.parts(step, inputs, self._logged(step)))
            self.warm = self._find_warm(step.name, key)
        return self.warm

    def _resolve_baseline(self) -> Baseline | None:
        if self.baseline is None:
            export = self.decided.get("export")
            if export is None:
                return None
            self.baseline = self._find_baseline(export.fingerprint)
        return self.baseline

    def _logged(self, step: Step) -> Mapping[str, float]:
        if step.kind != "gates":
            return {}
        logged: dict[str, float] = {}
        for name in step.after:
            result = self.results.get(name)
            for metric in result.metrics if result else ():
                if metric.step is None and not metric.slice:
                    logged[metric.name] = metric.value
        gates = step.params["gates"]
        if not any(gate.get("metric") == THROUGHPUT for gate in gates):  # type: ignore[attr-defined]  # as the plan wrote it
            logged.pop(THROUGHPUT, None)  # it differs each time, and no gate asks for it
        return logged


def _ended(step: StepResult) -> str:
    return "failed" if step.state == "failed" else f"was {step.state}"

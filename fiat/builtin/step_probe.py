"""Step `probe`: start the very server with the very package, ask it rows of the data, and judge what it did.

Like TensorFlow Extended's InfraValidator, but the answers are compared with what the evaluation recorded, and times,
memory and size are measured and held against the gate's limits.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from fiat.builtin.probe_client import Address, Connection, address_of, as_request, put_under_load
from fiat.builtin.probe_judge import DEFAULT_MAX_ABS, Measured, judge, refuse
from fiat.builtin.probe_rows import Agreement, Questions, compare, read_answers, read_questions
from fiat.builtin.probe_server import Command, ProbeFault, last_lines, running_server, server_command
from fiat.errors import EnvironmentFault
from fiat.evaluate.folder import json_values
from fiat.evaluate.gates import Severity
from fiat.evaluate.rows import ValueRows
from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import GateResult, Metric
from fiat.serving.release import ReleaseManifest, Version, write_manifest
from fiat.spec.section import duration_s

COMPARED_ROWS = 256
USUAL_DURATION_S = 5.0
ENOUGH_REQUESTS = 2_000
"""After so many answers a probe ends early, unless its spec says how long it takes: 20 of them are beyond p99."""
MOST_REQUESTS = 10_000_000
KEPT_BYTES = 32 << 20
LOAD_TIMEOUT_S, LOAD_GRACE_S = 60.0, 10.0
ANSWER_TIMEOUT_S = 30.0
_LOGGED = ("load_s", "p50_ms", "p95_ms", "p99_ms", "memory", "size", "max_abs")
_UNITS = {"memory": "memory_bytes", "size": "size_bytes"}


@dataclass(frozen=True)
class _Request:
    """What the spec asks for."""

    limits: Mapping[str, Any]
    severity: Severity
    key: str

    @property
    def rows(self) -> int:
        return max(1, int(self.limits.get("rows") or 1))

    @property
    def clients(self) -> int:
        return max(1, int(self.limits.get("clients") or 1))


class ProbeStep:
    """Probes a package.

    Inputs: `package`, `evaluation` (recorded predictions) and `dataset` (the rows that they are of). Output: `probe`, a
    JSON file with what was measured and said. Its fact `gate` is the gate's result: a server that does not start, dies,
    hangs or answers otherwise refuses, and is no failure of this step.

    Args:
        command: the server's program for its arguments.
        answer_timeout_s: longest wait for an answer.
        load_grace_s: how much longer than `load_s` it is waited for, so that the gate can tell how long it took.
    """

    name = "probe"
    version = "1"
    packages = ("httptools", "msgspec", "numpy", "onnxruntime", "uvicorn", "uvloop")

    def __init__(
        self,
        command: Command = server_command,
        *,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        load_grace_s: float = LOAD_GRACE_S,
    ) -> None:
        self._command = command
        self._answer_timeout_s, self._load_grace_s = answer_timeout_s, load_grace_s

    def run(self, context: StepContext) -> StepOutcome:
        """Probe and judge.

        Raises:
            EnvironmentFault: an input is damaged.
            SpecError: the data don't fit the model.
        """
        params = cast(Mapping[str, Any], context.params)
        asked = _Request(params["probe"], params.get("severity") or "error", str(params.get("key") or ""))
        questions = read_questions(
            context.inputs["package"],
            context.inputs["evaluation"],
            context.inputs["dataset"],
            most_rows=max(COMPARED_ROWS, asked.rows),
        )
        release = _lay_out(context.inputs["package"], context.work_dir / "server", questions.info.name)
        max_abs = _max_abs(asked.limits, questions)
        found = None
        try:
            found = self._measure(asked, questions, release, max_abs)
            gate = judge(asked.limits, found, max_abs, asked.severity, asked.key)
        except ProbeFault as fault:
            gate = _refused(asked, fault, release.parent)
        print(f"{gate.name}: {gate.state}: {gate.reason}")
        about = {"gate": asdict(gate), "measured": asdict(found) if found else None}
        context.outputs["probe"].write_text(json.dumps(json_values(about), indent=1) + "\n", "utf-8")
        return StepOutcome(_metrics(found) if found else (), {"gate": asdict(gate)})

    def _measure(self, asked: _Request, questions: Questions, release: Path, max_abs: float) -> Measured:
        limit_s = asked.limits.get("load_s")
        timeout_s = LOAD_TIMEOUT_S if limit_s is None else float(limit_s) + self._load_grace_s
        with running_server(release, self._command, timeout_s=timeout_s) as server:
            address = address_of(server.url, questions.info.name, self._answer_timeout_s)
            try:
                agreement, requests = _ask_all(address, questions, asked.rows, max_abs)
                times_s = put_under_load(
                    address,
                    requests,
                    clients=asked.clients,
                    duration_s=_duration_s(asked.limits),
                    most_requests=MOST_REQUESTS if "duration" in asked.limits else ENOUGH_REQUESTS,
                )
            except ProbeFault as fault:
                ended = server.died()
                raise ProbeFault(f"the server {ended} while it was asked" if ended else str(fault)) from None
            memory = server.peak_bytes()
        p50, p95, p99 = np.quantile(times_s, (0.5, 0.95, 0.99), method="higher") * 1000
        return Measured(
            load_s=server.load_s,
            p50_ms=float(p50),
            p95_ms=float(p95),
            p99_ms=float(p99),
            memory=float(memory),
            size=float((release.parent / "package" / "model.onnx").stat().st_size),
            max_abs=agreement.max_abs,
            wrong=agreement.wrong,
            compared=agreement.n_rows,
            requests=len(times_s),
            rows=min(asked.rows, questions.n_rows),
            clients=asked.clients,
        )


def _ask_all(
    address: Address, questions: Questions, rows: int, max_abs: float
) -> tuple[Agreement, list[bytes]]:
    """How far the answers to all rows are from what was recorded, and requests to ask again, KEPT_BYTES of them."""
    kept: list[bytes] = []
    answers: list[bytes] = []
    n_bytes = 0
    with Connection(address) as connection:
        for body in questions.bodies(rows):
            request = as_request(address, body)
            answers.append(connection.ask(request))
            n_bytes += len(request)
            if not kept or n_bytes <= KEPT_BYTES:
                kept.append(request)
    return compare(questions, read_answers(answers), max_abs), kept


def _lay_out(package: Path, folder: Path, model: str) -> Path:
    """The package as files of its own (the store may have linked them) and the manifest that a server follows."""
    try:
        folder.mkdir()
        shutil.copytree(package, folder / "package")
        release = folder / "release.json"
        version = Version("1", "", "package", 100.0)
        write_manifest(release, ReleaseManifest(model, 1, (version,)))
    except OSError as error:
        raise EnvironmentFault(f"the package can't be laid out: {error.strerror or error}") from error
    return release


def _max_abs(limits: Mapping[str, Any], questions: Questions) -> float:
    """The limit of the spec; else the usual one, which for large numbers is relative to the largest."""
    if "max_abs" in limits:
        return float(limits["max_abs"])
    recorded = questions.recorded
    if isinstance(recorded, ValueRows):
        finite = recorded.predicted[np.isfinite(recorded.predicted)]
        return DEFAULT_MAX_ABS * max(1.0, float(np.abs(finite).max(initial=0.0)))
    return DEFAULT_MAX_ABS


def _duration_s(limits: Mapping[str, Any]) -> float:
    said = limits.get("duration")
    return duration_s(str(said)) if said else USUAL_DURATION_S


def _refused(asked: _Request, fault: ProbeFault, folder: Path) -> GateResult:
    lines = last_lines(folder)
    for line in lines:
        print(f"server: {line}")
    reason = str(fault) + (f"; its log ends with: {lines[-1]}" if lines else "")
    return refuse(asked.limits, reason, asked.severity, asked.key)


def _metrics(found: Measured) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"probe_{_UNITS.get(name, name)}", float(getattr(found, name)), n_rows=found.compared)
        for name in _LOGGED
    )

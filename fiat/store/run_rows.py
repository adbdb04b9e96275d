"""How runs, steps and gates become rows and back: the tables `runs`, `steps` and `gates`."""

from datetime import datetime
from typing import Any

from fiat.run.model import GateResult, Metric, Run, StepResult
from fiat.store.database import Row, Value
from fiat.store.rows import pack, pack_outputs, read_time, unpack, unpack_outputs, write_time

RUN_COLUMNS = (
    "id, spec, spec_path, spec_digest, plan_digest, commit_id, branch, dirty, overrides, config, state, "
    "verdict, reason, started_at, ended_at, pid, host, model_digest"
)
STEP_COLUMNS = (
    "run, name, position, kind, state, reason, seconds, attempt, fingerprint, outputs, started_at, "
    "ended_at, resources"
)
GATE_COLUMNS = "run, position, name, state, reason, value, value_limit, key"
# What a worker that is gone ran for this run stays said until the next worker runs it again.
SAVE_STEP = (
    f"INSERT INTO steps ({STEP_COLUMNS}) VALUES (?, ?, "
    "(SELECT COALESCE(MAX(position), -1) + 1 FROM steps AS others WHERE others.run = ?), "
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run, name) DO UPDATE SET kind = excluded.kind, state = excluded.state, "
    "reason = excluded.reason, seconds = excluded.seconds, attempt = excluded.attempt, "
    "fingerprint = excluded.fingerprint, outputs = excluded.outputs, started_at = excluded.started_at, "
    "ended_at = excluded.ended_at, resources = excluded.resources "
    "WHERE NOT (steps.state = 'ran' AND (excluded.state = 'waiting' OR (excluded.state = 'reused' "
    "AND steps.fingerprint = excluded.fingerprint)))"
)


def run_row(run: Run, config: str) -> tuple[Value, ...]:
    """The row of a run whose config is the document of this digest."""
    return (
        run.id,
        run.spec,
        run.spec_path,
        run.spec_digest,
        run.plan_digest,
        run.commit,
        run.branch,
        int(run.dirty),
        pack(run.overrides),
        config,
        run.state,
        run.verdict,
        run.reason,
        write_time(run.started_at),
        write_time(run.ended_at),
        run.pid,
        run.host,
        run.model_digest,
    )


def read_run(
    row: Row,
    *,
    config: dict[str, object],
    steps: tuple[StepResult, ...] = (),
    metrics: tuple[Metric, ...] = (),
    gates: tuple[GateResult, ...] = (),
) -> Run:
    """The run of a row, with what other tables hold of it."""
    fields: tuple[Any, ...] = row
    return Run(
        id=fields[0],
        spec=fields[1],
        spec_path=fields[2],
        spec_digest=fields[3],
        plan_digest=fields[4],
        commit=fields[5],
        branch=fields[6],
        dirty=bool(fields[7]),
        overrides=tuple(unpack(fields[8])),
        config=config,
        state=fields[10],
        verdict=fields[11],
        reason=fields[12],
        started_at=datetime.fromisoformat(fields[13]),
        ended_at=read_time(fields[14]),
        steps=steps,
        metrics=metrics,
        gates=gates,
        pid=fields[15],
        host=fields[16],
        model_digest=fields[17],
    )


def step_row(step: StepResult) -> tuple[Value, ...]:
    """The row of a step without its run, name and position."""
    return (
        step.kind,
        step.state,
        step.reason,
        step.seconds,
        step.attempt,
        step.fingerprint,
        pack(pack_outputs(step.outputs)),
        write_time(step.started_at),
        write_time(step.ended_at),
        pack(step.resources),
    )


def read_step(row: Row) -> StepResult:
    """The step of a whole row."""
    fields: tuple[Any, ...] = row
    return StepResult(
        name=fields[1],
        kind=fields[3],
        state=fields[4],
        reason=fields[5],
        seconds=fields[6],
        attempt=fields[7],
        fingerprint=fields[8],
        outputs=unpack_outputs(unpack(fields[9])),
        started_at=read_time(fields[10]),
        ended_at=read_time(fields[11]),
        resources=unpack(fields[12]),
    )


def read_gate(row: Row) -> GateResult:
    """The gate of a whole row."""
    fields: tuple[Any, ...] = row
    return GateResult(
        name=fields[2], state=fields[3], reason=fields[4], value=fields[5], limit=fields[6], key=fields[7]
    )


def gate_row(run_id: str, position: int, gate: GateResult) -> tuple[Value, ...]:
    """The row of a gate."""
    return run_id, position, gate.name, gate.state, gate.reason, gate.value, gate.limit, gate.key

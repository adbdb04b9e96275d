"""The job of one trial: that of the study, in a folder of its own, with the parameters of the trial."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fiat.builtin.study_ledger import digest_of
from fiat.ports.compute import Command, Job, Sandbox

_REQUEST = "request.json"
_PARAMS, _CHECKPOINTS = "FIAT_PARAMS", "FIAT_CHECKPOINTS"


def trial_place(job: Job, digest: str) -> Job:
    """The job with the id, the scratch folder and the log of a trial; the log lies beside what the study remembers.

    Args:
        job: of the study.
        digest: of the trial's parameters.
    """
    assert job.study is not None  # noqa: S101 - only studies have trials
    own = job.work_dir / "trials" / digest
    return replace(job, id=f"{job.id}.{digest}", work_dir=own, log_path=job.study.ledger / f"{digest}.log")


def trial_job(job: Job, params: Mapping[str, object]) -> Job:
    """Lay out the folder of a trial and say what is run in it.

    The inputs stay where they are; outputs, scratch and checkpoints are the trial's own, so that trials side by side
    don't meet.

    Args:
        job: of the study; its time limit is that of each trial.
        params: the searched parameters, name to value.

    Raises:
        OSError: the disk refused.
    """
    command, digest = job.command, digest_of(params)
    assert command is not None  # noqa: S101 - a study is of user code
    place = trial_place(job, digest)
    own = place.work_dir
    for folder in (own, own / "out", own / "tmp"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    checkpoints = job.checkpoints / digest if job.checkpoints else None
    if checkpoints:
        checkpoints.mkdir(exist_ok=True, mode=0o700)
    moves = _Moves(job.work_dir, own, job.checkpoints, checkpoints)
    request = job.work_dir / _REQUEST
    argv = tuple(moves.text(word) for word in command.argv)
    if str(request) in command.argv:
        _write_request(request, own / _REQUEST, params, moves)
        argv = tuple(str(own / _REQUEST) if word == str(request) else word for word in command.argv)
    env = {name: moves.variable(name, value) for name, value in command.env.items()}
    if _PARAMS in env:
        env[_PARAMS] = json.dumps({**json.loads(env[_PARAMS]), **params})
    moved = Command(
        argv,
        command.cwd,
        env,
        own / command.result_path.name if command.result_path else None,
        moves.sandbox(command.sandbox) if command.sandbox else None,
        command.secrets,
    )
    return replace(place, command=moved, study=None, checkpoints=checkpoints)


class _Moves:
    """From the folders of the study to those of a trial."""

    def __init__(self, work: Path, own: Path, kept: Path | None, checkpoints: Path | None) -> None:
        self._work = work
        self._own = own
        self._pairs = [(str(work / "out"), str(own / "out"))]
        self._folders = {work: own, work / "out": own / "out", work / "tmp": own / "tmp"}
        if kept and checkpoints:
            self._pairs.append((str(kept), str(checkpoints)))
            self._folders[kept] = checkpoints

    def text(self, value: str) -> str:
        """A text with the paths of outputs and checkpoints in it."""
        for old, new in self._pairs:
            value = value.replace(old, new)
        return value

    def path(self, value: str) -> str:
        """A folder."""
        return str(self._folders.get(Path(value), value))

    def variable(self, name: str, value: str) -> str:
        """A variable of the environment, if it is one of those that name folders."""
        if name in ("HOME", "TMPDIR", _CHECKPOINTS):
            return self.path(value)
        if name != "FIAT_OUTPUTS":
            return value
        return json.dumps({output: self.text(path) for output, path in json.loads(value).items()})

    def sandbox(self, sandbox: Sandbox) -> Sandbox:
        """The sandbox, with the trial's folders to write to in place of the study's."""
        return replace(sandbox, writable=tuple(Path(self.path(str(path))) for path in sandbox.writable))


def _write_request(source: Path, target: Path, params: Mapping[str, object], moves: _Moves) -> None:
    request = json.loads(source.read_text("utf-8"))
    request["params"] = {**request["params"], **params}
    request["searched"] = sorted(params)
    if isinstance(seed := params.get("seed"), int):
        request["seed"] = seed
    request["outputs"] = {name: moves.text(path) for name, path in request["outputs"].items()}
    request["result"] = str(target.parent / Path(request["result"]).name)
    if "checkpoint" in request:
        request["checkpoint"]["folder"] = moves.path(request["checkpoint"]["folder"])
    target.write_text(json.dumps(request), "utf-8")

"""A job as it is on another node: the same work with other paths, and what it says told in the old ones."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fiat.ports.compute import Command, Job, JobResult, Sandbox, Study
from fiat.ports.step import StepContext


class Moves:
    """Puts other folders in place of some, wherever they stand in a text.

    Args:
        folders: absolute folder to absolute folder; the longest that fits counts.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = {old: new for old, new in folders.items() if old != new}
        olds = sorted(self._folders, key=len, reverse=True)
        # A folder ends where its name does: /a/train.1 is no part of /a/train.12, of /a/train.1.box, or of /b/a/train.1.
        words = "|".join(map(re.escape, olds)) or r"(?!)"
        self._pattern = re.compile(rf"(?<![\w.\-])(?:{words})(?![\w\-]|\.\w)")

    def back(self) -> "Moves":
        """The way back."""
        return Moves({new: old for old, new in self._folders.items()})

    def text(self, value: str) -> str:
        """A text with the new folders in it."""
        return self._pattern.sub(lambda found: self._folders[found[0]], value)

    def path(self, value: Path) -> Path:
        """A path."""
        return Path(self.text(str(value)))

    def paths(self, values: Sequence[Path]) -> tuple[Path, ...]:
        """Several paths."""
        return tuple(map(self.path, values))

    def value(self, value: Any) -> Any:
        """A JSON value, or a tuple, with all texts in it, also those of JSON documents within texts."""
        if isinstance(value, str):
            return self._document(value) if value.startswith(("{", "[")) else self.text(value)
        if isinstance(value, Path):
            return self.path(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.value, value))
        return value

    def _document(self, text: str) -> str:
        """JSON writes letters beyond ASCII as escapes: a folder with such a name is not seen from outside."""
        try:
            document = json.loads(text)
        except ValueError:
            return self.text(text)
        moved = self.value(document)
        return text if moved == document else json.dumps(moved)


def moved_job(job: Job, moves: Moves, *, log_path: Path, python: tuple[str, str]) -> Job:
    """The job as it is on this node.

    Args:
        job: as its owner sees it.
        moves: from the owner's folders to ours.
        log_path: its log here.
        python: the owner's interpreter and ours.
    """
    return replace(
        job,
        log_path=log_path,
        work_dir=moves.path(job.work_dir),
        owner_pid=0,
        command=_command(job.command, moves, python) if job.command else None,
        task=_task(job.task, moves) if job.task else None,
        study=_study(job.study, moves) if job.study else None,
        checkpoints=moves.path(job.checkpoints) if job.checkpoints else None,
    )


def told_result(result: JobResult, back: Moves) -> JobResult:
    """How a job ended here, in the words of its owner."""
    outcome = result.outcome
    if outcome is not None:
        outcome = replace(
            outcome, facts=back.value(outcome.facts), warnings=tuple(map(back.text, outcome.warnings))
        )
    return replace(
        result,
        reason=back.text(result.reason),
        result=back.value(result.result),
        resumed=back.text(result.resumed),
        mend=back.text(result.mend),
        outcome=outcome,
    )


def _command(command: Command, moves: Moves, python: tuple[str, str]) -> Command:
    theirs, ours = python
    argv = tuple(ours if word == theirs else moves.value(word) for word in command.argv)
    env = {name: moves.value(value) for name, value in command.env.items()}
    first, colon, rest = env.get("PATH", "").partition(":")
    if first == str(Path(theirs).parent):
        env["PATH"] = f"{Path(ours).parent}{colon}{rest}"
    return replace(
        command,
        argv=argv,
        cwd=moves.path(command.cwd),
        env=env,
        result_path=moves.path(command.result_path) if command.result_path else None,
        sandbox=_sandbox(command.sandbox, moves) if command.sandbox else None,
    )


def _sandbox(sandbox: Sandbox, moves: Moves) -> Sandbox:
    return replace(
        sandbox,
        read_only=moves.paths(sandbox.read_only),
        inputs=moves.paths(sandbox.inputs),
        writable=moves.paths(sandbox.writable),
        hidden=moves.paths(sandbox.hidden),
    )


def _task(task: StepContext, moves: Moves) -> StepContext:
    return replace(
        task,
        params=moves.value(task.params),
        inputs={role: moves.path(path) for role, path in task.inputs.items()},
        outputs={name: moves.path(path) for name, path in task.outputs.items()},
        root=moves.path(task.root),
        work_dir=moves.path(task.work_dir),
        facts=moves.value(task.facts),
    )


def _study(study: Study, moves: Moves) -> Study:
    return replace(
        study,
        ledger=moves.path(study.ledger),
        best=moves.path(study.best),
        trials_file=moves.path(study.trials_file),
    )

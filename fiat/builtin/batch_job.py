"""The scoring program: `python -m fiat.builtin.batch_job REQUEST.json`; it goes on where an earlier one was ended.

It cuts the input, scores what is not scored yet, and joins the answers. When there is more than a block to score and Ray is
wanted, it stops after cutting and says so: `batch_ray.py` is then started in its place.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.builtin.batch_join import join_parts
from fiat.builtin.batch_score import ScorePlan, Scorer, graph_inputs, missing_blocks
from fiat.builtin.batch_stage import Block, staged_blocks
from fiat.data.stream import SourceFile
from fiat.errors import EnvironmentFault, FiatError
from fiat.model.package import SIGNATURE

OUTCOME = "outcome.json"
FIRST, LAST = "cut", "all"


@dataclass(frozen=True)
class BatchTask:
    """What the program shall do; JSON values.

    Attributes:
        package: folder of the packaged model.
        work: folder of this model and this input; its parts outlive the program.
        folder: empty folder that gets the scores.
        files: path and name of each input file.
        kind: format of the files, or `dataset`.
        form: `parquet`, `csv` or `folder`.
        rows: most rows that are predicted at once.
        block_rows: most rows that are scored between two looks at the disk.
        cpus: cores of each predicting actor.
        gpus: GPUs of each predicting actor.
        actors: most actors; 0 for as many as there is room for.
        ray: Ray's address, empty to start one; None scores in the program itself.
        temp_dir: private folder of a Ray that is started, with its token.
        given: GPUs that it gives out; None lets it look for some.
        about: for the account.
    """

    package: str
    work: str
    folder: str
    files: Sequence[Sequence[str]]
    kind: str
    form: str
    rows: int
    block_rows: int
    cpus: float
    gpus: float
    actors: int = 0
    ray: str | None = None
    temp_dir: str = ""
    given: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def plan(self) -> ScorePlan:
        """How an actor scores."""
        return ScorePlan(self.package, self.work, self.rows, max(1, int(self.cpus)))

    def write(self, path: Path) -> None:
        """Write it for the program."""
        path.write_text(json.dumps(asdict(self)), "utf-8")


def run_task(task: BatchTask, score: Callable[[BatchTask, Sequence[Block]], None], *, here: bool) -> bool:
    """Do the task.

    Args:
        task: what to do.
        score: scores blocks, in any order.
        here: scoring in this process is what is wanted, however much there is.

    Returns:
        False when the input is cut and there is too much to score here.

    Raises:
        FiatError: it can't be done.
    """
    started = time.perf_counter()
    work = Path(task.work)
    files = [SourceFile(Path(path), name) for path, name in task.files]
    package = Path(task.package)
    blocks = staged_blocks(work, files, task.kind, graph_inputs(package), task.block_rows)
    missing = missing_blocks(work, blocks)
    if len(missing) > 1 and not here:
        return False
    if missing:
        score(task, missing)
    if left := missing_blocks(work, blocks):
        raise EnvironmentFault(f"{len(left)} of {len(blocks)} blocks were not scored", hint="deploy again")
    labels = [str(label) for label in json.loads((package / SIGNATURE).read_bytes())["labels"] or ()]
    resumed = sum(block.n_rows for block in blocks) - sum(block.n_rows for block in missing)
    about = {**task.about, "rows_from_an_earlier_try": resumed}
    about["seconds"] = round(time.perf_counter() - started, 3)
    join_parts(work, blocks, Path(task.folder), task.form, labels, about)
    return True


def score_here(task: BatchTask, blocks: Sequence[Block]) -> None:
    """Score blocks one after another in this process."""
    scorer = Scorer(task.plan())
    for block in blocks:
        scorer.score(block)


def run_program(
    score: Callable[[BatchTask, Sequence[Block]], None], *, here: Callable[[BatchTask], bool]
) -> None:
    """Read the task, do it, and write down how it ended; the only argument is the task's file."""
    path = Path(sys.argv[1])
    task = BatchTask(**json.loads(path.read_bytes()))
    outcome: dict[str, object] = {}
    try:
        outcome["done"] = run_task(task, score, here=here(task))
    except FiatError as error:
        outcome = {"fault": type(error).__name__, "message": str(error.message), "hint": error.hint}
        outcome["where"] = str(error.where) if error.where else ""
    except OSError as error:
        message = f"{error.filename or 'a file'} can't be read or written: {error.strerror or error}"
        outcome = {"fault": "EnvironmentFault", "message": message, "hint": "look at the disk", "where": ""}
    draft = path.with_name("outcome.draft")
    draft.write_text(json.dumps(outcome), "utf-8")
    draft.replace(path.with_name(OUTCOME))


def main() -> None:
    """Score without Ray, or only cut the input for a Ray."""
    run_program(score_here, here=lambda task: task.ray is None)


if __name__ == "__main__":
    main()

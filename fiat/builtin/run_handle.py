"""What user code is given as `run`: metrics, checkpoints, its seed and device, the workers beside it."""

import math
import operator
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fiat.builtin.child_checkpoint import Checkpoints
from fiat.builtin.child_checkpoint_entry import Keeping
from fiat.builtin.child_checkpoint_reads import Reads
from fiat.builtin.child_checkpoint_state import Restored
from fiat.builtin.child_gang import Gang, gang_of, spread
from fiat.builtin.child_meter import Meter
from fiat.builtin.child_warm import warm_start
from fiat.builtin.loss_watch import is_loss
from fiat.errors import SpecError
from fiat.journal import log

PACE = "samples_per_s"


class RunHandle:
    """What a function is given as `run`.

    Attributes:
        seed: `params.seed` of the spec, 0 when it has none.
        work_dir: scratch folder of this step; gone when it ends.
    """

    def __init__(
        self,
        seed: int,
        work_dir: Path,
        gang: Gang,
        *,
        checkpoints: Checkpoints | None = None,
        said: MutableMapping[str, object] | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        self.seed = seed
        self.work_dir = work_dir
        self._gang = gang
        self._checkpoints = checkpoints
        self._meter = Meter(gang.size, work_dir)
        self._request = request or {}
        self._said: MutableMapping[str, object] = {} if said is None else said
        self._logged: dict[str, float] = {}
        self._warned: set[str] = set()

    @property
    def device(self) -> str:
        """`cuda` when this step was given GPUs, else `cpu`."""
        return "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"

    @property
    def rank(self) -> int:
        """Which of the step's workers this is, from 0."""
        return self._gang.rank

    @property
    def workers(self) -> int:
        """How many workers share the step."""
        return self._gang.size

    def parallel(self, model: Any, **options: Any) -> Any:
        """The model on `device`, its gradients averaged over all workers; train it and return it as any other.

        Args:
            model: a `torch.nn.Module`.
            **options: for `torch.nn.parallel.DistributedDataParallel`, such as `find_unused_parameters=True`.

        Raises:
            SpecError: there are several workers, and it is no torch module.
        """
        return spread(model, self._gang, self.device, **options)

    def log(self, step: int | None = None, /, **metrics: float) -> None:
        """Record metrics; see `fiat.log`. With a step the throughput comes along, once a second at most."""
        # The first worker's alone: each one's second is over at another step.
        pace = None if step is None or PACE in metrics or self._gang.rank else self._meter.pace()
        log(step, **metrics, **({} if pace is None else {PACE: pace}))
        self._logged.update({name: float(value) for name, value in metrics.items()})

    def checkpoint(self, state: object, step: int | None = None, **metrics: float) -> bool:
        """Keep a state from which training can go on, when `train.checkpoint` of the spec says that it is time.

        All workers may call it; the first one writes. The global random generators are kept along.

        Args:
            state: anything that can be pickled (`state_dict()`s, numbers), or a function without arguments that makes
                it and is called only when it is time.
            step: position in the training, such as the epoch.
            **metrics: of the model as it is now; the last ones of `run.log` are added.

        Returns:
            Whether it was written now, by this worker.

        Raises:
            SpecError: the state can't be pickled, the metric that the best are kept by is unknown, or the step is no
                whole number.
        """
        if self._checkpoints is None:
            self._say_once("run.checkpoint keeps nothing: train.checkpoint is not set in the spec")
            return False
        known = {**self._logged, **{name: float(value) for name, value in metrics.items()}}
        lost = [name for name, value in known.items() if is_loss(name) and not math.isfinite(value)]
        if lost:
            self._say_once(f"run.checkpoint keeps nothing while {lost[0]} is no number")
            return False
        return self._checkpoints.save(state, _whole(step), known)

    def restore(self) -> Restored | None:
        """The newest checkpoint of this work, also of an earlier attempt; None when there is none to go on from.

        Call it when model, optimizer and data order are set up: the global random generators are put back to where
        they stood.

        Raises:
            SpecError: it can't be unpickled.
        """
        found = self._checkpoints.newest() if self._checkpoints else None
        if found is None:
            return None
        entry, restored = found
        if "resumed" not in self._said:
            place = replace(entry, step=restored.step)
            self._said["resumed"] = f"went on from {place}"
            self._say(f"goes on from {place}")
        return restored

    @property
    def checkpoint_dir(self) -> Path | None:
        """Folder for what a framework keeps by itself: the next attempt finds it as it was left.

        None when `train.checkpoint` is not set. A kill may come at any moment: write a file under another name, then
        rename it. Only the first of several workers writes.
        """
        return self._checkpoints.folder if self._checkpoints else None

    def best(self) -> Restored | None:
        """The best checkpoint by the metric of `train.checkpoint.best`, the newest without one; None when there is none.

        Raises:
            SpecError: it can't be unpickled.
        """
        found = self._checkpoints.best() if self._checkpoints else None
        return found[1] if found else None

    def warm_start(self, model: Any) -> bool:
        """Give a torch module the baseline's weights where they fit, and say on the log what had not.

        Returns:
            Whether it has any now; without a baseline it starts anew.

        Raises:
            SpecError: the spec does not say `train.warm_start: baseline`, it is no torch module, or the baseline's model
                can't be read with the code of now.
        """
        return warm_start(self._request, model, self._say)

    def count_rows(self, n_rows: int) -> None:
        """A batch of so many rows was handed out to this worker; the data tell it."""
        self._meter.count(n_rows)

    @contextmanager
    def at_work(self, store: Any = None) -> Iterator[None]:
        """Around the user's function: how fast it was on the whole, and where it was when it failed.

        Args:
            store: torch's, that all workers share; None where there is one.
        """
        if store is not None and self._checkpoints:
            self._checkpoints.meet(store)
        try:
            yield
        except BaseException:
            self._said["batch"] = self._meter.place
            raise
        mean = self._meter.mean()
        if mean is not None:
            log(**{PACE: mean})

    @contextmanager
    def parting(self) -> Iterator[None]:
        """Around all that workers do together: the first one stays until the others have what they asked it for."""
        try:
            yield
        except BaseException:
            if self._checkpoints and self._gang.rank:
                self._checkpoints.part()
            raise
        if self._checkpoints:
            self._checkpoints.part()

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        if not self._gang.rank:
            say(sentence)


def _whole(step: object) -> int | None:
    """A step as it is remembered: frameworks give theirs as numbers of their own."""
    try:
        return None if step is None else operator.index(step)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise SpecError(
            f"run.checkpoint was given the step {step!r}, expected a whole number",
            hint="write run.checkpoint(state, epoch, accuracy=...): what it is worth comes by name",
        ) from None


def say(sentence: str) -> None:
    """Write a line of ours to the step's log."""
    print(f"[fiat] {sentence}", flush=True)


def make_handle(request: Mapping[str, Any]) -> RunHandle:
    """The handle of a request; see `fiat.builtin.child`."""
    gang = gang_of()
    said = request.get("said")
    return RunHandle(
        request["seed"],
        Path(os.environ.get("HOME", ".")),
        gang,
        checkpoints=_checkpoints(request, gang),
        said=said,
        request=request,
    )


def _checkpoints(request: Mapping[str, Any], gang: Gang) -> Checkpoints | None:
    asked, watch = request.get("checkpoint"), request.get("watch")
    if not asked:
        return None
    return Checkpoints(
        Path(asked["folder"]),
        Keeping(asked["keep"], asked["metric"], asked["mode"]),
        every_s=asked["every_s"],
        rank=gang.rank,
        size=gang.size,
        reads=Reads(Path(request["root"]), watch) if watch is not None else None,
        say=say if not gang.rank else lambda _: None,
    )

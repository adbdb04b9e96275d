"""Port `compute`: where jobs run. Plugins: `local`, `ray`."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import Metric


@dataclass(frozen=True)
class Resources:
    """What a job asks for.

    Attributes:
        cpus: CPU cores of each worker, 0 or more, fractions allowed.
        gpus: GPUs of each worker, 0 or more; a whole number or a fraction below 1.
        memory_bytes: most memory that the process tree of each worker may hold; None is no limit.
        workers: processes that work on it together; they start together or not at all.
        priority: jobs of a higher one come first where they wait for GPUs.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    workers: int = 1
    priority: int = 0


@dataclass(frozen=True)
class Capacity:
    """What a compute has in all: same units as Resources."""

    cpus: float
    gpus: float
    memory_bytes: int
    name: str


@dataclass(frozen=True)
class Sandbox:
    """How a command is shut off, and what it may use at most; a limit of None is none.

    Attributes:
        kind: `bubblewrap`: the command sees the system, this Python and the paths below, each at its own place, and
            nothing else of the machine. `none`: it sees what its user sees, and only the limits hold.
        read_only: files and folders that it may read.
        inputs: the same, laid out for it: a link among them shows the one file that it leads to.
        writable: folders that it may write; `disk_bytes` counts what is in them.
        hidden: what it must not see of these. Of two paths that hold a file the longer one decides.
        network: whether it shares the machine's network; else it has a loopback of its own and nothing more.
        notes: sentences for the beginning of its log.
        processes: most processes at a time.
        memory_bytes: most memory of its process tree, beside the limit of the job's resources.
        disk_bytes: most that it may hold in its writable folders, also in deleted files that are still open.
        file_bytes: largest file that it may write.
        log_bytes: most that it may print.
    """

    kind: Literal["bubblewrap", "none"]
    read_only: tuple[Path, ...] = ()
    inputs: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    network: bool = False
    notes: tuple[str, ...] = ()
    processes: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    file_bytes: int | None = None
    log_bytes: int | None = None


@dataclass(frozen=True)
class Command:
    """The user's code, run in a fresh child process with nothing of our environment.

    Attributes:
        argv: program and arguments (no shell is added).
        cwd: folder to run in.
        env: the child's whole environment; the compute adds only what shows it its GPUs (CUDA_VISIBLE_DEVICES and its like).
        result_path: a JSON file that the child may write for the engine; None when it has nothing to say.
        sandbox: how it is shut off and limited; None is not at all.
        secrets: values that are masked in its log and in everything that the result says.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    result_path: Path | None = None
    sandbox: Sandbox | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Study:
    """A search: the job's command is run once a trial, each time with other parameters.

    Attributes:
        space: parameter to where its values come from, as `tune.search` of the spec has it.
        metric: name of the metric that is searched by.
        mode: whether it is made large or small.
        trials: how many combinations are tried in all.
        parallel: how many run side by side; each is given the job's resources.
        stop: how poor trials end early.
        sampler: how combinations are chosen.
        seed: of that choice.
        timeout_s: longest time of the whole search; what ended by then counts. None is no limit.
        ledger: folder that remembers trials from one attempt to the next, on a disk that engine and worker share.
        best: file for the best trial: a JSON object of `params`, `value` and `trial`.
        trials_file: file for all trials, a JSON list.
        metric_files: outputs of the command that are JSON files of name to number, by name.
        code: files that the search is known by, relative to the command's folder or absolute, with their MD5: what is
            tried with others is no part of it.
    """

    space: Mapping[str, Mapping[str, object]]
    metric: str
    mode: Literal["max", "min"]
    trials: int
    parallel: int
    stop: Literal["asha", "median", "none"]
    sampler: Literal["tpe", "random", "grid"]
    seed: int
    timeout_s: float | None
    ledger: Path
    best: Path
    trials_file: Path
    metric_files: tuple[str, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Job:
    """One attempt at one step. Exactly one of `command` (user code) and `task` (trusted) is set.

    Attributes:
        id: unique for each attempt; letters, digits, `.`, `-`, `_`.
        step: the step's name, shown to people.
        resources: what it needs; it waits until they are free.
        log_path: file that every line of output is appended to as it comes (UTF-8, lossy).
        work_dir: private scratch folder, exists, on a disk that engine and worker share.
        timeout_s: wall clock limit in seconds, of each trial where there is a study; None is no limit.
        owner_pid: process on this host whose death ends the job; 0 when it is on another host.
        study: the search that `command` is a trial of; None runs it once.
        checkpoints: folder where its code leaves checkpoints for the next attempt; None when it may not.
        stop_on_nan: whether a loss that is no number any more ends it.
    """

    id: str
    step: str
    resources: Resources
    log_path: Path
    work_dir: Path
    timeout_s: float | None = None
    owner_pid: int = 0
    command: Command | None = None
    task: StepContext | None = None
    study: Study | None = None
    checkpoints: Path | None = None
    stop_on_nan: bool = False


@dataclass(frozen=True)
class JobResult:
    """How an attempt ended.

    Attributes:
        state: `done`, `failed` (its own fault), `cancelled`, or `lost` (the worker died: worth another try).
        reason: one sentence for people; empty when done. Says signal, timeout or memory when they were the cause.
        seconds: wall clock of the work itself, without waiting for resources.
        exit_code: the child's exit code; None when it had none.
        metrics: read from the child's output, in order.
        outcome: what a trusted step returned.
        result: content of `Command.result_path`, when it was written.
        peak_memory_bytes: largest memory of the process tree that was seen; 0 when unknown.
        gpus: ids of the GPUs it was given.
        usage: what was seen of them: `gpu_memory_bytes` (peak, all of its GPUs), `gpu_load_ratio` (mean); empty when
            nothing was.
        resumed: from what it went on, one sentence; empty when it began anew.
        mend: what to do on the machine that could not run it at all, such as one without the sandbox that the command
            asks for; empty when the machine is not at fault.
    """

    state: Literal["done", "failed", "cancelled", "lost"]
    reason: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    metrics: tuple[Metric, ...] = ()
    outcome: StepOutcome | None = None
    result: Mapping[str, object] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    gpus: tuple[str, ...] = ()
    usage: Mapping[str, float] = field(default_factory=dict)
    resumed: str = ""
    mend: str = ""


class Compute(Protocol):
    """Runs jobs. One object serves one run of the engine; all calls come from one thread.

    The conformance suite is `fiat.testing.compute_suite`.
    """

    def start(self, needs: Sequence[Resources]) -> Capacity:
        """Get ready for jobs that need these.

        Raises:
            EnvironmentFault: no such compute, or one of `needs` is more than the whole compute has.
        """
        ...

    def submit(self, job: Job) -> Future[JobResult]:
        """Queue a job; the future never raises for a job's own failure."""
        ...

    def cancel(self, job_id: str) -> None:
        """End a job and all its processes; its future resolves as `cancelled`. Unknown ids are ignored."""
        ...

    def close(self) -> None:
        """End what still runs and give everything back. Calling it twice is fine."""
        ...

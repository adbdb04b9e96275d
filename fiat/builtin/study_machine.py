"""What the trials of one attempt at a search used of the machine, all of them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Machine:
    """Largest numbers of any trial.

    Attributes:
        peak_memory_bytes: largest memory of one trial.
        gpus: ids of all GPUs that any was given.
        usage: largest of each number, see `JobResult.usage`.
        mend: what to do on the machine, when it can run no trial at all.
        reason: why it can't.
    """

    peak_memory_bytes: int = 0
    gpus: set[str] = field(default_factory=set)
    usage: dict[str, float] = field(default_factory=dict)
    mend: str = ""
    reason: str = ""

    def add(self, said: Mapping[str, object]) -> None:
        """Take over what a trial used, and whether the machine could run it; see `StudyTrial`."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, int(str(said["peak_memory_bytes"])))
        gpus, usage = said["gpus"], said["usage"]
        self.gpus |= set(map(str, gpus)) if isinstance(gpus, list | tuple) else set()
        for name, number in usage.items() if isinstance(usage, Mapping) else ():
            self.usage[name] = max(self.usage.get(name, 0.0), float(str(number)))
        if said["mend"]:
            self.break_down(str(said["reason"]), str(said["mend"]))

    def break_down(self, reason: str, mend: str) -> None:
        """It can run no trial.

        Args:
            reason: why, one sentence.
            mend: what to do.
        """
        self.reason, self.mend = reason, mend

"""What of a service is looked at, and whether anything of it is new. Loads nothing large."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fiat.monitor.log_files import log_files
from fiat.monitor.model import DriftPlan, QualityPlan


@dataclass(frozen=True)
class Watched:
    """What is looked at.

    Attributes:
        predictions: folder of the log.
        labels: folder of labels.
        releases: folder of packages, each named by its digest.
        drift: None: inputs are not held against anything.
        quality: None: labels are not looked at.
    """

    predictions: Path
    labels: Path
    releases: Path
    drift: DriftPlan | None = None
    quality: QualityPlan | None = None

    def look(self) -> str:
        """What the folders look like, in short: the same when nothing is new."""
        files = [*log_files(self.predictions), *log_files(self.labels)]
        facts = [(file.path.name, file.size_bytes, file.written_at) for file in files]
        return hashlib.sha256(repr((facts, self.drift, self.quality)).encode()).hexdigest()

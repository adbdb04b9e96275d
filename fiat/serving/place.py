"""The folder of a service: where each thing is that its keeper, its servers and its watchers tell each other."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Paths of one service.

    Attributes:
        folder: of the service, one a target and model.
    """

    folder: Path

    @property
    def releases(self) -> Path:
        """Packages that never change, each in a folder named by its digest."""
        return self.folder / "releases"

    @property
    def manifest(self) -> Path:
        """What servers follow: `fiat.serving.release.ReleaseManifest`. Its keeper writes it."""
        return self.folder / "release.json"

    @property
    def wanted(self) -> Path:
        """What the target was asked for last; a deploy writes it."""
        return self.folder / "wanted.json"

    @property
    def rollout(self) -> Path:
        """State of the rollout; its keeper writes it."""
        return self.folder / "rollout.json"

    @property
    def keeper(self) -> Path:
        """Process of the keeper; its lock is beside it."""
        return self.folder / "keeper.json"

    @property
    def server(self) -> Path:
        """Process, port and URL of the server."""
        return self.folder / "server.json"

    @property
    def counts(self) -> Path:
        """One file a server process, `<worker>.json`: `fiat.serving.counts.WorkerCounts`."""
        return self.folder / "counts"

    @property
    def logs(self) -> Path:
        """What server and keeper print: `server.log`, `keeper.log`."""
        return self.folder / "logs"

    @property
    def predictions(self) -> Path:
        """Parquet files of logged requests and answers."""
        return self.folder / "predictions"

    @property
    def labels(self) -> Path:
        """Parquet files of labels that came later, by request id."""
        return self.folder / "labels"

    @property
    def watch(self) -> Path:
        """What the watcher found and did: windows, alarms, retrainings."""
        return self.folder / "watch"

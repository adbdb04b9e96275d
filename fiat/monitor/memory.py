"""What the watcher remembers, in the folder `watch/` of a service: windows and actions as JSON lines, and what it saw last.

Lines are only added at the end, each by one write that is flushed to the disk: who is killed leaves a whole line or half
of one, which counts for nothing and is ended by the next. `seen.json` only saves work: without it everything is looked at
again.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fiat.monitor.alarms import Action, Done
from fiat.monitor.model import ColumnDrift, Episode, Moved, Quality, Window

MOST_WINDOWS = 1000
"""That are kept, and as many actions."""


MOST_TRIES = 5
FIRST_PAUSE_S = 60.0
"""Before what failed is tried again; twice as long each time."""


@dataclass(frozen=True)
class Seen:
    """What the last look saw.

    Attributes:
        look: how the log was (`Watched.look`).
        quiet: no alarm holds and nothing is left to do.
    """

    look: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Memory:
    """The folder of what is remembered.

    Attributes:
        folder: `watch/` of a service.
    """

    folder: Path

    @property
    def _windows(self) -> Path:
        return self.folder / "windows.jsonl"

    @property
    def _actions(self) -> Path:
        return self.folder / "actions.jsonl"

    @contextmanager
    def held(self, what: str) -> Iterator[bool]:
        """Keep others away who do the same; False when another one is at it.

        Args:
            what: `judging` windows or `acting` on them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{what}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def windows(self) -> list[Window]:
        """All windows that are remembered, in order."""
        return [_window(line) for line in _lines(self._windows)]

    def add_window(self, window: Window) -> None:
        """Remember a window.

        Raises:
            OSError: the disk refused.
        """
        _add(self._windows, asdict(window))

    def done(self, now_s: float) -> list[Done]:
        """Actions that were begun and are not to be tried again now, in order; each once.

        What was begun and has no end counts as done: who did it may have been killed before or behind it.
        """
        found: dict[str, Done] = {}
        for line in _lines(self._actions):
            if line["state"] == "begun":
                found.setdefault(line["key"], Done(line["key"], line["kind"], line["commit"], line["at_s"]))
        again = {key for key, due_s in self._failed().items() if now_s >= due_s}
        return [item for key, item in found.items() if key not in again]

    def waits(self) -> bool:
        """Whether something failed that will be tried again."""
        return bool(self._failed())

    def _failed(self) -> dict[str, float]:
        """Actions that failed to when they are tried again."""
        failures: dict[str, list[float]] = {}
        for line in _lines(self._actions):
            if line["state"] == "failed":
                failures.setdefault(line["key"], []).append(line["at_s"])
            elif line["state"] == "ended":
                failures.pop(line["key"], None)
        return {
            key: times[-1] + FIRST_PAUSE_S * 2 ** (len(times) - 1)
            for key, times in failures.items()
            if len(times) < MOST_TRIES
        }

    def action_lines(self) -> list[Mapping[str, Any]]:
        """Everything that is remembered of actions, oldest first: what was begun, and how it ended."""
        return _lines(self._actions)

    def begin(self, action: Action, now_s: float) -> None:
        """Remember that an action is begun: from now on it is not decided again.

        Raises:
            OSError: the disk refused: then it must not be done.
        """
        _add(self._actions, {**asdict(action), "state": "begun", "at_s": now_s})

    def end(self, key: str, now_s: float, failure: str = "") -> None:
        """Remember how an action ended.

        Args:
            key: of the action.
            now_s: seconds since 1970.
            failure: why it failed, so that it is tried again later, MOST_TRIES times in all; empty when it is done.
        """
        state = "failed" if failure else "ended"
        _add(self._actions, {"key": key, "state": state, "result": failure, "at_s": now_s})

    def seen(self) -> Seen:
        """What `see` was told last."""
        try:
            found = json.loads((self.folder / "seen.json").read_bytes())
            return Seen(str(found["look"]), bool(found["quiet"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Seen()

    def see(self, seen: Seen) -> None:
        """Remember what was seen."""
        draft = self.folder / "unfinished.seen.json"
        draft.write_text(json.dumps(asdict(seen)) + "\n", "utf-8")
        draft.replace(self.folder / "seen.json")

    def settings(self) -> Mapping[str, Any]:
        """What the watcher was asked last, for whoever has only the folder; empty when nobody watched yet."""
        try:
            found = json.loads((self.folder / "settings.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Remember what the watcher was asked."""
        if self.settings() != settings:
            draft = self.folder / "unfinished.settings.json"
            draft.write_text(json.dumps(settings) + "\n", "utf-8")
            draft.replace(self.folder / "settings.json")

    def shorten(self) -> None:
        """Forget old windows and actions once there are twice as many as are kept."""
        for path in (self._windows, self._actions):
            lines = _lines(path)
            if len(lines) < 2 * MOST_WINDOWS:
                continue
            draft = path.with_name(f"unfinished.{path.name}")
            with draft.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in _kept(lines))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)


def _kept(lines: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The newest, the newest of each version with where it stands, and those that began an alarm that holds."""
    newest = {(line.get("kind"), line.get("digest")): place for place, line in enumerate(lines)}
    kept = set(newest.values())
    begun = {(lines[place].get("episode") or {}).get("since") for place in kept}
    return [
        line
        for place, line in enumerate(lines)
        if place >= len(lines) - MOST_WINDOWS or place in kept or line.get("serial", -1) in begun
    ]


def _lines(path: Path) -> list[Mapping[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found: list[Mapping[str, Any]] = []
    for line in data.split(b"\n"):
        try:
            item = json.loads(line)
        except ValueError:  # half a line, and the empty end
            continue
        if isinstance(item, dict):
            found.append(item)
    return found


def _add(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        torn = False
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        line = json.dumps(document).encode("utf-8", "replace") + b"\n"
        file.write(b"\n" + line if torn else line)
        file.flush()
        os.fsync(file.fileno())


def _window(found: Mapping[str, Any]) -> Window:
    columns = tuple(
        ColumnDrift(**{**item, "moved": tuple(Moved(**moved) for moved in item["moved"])})
        for item in found["columns"]
    )
    made: dict[str, Any] = {**found, "columns": columns, "notes": tuple(found["notes"])}
    made["quality"] = Quality(**found["quality"]) if found["quality"] else None
    made["episode"] = Episode(**found["episode"]) if found["episode"] else None
    made["latency_us"] = tuple(found["latency_us"])
    return Window(**made)

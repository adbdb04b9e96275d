"""Standard output of a job's step as the job reads it: commands, groups, and lines that are only text."""

import re
from dataclasses import dataclass, field

_NEWER = re.compile(r"^\s*::([^:\s]+)(?: ([^:]*))?::(.*)$")
_OLDER = re.compile(r"##\[([^\]\s]+)([^\]]*)\](.*)")
KNOWN = {"group", "endgroup", "error", "warning", "notice", "debug", "add-mask", "stop-commands"} | {
    "set-output",
    "save-state",
    "add-path",
    "set-env",
    "add-matcher",
    "remove-matcher",
    "echo",
}


@dataclass
class JobLog:
    """What was said.

    Attributes:
        commands: name, properties, value, in order; without groups and stops.
        groups: title to the lines inside, in order.
        lines: text outside of groups.
    """

    commands: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def named(self, name: str) -> list[tuple[dict[str, str], str]]:
        """Properties and value of each command of that name."""
        return [(properties, value) for found, properties, value in self.commands if found == name]


def read_log(text: str) -> JobLog:
    """Read standard output; fails on groups inside of groups and on a stop that is never taken back."""
    log, group, token = JobLog(), "", ""
    for line in text.splitlines():
        found = _parse(line)
        if token:
            if found and found[0] == token:
                token = ""
            else:
                (log.groups[group] if group else log.lines).append(line)
        elif found is None or found[0] not in KNOWN:
            (log.groups[group] if group else log.lines).append(line)
        elif found[0] == "group":
            assert not group, f"group {found[2]} inside of {group}"
            group = found[2]
            log.groups.setdefault(group, [])
        elif found[0] == "endgroup":
            group = ""
        elif found[0] == "stop-commands":
            token = found[2]
            assert len(token) >= 16
            assert token not in KNOWN
        else:
            log.commands.append(found)
    assert not group, f"{group} is still open"
    return log


def _parse(line: str) -> tuple[str, dict[str, str], str] | None:
    match = _NEWER.match(line) or _OLDER.search(line)
    if match is None:
        return None
    pairs = (item.split("=", 1) for item in (match[2] or "").split(",") if "=" in item)
    return match[1], {key.strip(): _plain(value) for key, value in pairs}, _plain(match[3])


def _plain(text: str) -> str:
    for code, letter in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, letter)
    return text

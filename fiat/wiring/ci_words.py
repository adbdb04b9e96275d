"""Lines that a job of GitHub Actions (or Gitea's, Forgejo's) takes as commands, and text that it must not take as one.

Source: "Workflow commands for GitHub Actions", docs.github.com; escaping as in `@actions/core`, `command.ts`.
"""

from typing import Literal

from fiat.builtin.view_text import visible
from fiat.errors import Where

Level = Literal["error", "warning", "notice"]
LONGEST_REMARK = 4000
LONGEST_TITLE = 200


def command(name: str, value: str = "", **properties: str | int) -> str:
    """One command, such as `::error file=spec.yaml,line=3::message`; empty properties are left out."""
    told = ",".join(f"{key}={_property(str(item))}" for key, item in properties.items() if item)
    return f"::{name}{' ' + told if told else ''}::{_data(value)}"


def remark(level: Level, message: str, *, title: str = "", where: Where | None = None) -> str:
    """An annotation; with a place it shows at the line in the pull request.

    Args:
        level: how bad.
        message: plain text, one or more lines, hostile; cut when it is very long.
        title: a few words, hostile.
        where: file relative to the top of the repository; None for the whole job.
    """
    place: dict[str, str | int] = {}
    if where is not None and where.file:
        place = {"file": where.file, "line": where.line, "col": where.column}
    text = "\n".join(visible(line) for line in message.splitlines())
    return command(level, _cut(text, LONGEST_REMARK), **place, title=_cut(visible(title), LONGEST_TITLE))


def harmless(line: str) -> str:
    """A line that the job takes for text, whatever stands in it.

    Commands are looked for at the first word of a line (`::name::`) and, in their older form (`##[name]`), anywhere.
    """
    text = visible(line).replace("##[", "#\N{ZERO WIDTH NON-JOINER}#[")
    return f"\N{ZERO WIDTH NON-JOINER}{text}" if text.lstrip().startswith("::") else text


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

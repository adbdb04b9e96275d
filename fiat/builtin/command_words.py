"""What somebody asks of the runner in a comment.

`/fiat run`, `/fiat cancel`, `/fiat approve COMMIT`, `/fiat deploy`, `/fiat rollback`.

A command counts only where a reader sees it as one: at the start of a line of ordinary text, not in code, a quotation, a
list, a table or a hidden part. Whether the writer may do it is for others to say, by numeric ids.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

WORD = "/fiat"
MOST_READ = 16_384
"""Characters of a comment that are looked at: people who command are brief."""
MOST_SPECS = 20
LONGEST_WORD = 80
LEAST_APPROVED = 16
"""Hex digits that an approval must name.

Whoever pushes a commit can try others until their first digits are those of one that was looked at. Seven digits take
a second, twelve take days of one graphics card, sixteen take centuries. The commit that waits must begin with them too.
A full hash is what people paste anyway.
"""
Verb = Literal["run", "cancel", "approve", "deploy", "rollback", "unclear"]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
USAGE = "\n".join(
    (
        "- `/fiat run` or `/fiat run SPEC ...`: run again what this commit touches, or these specs",
        "- `/fiat cancel`: end what runs for this pull request or commit",
        f"- `/fiat approve COMMIT`: let a fork's commit run; its full hash, {LEAST_APPROVED} digits at least",
        "- `/fiat deploy` on a commit: agree to deploy it, where that waits for approval",
        "- `/fiat rollback`: bring the earlier model back, wherever it was deployed",
    )
)


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        verb: what to do; `unclear` when nobody knows, then only `reply` is set.
        specs: names or paths of specs, for `run`; empty for all that the commit touches.
        commit: beginning of a hash in lower case, for `approve`.
        reply: plain text that says what is wrong; it may hold words of the comment.
    """

    verb: Verb
    specs: tuple[str, ...] = ()
    commit: str = ""
    reply: str = ""


def parse(text: str) -> Command | None:
    """The first command of a comment, None when it has none.

    Args:
        text: Markdown as written, hostile; characters behind MOST_READ are not looked at.
    """
    for said in _lines(text):
        if said == WORD or (said.startswith(WORD) and not re.match(r"[A-Za-z0-9_./-]", said[len(WORD)])):
            return _command(said)
    return None


def says(text: str, phrase: str) -> bool:
    """Whether a line of a comment starts with a phrase, such as the `comment` of a spec's triggers: the same rules."""
    return bool(phrase) and any(said == phrase or said.startswith(f"{phrase} ") for said in _lines(text))


def _command(said: str) -> Command:
    if not said.isascii() or not said.isprintable():
        return _unclear(
            "That line has characters that look like others, or can't be seen. Please type it anew."
        )
    words = said.split(" ")
    verb, *arguments = [word for word in words[1:] if word] or [""]
    if verb == "run":
        return _run(arguments)
    if verb == "approve":
        return _approve(arguments)
    if verb == "rollback":
        return Command("rollback") if not arguments else _unclear("rollback takes no more words.")
    if verb == "deploy":
        return Command("deploy") if not arguments else _unclear("deploy takes no more words.")
    if verb == "cancel":
        return Command("cancel") if not arguments else _unclear("cancel takes no more words.")
    return _unclear(f"There is no command {_cut(verb)} here." if verb else "What should be done?")


def _run(arguments: list[str]) -> Command:
    wrong = [name for name in arguments if not _NAME.fullmatch(name)]
    if wrong:
        values = " Values can't be given in a comment: fiat trigger takes them." if "=" in wrong[0] else ""
        return _unclear(f"{_cut(wrong[0])} is no name of a spec.{values}")
    if len(arguments) > MOST_SPECS:
        return _unclear(f"run takes {MOST_SPECS} specs at most.")
    return Command("run", specs=tuple(dict.fromkeys(arguments)))


def _approve(arguments: list[str]) -> Command:
    if len(arguments) != 1:
        return _unclear("approve takes one commit: the one that you looked at.")
    commit = arguments[0].lower()
    if not _COMMIT.fullmatch(commit):
        return _unclear(f"{_cut(arguments[0])} is no commit: a hash has digits and a to f only.")
    if len(commit) < LEAST_APPROVED:
        return _unclear(
            f"{commit} is too short: another commit can be made that begins like it. Please give the full hash, "
            f"{LEAST_APPROVED} digits at least."
        )
    return Command("approve", commit=commit)


def _unclear(said: str) -> Command:
    return Command("unclear", reply=f"{said} Nothing was done.")


def _cut(word: str) -> str:
    return word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD - 1] + "…"


def _lines(text: str) -> Iterator[str]:
    """Lines of ordinary text, which stand in nothing else; what is no plain text behind their start is told by its marks."""
    # Unjoined, a character that was escaped (`\/fiat`) can be told from one that was not.
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")
    for before, token in pairwise(reader.parse(text[:MOST_READ])):
        if token.type == "inline" and before.type == "paragraph_open" and before.level == 0:
            yield from _plain_lines(token.children or [])


def _plain_lines(parts: Iterable[Token]) -> Iterator[str]:
    said: str | None = ""
    for part in parts:
        if part.type in ("softbreak", "hardbreak"):
            if said:
                yield said.rstrip(" ")
            said = ""
        elif said is None or (not said and part.type != "text"):
            said = None
        elif part.type in ("text", "text_special"):
            said += part.content
        else:
            said += part.markup or part.content or "[]"
    if said:
        yield said.rstrip(" ")

"""Texts for forges: cut to their limits where it hurts least, and clean of what they refuse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

# Control characters, lone surrogates, and marks that turn the direction of what follows.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"[\s\u2028\u2029]+")
_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_DETAILS = re.compile(r"<(/?)details\b", re.IGNORECASE)
CUT_NOTE = "\n\n*The rest is cut: it is on the page of the run.*\n"


def one_line(text: str, limit: int) -> str:
    """A text on one line of at most `limit` characters, without control characters and turns of direction."""
    line = _SPACE.sub(" ", _UNFIT.sub(" ", text)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def without_astral(text: str) -> str:
    """The text with a replacement for each character beyond U+FFFF (emoji), which some fields refuse."""
    return _ASTRAL.sub("\ufffd", text)


def clean(text: str) -> str:
    """The text without what no forge stores or should show: control characters, lone surrogates, turns of direction."""
    return _UNFIT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def cut_markdown(text: str, limit: int, note: str = CUT_NOTE) -> str:
    """Markdown of at most `limit` characters: its top, cut after a line, with open fences and `<details>` closed.

    Args:
        text: Markdown.
        limit: most characters of the result; more than `note` has.
        note: what stands at the end when something was cut.
    """
    text = clean(text)
    if len(text) <= limit:
        return text
    kept, size, tail, opened = 0, 0, note, _Open()
    lines = text.split("\n")
    for line in lines:
        opened.see(line)
        size += len(line) + 1
        closing = opened.closing() + note
        if size + len(closing) > limit:
            break
        kept, tail = kept + 1, closing
    if not kept:
        head, only = lines[0][: limit - len(note)], _Open()
        only.see(head)
        return note if only.closing() else head + note
    return "\n".join(lines[:kept]) + "\n" + tail


@dataclass
class _Open:
    """What is open after some lines.

    Source: CommonMark, sections 4.5 (fenced code blocks) and 4.6 (HTML blocks).
    """

    fence: str = ""
    n_details: int = 0

    def see(self, line: str) -> None:
        found = _FENCE.match(line)
        if self.fence:
            if found and found[1].startswith(self.fence) and not found[2].strip():
                self.fence = ""
        elif found and not ("`" in found[1] and "`" in found[2]):
            self.fence = found[1]
        else:
            for slash in _DETAILS.findall(line):
                self.n_details = max(0, self.n_details + (-1 if slash else 1))

    def closing(self) -> str:
        return (f"{self.fence}\n" if self.fence else "") + "\n</details>\n" * self.n_details


def url_path(template: str, parts: Mapping[str, object]) -> str:
    """A path with each part percent-encoded whole, so that no part can leave its place.

    Raises:
        ValueError: a part is empty, `.` or `..`, which servers and proxies would resolve.
    """
    encoded = {}
    for name, part in parts.items():
        text = str(part)
        if text in ("", ".", ".."):
            raise ValueError(f"{text!r} is no part of a path")
        encoded[name] = quote(text, safe="", errors="replace")
    return template.format_map(encoded)

"""Read Markdown as a forge does: what is rendered, and what a forge then finds in its text."""

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

# What forges look for in rendered text outside of code: people, issues, merge requests, labels, milestones, epics,
# snippets, tickets, commits, addresses, mail, emoji, mathematics, footnotes.
FOUND_BY_FORGES = re.compile(
    r"""(?xi)
    @\w | [#!~&$]\w | %[a-z"] | \^\w | \bGH-\d | \b[a-z]+-\d | \b(?=\w*\d)[0-9a-f]{7,64}\b
    | :// | \bwww\. | \w@\w | :[\w+-]+: | \$ | \bmailto: | [^\s\d]\.[a-z] | \[[^\]]*[a-z]
    """
)


@dataclass
class Read:
    """What was found.

    Attributes:
        tokens: types of all tokens, blocks and inline.
        links: where links go.
        texts: each run of text outside of code.
        codes: content of code spans.
        html: HTML as it stands.
        blocks: content of blocks of code.
        rows: cells of all tables, as text.
        words: everything that a reader sees, in pieces.
    """

    tokens: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def references(self) -> list[str]:
        """Everything that a forge would make a link or a ping of."""
        return [match[0] for text in self.texts for match in FOUND_BY_FORGES.finditer(text)]


def read(markdown: str) -> Read:
    found = Read()
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        _take(token, found)
    return found


def _take(token: Token, found: Read) -> None:
    if token.type == "inline":
        before = len(found.words)
        found.texts.append("")
        for child in token.children or []:
            _take_inline(child, found)
        if found.rows and found.rows[-1] and found.rows[-1][-1] == "":
            found.rows[-1][-1] = "".join(found.words[before:])
        found.words.append(" ")
        return
    found.tokens.append(token.type)
    if token.type in ("fence", "code_block"):
        found.blocks.append(token.content)
    elif token.type == "html_block":
        found.html.append(token.content)
    elif token.type == "tr_open":
        found.rows.append([])
    elif token.type in ("td_open", "th_open"):
        found.rows[-1].append("")


def _take_inline(token: Token, found: Read) -> None:
    found.tokens.append(token.type)
    if token.type == "code_inline":
        found.codes.append(token.content)
        found.words.append(token.content)
        found.texts.append("")
    elif token.type == "html_inline":
        found.html.append(token.content)
    elif token.type == "link_open":
        found.links.append(str(token.attrGet("href")))
    elif token.type in ("text", "text_special"):
        found.words.append(token.content)
        found.texts[-1] += token.content
    elif token.type == "softbreak":
        found.words.append(" ")

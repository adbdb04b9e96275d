"""Fill the tables and help texts of the documents from the program itself: `make docs`.

A block `<!-- fields: Gate -->` ... `<!-- end -->` becomes the table of that section of the language, a block
`<!-- settings: Listen -->` that of a section of a runner's settings (`Runner` is the whole), a block `<!-- help: run -->`
the text of `fiat run --help`. A test compares, so a document can't fall behind.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fields import Schema, table

from fiat.spec.operator_section import operator_schema

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"(<!-- (fields|settings|help): ?([\w -]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """A document with every block made anew."""
    makers: dict[str, Callable[[str], str]] = {"fields": _fields, "settings": _settings, "help": _help}

    def replace(match: re.Match[str]) -> str:
        return match[1] + makers[match[2]](match[3]) + match[4]

    return BLOCK.sub(replace, text)


@cache
def schema() -> Schema:
    """The JSON Schema of the language, as the program prints it."""
    document: Schema = json.loads(ask("schema", "spec"))
    return document


def ask(*arguments: str) -> str:
    """What `fiat` prints on standard output, in a terminal of 100 columns.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    program = str(Path(sys.executable).with_name("fiat"))
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=env, check=True)
    return done.stdout


def _fields(name: str) -> str:
    return f"\n{table(schema(), name)}\n\n"


def _settings(name: str) -> str:
    section = "Spec" if name == "Runner" else name
    return f"\n{table(operator_schema(), section)}\n\n"


def _help(command: str) -> str:
    lines = ask(*command.split(), "--help").strip().splitlines()
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def main() -> None:
    """Rewrite the documents that changed."""
    for path in DOCUMENTS:
        before = path.read_text("utf-8")
        after = fill(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"filled {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

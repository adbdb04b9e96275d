"""The files of a folder, and which symbolic links in it may be followed."""

# Paths are plain text in this file: with 50,000 files the making of Path objects would cost more than the work.
# ruff: noqa: PTH114, PTH116, PTH120

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from fiat.errors import SpecError

FoundFile = tuple[str, os.stat_result]


@dataclass(frozen=True)
class WalkRules:
    """What a walk may see.

    Attributes:
        inside: folders, resolved and absolute, that a symbolic link must stay inside of; one is enough.
        skip: names of folders that are not entered.
        noun: what the files are, for messages, such as `data`.
    """

    inside: tuple[str, ...]
    skip: frozenset[str] = frozenset()
    noun: str = "data"


@dataclass(frozen=True)
class Walk:
    """What a walk saw.

    Attributes:
        files: (path relative to the top with `/` between its parts, its stat) for each file, sorted by path.
        has_links: some of them were reached through a symbolic link.
    """

    files: list[FoundFile]
    has_links: bool


def walk_files(top: str, rules: WalkRules) -> Walk:
    """Every file below a folder.

    A symbolic link counts as what it points to; empty folders leave no trace, as in DVC.

    Raises:
        SpecError: a link leaves `rules.inside`, points to nothing or leads in a circle; something is neither
            file nor folder; or something can't be read.
    """
    found: list[FoundFile] = []
    has_links = False
    waiting: list[tuple[str, str, tuple[str, ...]]] = [("", top, ())]
    while waiting:
        prefix, folder, through = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        found.append((prefix + entry.name, entry.stat(follow_symlinks=False)))
                    elif entry.is_dir(follow_symlinks=False):
                        if entry.name not in rules.skip:
                            waiting.append((f"{prefix}{entry.name}/", entry.path, through))
                    else:
                        has_links = True
                        _follow(entry, prefix, through, rules, found, waiting)
        except OSError as error:
            raise unreadable(error, folder, rules.noun) from error
    found.sort(key=_path)
    return Walk(found, has_links)


def resolve_link(path: str, rules: WalkRules) -> str:
    """Where a symbolic link leads, resolved and absolute.

    Raises:
        SpecError: outside of `rules.inside`, or to nothing.
    """
    target = os.path.realpath(path)
    if not is_inside(target, rules.inside):
        raise SpecError(
            f"the {rules.noun} {path} is a link that leads outside, to {target}",
            hint="put the file itself there, or name the place that it leads to",
        )
    if not os.path.lexists(target) or os.path.islink(target):
        raise SpecError(
            f"the {rules.noun} {path} is a link to nothing ({target})", hint="mend or remove the link"
        )
    return target


def is_inside(path: str, folders: Sequence[str]) -> bool:
    """Whether a resolved path is one of these folders or below one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def unreadable(error: OSError, path: str, noun: str) -> SpecError:
    """The fault of a file or folder that can't be read."""
    place = error.filename if isinstance(error.filename, str) else path
    if isinstance(error, FileNotFoundError):
        return SpecError(f"the {noun} {place} does not exist", hint="mend the path, or make the file")
    return SpecError(
        f"the {noun} {place} can't be read: {error.strerror or error}", hint="check its owner and its mode"
    )


def odd_kind(path: str, mode: int, noun: str) -> SpecError:
    """The fault of something that is neither file nor folder."""
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a named pipe"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    return SpecError(f"the {noun} {path} is {kind}", hint="only files and folders can be kept; remove it")


def _follow(
    entry: "os.DirEntry[str]",
    prefix: str,
    through: tuple[str, ...],
    rules: WalkRules,
    found: list[FoundFile],
    waiting: list[tuple[str, str, tuple[str, ...]]],
) -> None:
    if not entry.is_symlink():
        raise odd_kind(entry.path, entry.stat(follow_symlinks=False).st_mode, rules.noun)
    target = resolve_link(entry.path, rules)
    facts = os.stat(target)
    if stat.S_ISREG(facts.st_mode):
        found.append((prefix + entry.name, facts))
    elif not stat.S_ISDIR(facts.st_mode):
        raise odd_kind(entry.path, facts.st_mode, rules.noun)
    elif entry.name not in rules.skip:
        here = os.path.realpath(os.path.dirname(entry.path))
        if is_inside(here, (target,)) or target in through:
            raise SpecError(
                f"the {rules.noun} {entry.path} is a link that leads in a circle", hint="remove the link"
            )
        waiting.append((f"{prefix}{entry.name}/", entry.path, (*through, target)))


def _path(found: FoundFile) -> str:
    return found[0]

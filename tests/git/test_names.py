"""Paths, patterns and words of other people."""

import pytest

from fiat.git.names import fault_of_path, is_dot_git
from fiat.git.patterns import any_of
from fiat.git.words import in_one_line, show_path


@pytest.mark.parametrize(
    "name",
    [".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git . .", ".git::$INDEX_ALLOCATION", ".g\u200cit",
     ".git\u200d", "\ufeff.git", ".git:x"],
)  # fmt: skip
def test_every_spelling_that_some_disk_takes_for_dot_git_is_known(name: str) -> None:
    assert is_dot_git(name)
    assert fault_of_path(f"a/{name}/config")
    assert fault_of_path(f"a\\{name}\\config")


@pytest.mark.parametrize(
    "name", [".gitignore", ".gitmodules", "git", "git~2", ".github", "x.git", ".git2", "..git"]
)
def test_other_names_are_fine(name: str) -> None:
    assert not is_dot_git(name)
    assert fault_of_path(f"a/{name}") == ""


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/", "../a", "a/../b", "./a", "a/.", "a\0b"])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    assert fault_of_path(path)


def test_paths_that_are_too_long_or_deep_are_refused_and_odd_ones_are_fine() -> None:
    assert fault_of_path("a" * 256)
    assert fault_of_path("é" * 128)
    assert fault_of_path("/".join("a" * 65))
    assert fault_of_path("/".join(["a" * 200] * 25))
    for path in ("a b", "a\nb", "-rf", "$(id)", "\x1b[31m", "\udcff", "é" * 127):
        assert fault_of_path(path) == ""


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (
            "**/spec.yaml",
            ["spec.yaml", "a/spec.yaml", "a/b/spec.yaml"],
            ["xspec.yaml", "a/spec.yaml/b", "spec.yamlx"],
        ),
        ("specs/*.yaml", ["specs/a.yaml", "specs/.yaml"], ["specs/a/b.yaml", "a/specs/a.yaml"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("**/x/**/y", ["x/y", "a/x/b/c/y"], ["xy", "x/yy"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab]*.y", ["a.y", "bc.y"], ["c.y", "/a.y"]),
        ("[!a].y", ["b.y"], ["a.y", "/.y"]),
        ("a.b+(c)|^$", ["a.b+(c)|^$"], ["aXb", "a.bb"]),
        ("[", ["["], ["a"]),
        ("[z-a]", ["[z-a]"], ["z"]),
        ("a\nb*", ["a\nbc"], ["a"]),
    ],
)
def test_patterns_of_paths(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = any_of([pattern])
    assert [path for path in matching if not matches(path)] == []
    assert [path for path in other if matches(path)] == []


def test_hostile_words_become_one_printable_line_without_secrets() -> None:
    secret = "tok/en+1"
    text = f"fatal: \x1b[31mno\x1b[0m\r\n remote: {secret} \u202e bG\0\n\ntok%2Fen%2B1 dG9rL2VuKzE="
    line = in_one_line(text, [secret])
    assert line.isprintable()
    assert line.startswith("fatal: ?[31mno?[0m; remote: *** ? bG?; *** ***")
    for form in (secret, "tok%2Fen%2B1", "dG9rL2VuKzE"):
        assert form not in line
    assert len(in_one_line("x" * 10_000)) <= 400


def test_a_path_is_shown_as_it_is_unless_it_hides_something() -> None:
    assert show_path("a b/é.txt") == "a b/é.txt"
    assert show_path("a\u202eb") == "'a\\u202eb'"
    assert show_path("\udcff") == "'\\udcff'"

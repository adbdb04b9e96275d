import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.errors import SpecError
from fiat.spec.tree import locate, to_plain
from fiat.spec.yaml_events import MAX_BYTES, parse


def refused(text: str | bytes) -> str:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(SpecError) as caught:
        parse(content, "s.yaml")
    return str(caught.value)


def outcome(text: str) -> str:
    """The error of a text, or nothing when it is read; any other exception fails the test."""
    try:
        parse(text.encode("utf-8", "surrogatepass"), "s.yaml")
    except SpecError as error:
        return str(error)
    return ""


def test_every_key_and_value_keeps_its_line_and_column() -> None:
    tree = parse(b"a:\n  b: 1\n  c: [x, {d: 2}]\n", "s.yaml")
    assert to_plain(tree) == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert str(locate(tree, ("a", "b"))) == "s.yaml:2:6"
    assert str(locate(tree, ("a", "b"), key=True)) == "s.yaml:2:3"
    assert str(locate(tree, ("a", "c", 1, "d"))) == "s.yaml:3:14"
    assert str(locate(tree, ("a", "nothing", "at", "all"))) == "s.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\n", "s.yaml:1:4: anchors (`&name`) are not allowed (use ${key.path})"),
        ("a: 1\nb: *a\n", "s.yaml:2:4: aliases (`*name`) are not allowed (use ${key.path})"),
        ("a: !!python/object/apply:os.system [id]\n", "s.yaml:1:4: tags (`!name`) are not allowed"),
        ("a: ! x\n", "s.yaml:1:4: tags (`!name`) are not allowed"),
        (
            "a: 1\n<<: {b: 2}\n",
            "s.yaml:2:1: merge keys (`<<`) are not allowed (use `defaults` or ${key.path})",
        ),
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3:1: the key `a` is here twice (the first is in line 1)"),
        ("a: {b: 1, b: 2}\n", "s.yaml:1:11: the key `b` is here twice (the first is in line 1)"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: only one document is allowed in a file"),
        ("%YAML 1.1\n---\na: 1\n", "s.yaml:1:1: directives (`%NAME`) are not allowed"),
        ("[a]: 1\n", "s.yaml:1:1: a key must be text, not a list or mapping"),
        ("? {a: 1}\n: 2\n", "s.yaml:1:3: a key must be text, not a list or mapping"),
        ("'': 1\n", "s.yaml:1:1: a key is empty"),
        ("- 1\n", "s.yaml:1:1: expected a mapping such as `fiat: 1`"),
        ("", "s.yaml:1:1: expected a mapping such as `fiat: 1`"),
        ("a: 99999999999999999999\n", "s.yaml:1:4: the number 99999999999999999999 does not fit in 64 bits"),
        ("a: b\x00c\n", "s.yaml:1:5: the character U+0000 is not allowed"),
        ("a: b\u202ec\n", "s.yaml:1:5: the character U+202E is not allowed"),
        ('a: "\\u202e"\n', "s.yaml:1:4: the character U+202E is not allowed"),
        ('a: "\\0"\n', "s.yaml:1:4: the character U+0000 is not allowed"),
        (b"a: 1\nb: \xff\n", "s.yaml:2:4: not valid UTF-8"),
    ],
)
def test_what_is_refused_is_named_at_its_place(text: str | bytes, message: str) -> None:
    assert refused(text).startswith(message)


def test_a_reference_without_quotes_in_braces_gets_the_hint_to_quote_it() -> None:
    assert 'needs quotes: "${params.lr}"' in refused("a: {lr: ${params.lr}}\n")


def test_a_tab_that_indents_gets_the_hint_to_use_spaces() -> None:
    assert "use spaces" in refused("a:\n\tb: 1\n")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{" * 200_000,
        "a: " + "[" * 100_000 + "]" * 100_000,
        "[\n" * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "{a: " * 60_000,
        "".join(" " * level + "a:\n" for level in range(600)),
        "a: [" + "x, " * 60_000 + "]",
        "a: " + "1" * 250_000,
        "a: " + ":".join("1" * 60_000),
        "%YAML 1.1\n" * 20_000,
        '"' + "\n" * 200_000,
        "a: |\n" + " \n" * 120_000 + "\tx",
        "&a " * 80_000,
        "a b " * 60_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_hostile_text_is_refused_in_little_time(text: str) -> None:
    start = time.process_time()
    message = outcome(text)
    assert len(message) < 500
    assert message or text.startswith(("a: 1:", "a: |"))
    assert time.process_time() - start < 1.0


def test_a_file_above_the_limit_is_refused_by_its_size() -> None:
    assert "at most 262,144 are read" in refused(b"a" * (MAX_BYTES + 1))


def test_a_spec_of_300_steps_parses_in_less_than_50_ms() -> None:
    text = "fiat: 1\nname: x\nsteps:\n" + "".join(
        f"  s{n}:\n    run: python step.py {n} < {{s{n - 1}.o}} > {{out.o}}\n    out: {{o: file}}\n"
        for n in range(300)
    )
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        parse(text.encode(), "s.yaml")
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.05


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_no_text_raises_anything_but_a_spec_error(text: str) -> None:
    message = outcome(text)
    assert message == "" or message.startswith("s.yaml")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-[]{},?&*!|>'\"%@#\n\t 01.~<", max_size=80))
def test_no_text_of_yaml_signs_raises_anything_but_a_spec_error(text: str) -> None:
    message = outcome(text)
    assert message == "" or message.startswith("s.yaml")


_WORDS = st.text(alphabet="abcxyz_ äß-/.", min_size=1, max_size=12)
_VALUES = st.recursive(
    st.one_of(_WORDS, st.integers(-(2**62), 2**62), st.booleans(), st.none(), st.floats(-1e9, 1e9)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_WORDS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_WORDS, _VALUES, max_size=4), st.booleans())
def test_what_pyyaml_writes_is_read_back_as_it_was(value: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow)
    assert to_plain(parse(text.encode(), "s.yaml")) == yaml.load(text, Loader=yaml.SafeLoader) == value

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fiat.spec.interpolate import resolve
from fiat.spec.tree import to_plain
from fiat.spec.yaml_events import parse


def resolved(text: str, **builtins: str) -> dict[str, object]:
    value, errors, _ = resolve(parse(text.encode(), "s.yaml"), builtins)
    assert [str(error) for error in errors] == []
    return value


def problems(text: str, **builtins: str) -> list[str]:
    return [str(error) for error in resolve(parse(text.encode(), "s.yaml"), builtins)[1]]


def test_a_lone_reference_keeps_the_type_of_what_it_names() -> None:
    assert resolved("a: 1e-3\nb: ${a}\nc: ['${d}']\nd: {e: [1, true]}\n") == {
        "a": 0.001,
        "b": 0.001,
        "c": [{"e": [1, True]}],
        "d": {"e": [1, True]},
    }


def test_references_within_text_are_spelled_out() -> None:
    assert resolved("a: {b: 3}\nc: x-${a.b}-${ a.b }\n")["c"] == "x-3-3"


def test_items_of_lists_are_named_by_index_either_way() -> None:
    assert resolved("a: [5, {b: 6}]\nc: ${a[0]}\nd: ${a.1.b}\n") == {"a": [5, {"b": 6}], "c": 5, "d": 6}


def test_built_in_names_are_known() -> None:
    found = resolved(
        "name: digits\nt: ${name}:${commit}@${ref} in ${dir}\n", commit="abc", ref="main", dir="."
    )
    assert found["t"] == "digits:abc@main in ."


def test_a_backslash_keeps_the_characters_themselves() -> None:
    assert resolved("a: 'echo \\${HOME}'\n")["a"] == "echo ${HOME}"
    assert resolved("b: 1\na: 'x\\\\${b}'\n")["a"] == "x\\1"


def test_dollars_without_braces_are_nothing_special() -> None:
    assert resolved("a: echo $HOME $$ {x} $\n")["a"] == "echo $HOME $$ {x} $"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params: {lr: 1}\nx: ${params.lrr}\n",
         "s.yaml:2:4: x: ${params.lrr}: `params` has no `lrr` (did you mean `params.lr`?)"),
        ("x: ${oc.env:HOME}\n",
         ("s.yaml:1:4: x: resolvers such as ${oc.env:...} are not allowed "
          "(the environment comes in through `env.vars` and `env.secrets` only)")),
        ("x: ${oc.decode:${y}}\n", "s.yaml:1:4: x: a reference inside a reference is not allowed (name the key itself)"),
        ("y: 1\nx: ${${y}}\n", "s.yaml:2:4: x: a reference inside a reference is not allowed (name the key itself)"),
        ("x: ${..y}\n", "s.yaml:1:4: x: ${..y} is no key path (write `\\${` for the characters themselves)"),
        ("x: ${y\n", "s.yaml:1:4: x: `${` without its `}` (write `\\${` for the characters themselves)"),
        ("x: ${x}\n", "s.yaml:1:4: x: ${x} refers to itself"),
        ("x: a ${y} b\ny: [1]\n", "s.yaml:1:4: x: a list or mapping can't be put into text"),
        ("p: {a: 1, b: '${p}'}\n", "s.yaml:1:14: p.b: ${p} refers to itself"),
        ("x: ${HOME}\n", "s.yaml:1:4: x: ${HOME}: there is no `HOME` (write `\\${` for the characters themselves)"),
    ],
)  # fmt: skip
def test_what_cannot_be_resolved_is_named_at_its_place(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_a_circle_is_told_once() -> None:
    assert problems("a: ${b}\nb: ${c}\nc: ${a}\n") == ["s.yaml:3:4: c: ${a} refers to itself"]


def test_every_bad_reference_is_told() -> None:
    assert len(problems("a: ${x}\nb: ['${y}', ok]\nc: {d: '${z}'}\n")) == 3


def test_text_that_doubles_is_refused_at_once() -> None:
    text = "a0: xxxxxxxxxx\n" + "".join(f"a{n}: ${{a{n - 1}}}${{a{n - 1}}}\n" for n in range(1, 31))
    start = time.process_time()
    assert any("expand to more than 262,144 characters" in problem for problem in problems(text))
    assert time.process_time() - start < 1.0


def test_lists_that_double_are_refused_at_once() -> None:
    text = "a0: [1]\n" + "".join(f"a{n}: ['${{a{n - 1}}}', '${{a{n - 1}}}']\n" for n in range(1, 40))
    start = time.process_time()
    assert any("expand to more than" in problem for problem in problems(text))
    assert time.process_time() - start < 1.0


def test_a_long_chain_is_refused_without_exhausting_the_stack() -> None:
    text = "a0: 1\n" + "".join(f"a{n}: ${{a{n - 1}}}\n" for n in range(1, 3000))
    backwards = "".join(reversed(text.splitlines(keepends=True)))
    assert any("more than 100 times" in problem for problem in problems(backwards))


_KEYS = st.sampled_from(["a", "b", "c"])
_LEAVES = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.text(alphabet="xyz ", max_size=4).map(lambda text: f"t{text}t"),
    st.sampled_from(["${q.a}", "v-${q.a}", "${q.b}${q.c}", "\\${q.a}", "${q.list}", "\\\\${q.a}"]),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_KEYS, _LEAVES), st.dictionaries(_KEYS, st.lists(_LEAVES, max_size=3)))
def test_it_agrees_with_omegaconf(first: dict[str, object], second: dict[str, object]) -> None:
    value = {"q": {"a": 3, "b": "w", "c": 0.5, "list": [1, "z"]}, "r": first, "s": second}
    text = OmegaConf.to_yaml(OmegaConf.create(value))
    tree = parse(text.encode(), "s.yaml")
    assert to_plain(tree) == value
    theirs = OmegaConf.to_container(OmegaConf.create(value), resolve=True)
    assert resolve(tree, {})[0] == theirs

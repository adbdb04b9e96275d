from collections.abc import Callable

import pytest

from fiat.spec.graph import outputs_of, reads_of, works_of
from fiat.spec.load import LoadedSpec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

HEAD = "fiat: 1\nname: x\ndata: {raw: {source: {path: x}}}\n"


def test_outputs_and_reads_are_known_by_name(load: Load) -> None:
    loaded = load(
        HEAD + "steps:\n  clean: {run: 'c {data.raw} {out.clean}', out: {clean: dataset}}\n"
        "train: {run: 't {clean.clean} {out.model}', inputs: [data.raw, clean.clean]}\n"
        "export: {}\nevaluate: {}\n"
    )
    assert outputs_of(loaded.spec) == {
        "data": {"raw": "dataset"},
        "clean": {"clean": "dataset"},
        "train": {"model": "model"},
        "export": {"onnx": "folder"},
        "evaluate": {"evaluation": "folder"},
    }
    assert list(works_of(loaded.spec)) == ["clean", "train"]
    assert [str(each) for each in reads_of(works_of(loaded.spec)["train"])] == ["clean.clean", "data.raw"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps:\n  a: {run: 'x {data.rwa}'}\n",
         "spec.yaml:5:12: steps.a.run: there is no `data.rwa` (did you mean `data.raw`?)"),
        ("steps:\n  a: {run: 'x {out.p}', out: {q: file}}\n",
         "spec.yaml:5:12: steps.a.run: there is no `out.p` (did you mean `out.q`?)"),
        ("steps:\n  a: {run: 'x {b.o}'}\n  b: {run: x, out: {p: file}}\n",
         "spec.yaml:5:12: steps.a.run: there is no `b.o` (did you mean `b.p`?)"),
        ("steps:\n  a: {run: 'x {a.o}', out: {o: file}}\n",
         "spec.yaml:5:12: steps.a.run: {a.o} is this step's own output (its own outputs are {out.o})"),
        ("steps:\n  a: {run: 'x { y'}\n",
         ("spec.yaml:5:12: steps.a.run: `{` is no placeholder such as {data.images} "
         "(write {{ and }} for the braces themselves)")),
        ("steps:\n  a: {call: 'm:f', inputs: [data.raw, data.rw]}\n",
         "spec.yaml:5:39: steps.a.inputs[1]: there is no `data.rw` (did you mean `data.raw`?)"),
        ("steps:\n  a: {run: '{b.o}', out: {o: file}}\n  b: {run: '{a.o}', out: {o: file}}\n",
         "spec.yaml:6:3: steps.b: steps wait for each other: a <- b <- a"),
        ("steps:\n  a: {run: '{train.model} {out.o}', out: {o: file}}\ntrain: {run: '{a.o} {out.model}'}\n",
         "spec.yaml:6:1: train: steps wait for each other: a <- train <- a"),
        (("steps:\n  a: {run: '{export.onnx} {out.o}', out: {o: file}}\n"
         "train: {run: '{a.o} {out.model}'}\nexport: {}\n"),
         "spec.yaml:6:1: train: steps wait for each other: a <- export <- train <- a"),
    ],
)  # fmt: skip
def test_what_does_not_hang_together_is_told_at_its_place(
    complain: Complain, text: str, message: str
) -> None:
    assert complain(HEAD + text) == [message]


def test_two_circles_are_both_told(complain: Complain) -> None:
    steps = "".join(
        f"  {name}: {{run: 'x {{{other}.o}} {{out.o}}', out: {{o: file}}}}\n"
        for name, other in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"))
    )
    assert len(complain(HEAD + "steps:\n" + steps)) == 2


def test_a_chain_of_a_thousand_steps_is_no_circle(load: Load) -> None:
    steps = "".join(
        f"  s{n}: {{run: 'x {{s{n - 1}.o}} {{out.o}}', out: {{o: file}}}}\n" for n in range(1000, 0, -1)
    )
    loaded = load(HEAD + "steps:\n" + steps + "  s0: {run: 'x {out.o}', out: {o: file}}\n")
    assert len(loaded.spec.steps) == 1001


def test_a_value_of_with_that_is_one_reference_is_an_input_of_a_call(load: Load, complain: Complain) -> None:
    text = HEAD + "steps:\n  a: {call: 'm:f', with: {d: '{data.raw}', n: 3, t: 'x {y}'}}\n"
    assert [str(each) for each in reads_of(load(text).spec.steps["a"])] == ["data.raw"]
    (message,) = complain(text.replace("data.raw", "data.rw"))
    assert message == "spec.yaml:5:30: steps.a.with.d: there is no `data.rw` (did you mean `data.raw`?)"

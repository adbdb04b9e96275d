"""How the user's steps hang together by names: what each reads and makes, and whether that can work."""

from collections.abc import Iterator
from dataclasses import dataclass

from fiat.spec.command import CommandError, Placeholder, references, whole_reference
from fiat.spec.language import nearest
from fiat.spec.model import Spec
from fiat.spec.tree import KeyPath
from fiat.spec.work_section import Work

_BUILT_IN_OUTPUTS = {
    "transform": {"dataset": "dataset", "transform": "folder"},
    "train": {"model": "model"},
    "export": {"onnx": "folder"},
    "evaluate": {"evaluation": "folder"},
}


@dataclass(frozen=True)
class Contradiction:
    """Two parts of a spec that don't go together.

    Attributes:
        path: parts of the key path to look at.
        message: what is wrong, one sentence.
        hint: what to do; empty for nothing to add.
    """

    path: KeyPath
    message: str
    hint: str = ""


def outputs_of(spec: Spec) -> dict[str, dict[str, str]]:
    """What commands may refer to: step to output to kind; datasets are the outputs of `data`."""
    outputs: dict[str, dict[str, str]] = {"data": dict.fromkeys(spec.data, "dataset")}
    outputs.update((name, dict(step.out)) for name, step in spec.steps.items())
    if spec.train is not None:
        outputs["train"] = {**_BUILT_IN_OUTPUTS["train"], **spec.train.out}
        outputs["export"] = dict(_BUILT_IN_OUTPUTS["export"])
    if spec.transform:
        outputs["transform"] = dict(_BUILT_IN_OUTPUTS["transform"])
    if spec.evaluate is not None:
        outputs["evaluate"] = dict(_BUILT_IN_OUTPUTS["evaluate"])
    return outputs


def works_of(spec: Spec) -> dict[str, Work]:
    """The user's code by step name: `steps` and `train`."""
    works: dict[str, Work] = dict(spec.steps)
    if spec.train is not None:
        works["train"] = spec.train
    return works


def reads_of(work: Work) -> list[Placeholder]:
    """What a step reads, by its command or the `with` of its `call`, and its `inputs`; not its own outputs.

    Raises:
        CommandError: a brace in the command that is no placeholder.
    """
    named = [Placeholder(*reference.split(".", 1)) for reference in work.inputs]
    if work.run is not None:
        found = references(work.run)
    else:
        found = [each for value in work.with_.values() if (each := whole_reference(value)) is not None]
    return [*dict.fromkeys(each for each in [*found, *named] if each.step != "out")]


def find_misfits(spec: Spec) -> Iterator[Contradiction]:
    """References to what is not there, and steps that wait for each other."""
    yield from _works(spec)
    yield from _cycles(spec)


def _works(spec: Spec) -> Iterator[Contradiction]:
    outputs = outputs_of(spec)
    for step, work in works_of(spec).items():
        path: KeyPath = ("train",) if step == "train" else ("steps", step)
        own = outputs[step]
        try:
            found = references(work.run) if work.run is not None else []
        except CommandError as error:
            yield Contradiction((*path, "run"), str(error), "write {{ and }} for the braces themselves")
            continue
        for placeholder in found:
            known = own if placeholder.step == "out" else outputs.get(placeholder.step, {})
            if placeholder.output not in known:
                yield _unknown_output((*path, "run"), placeholder, {**outputs, "out": own})
            elif placeholder.step == step:
                hint = f"its own outputs are {{out.{placeholder.output}}}"
                yield Contradiction((*path, "run"), f"{{{placeholder}}} is this step's own output", hint)
        for key, value in work.with_.items() if work.call is not None else ():
            whole = whole_reference(value)
            if whole is not None and whole.output not in outputs.get(whole.step, {}):
                yield _unknown_output((*path, "with", key), whole, outputs)
        for index, reference in enumerate(work.inputs):
            placeholder = Placeholder(*reference.split(".", 1))
            if placeholder.output not in outputs.get(placeholder.step, {}):
                yield _unknown_output((*path, "inputs", index), placeholder, outputs)


def _unknown_output(path: KeyPath, wanted: Placeholder, outputs: dict[str, dict[str, str]]) -> Contradiction:
    names = [f"{step}.{output}" for step, found in outputs.items() for output in found]
    hint = meant(str(wanted), names) or (f"there is: {', '.join(names[:10])}" if names else "")
    return Contradiction(path, f"there is no `{wanted}`", hint)


def _cycles(spec: Spec) -> Iterator[Contradiction]:
    """Report each circle of steps once, at the step of it that comes first."""
    reads: dict[str, list[str]] = {}
    for step, work in works_of(spec).items():
        try:
            reads[step] = [each.step for each in reads_of(work) if each.step != "data"]
        except CommandError:
            reads[step] = []
    reads["export"], reads["evaluate"] = ["train"], ["export"]
    state: dict[str, int] = {}
    for start in reads:
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            step, position = stack.pop()
            if position == 0:
                if step in state:
                    continue
                state[step] = 1
                trail.append(step)
            below = reads.get(step, [])
            if position < len(below):
                stack.append((step, position + 1))
                if state.get(below[position]) == 1 and below[position] != step:
                    circle = [*trail[trail.index(below[position]) :], below[position]]
                    path: KeyPath = ("steps", step) if step in spec.steps else (step,)
                    yield Contradiction(path, f"steps wait for each other: {' <- '.join(circle)}")
                elif below[position] not in state:
                    stack.append((below[position], 0))
            else:
                state[step] = 2
                trail.pop()


def meant(word: str, words: list[str] | tuple[str, ...]) -> str:
    """A hint with the nearest right spelling; empty when none is near."""
    close = nearest(word, words)
    return f"did you mean `{close}`?" if close else ""

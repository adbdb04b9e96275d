"""What the language has and this version does not do yet: said by name before a run, never passed over."""

from collections.abc import Iterator

from fiat.spec.model import Spec
from fiat.spec.work_section import Work


def unsupported(spec: Spec) -> list[tuple[str, str]]:
    """Features that a spec uses and that are not built yet, each as key path and sentence.

    `triggers` and `concurrency` are not among them: they concern a runner, not a run.
    """
    return [(path, f"{what} is not built yet in this version") for path, what in _find(spec)]


def _find(spec: Spec) -> Iterator[tuple[str, str]]:
    for name, step in spec.steps.items():
        yield from _work(f"steps.{name}", step)
    if spec.train is not None:
        yield from _work("train", spec.train)
        if spec.train.checkpoint is not None:
            yield "train.checkpoint", "`checkpoint`"
        if spec.train.warm_start is not None:
            yield "train.warm_start", "`warm_start`"
    if spec.tune is not None:
        yield "tune", "`tune`"
    if spec.export is not None and spec.export.quantize != "none":
        yield "export.quantize", f"`quantize: {spec.export.quantize}`"


def _work(key: str, work: Work) -> Iterator[tuple[str, str]]:
    if work.resources.workers > 1:
        yield f"{key}.resources.workers", "more than one of `workers`"

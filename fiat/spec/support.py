"""What the language has and this version does not do yet: said by name before a run, never passed over."""

from collections.abc import Iterator

from fiat.spec.model import Spec


def unsupported(spec: Spec) -> list[tuple[str, str]]:
    """Features that a spec uses and that are not built yet, each as key path and sentence.

    `triggers` and `concurrency` are not among them: they concern a runner, not a run.
    """
    return [(path, f"{what} is not built yet in this version") for path, what in _find(spec)]


def _find(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.export is not None and spec.export.quantize != "none":
        yield "export.quantize", f"`quantize: {spec.export.quantize}`"

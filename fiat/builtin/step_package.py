"""Step `package`: everything that is known of the model in one folder, ready to be served."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from fiat.data.confined import named_path
from fiat.errors import SpecError, Where
from fiat.model.card import CardSource
from fiat.model.card_fill import MOST_CARD_BYTES
from fiat.model.package import Origin, Parts, write_package
from fiat.ports.confinement import Confinement
from fiat.ports.step import StepContext, StepOutcome

SERVED_BY = ("numpy", "onnxruntime")


class PackageStep:
    """Packs a model.

    Inputs: `onnx` (the exported graph), `evaluation`, and `gates` where there are. Output: `package`, the folder of
    `fiat/model/package.py`. The template of the card is a file of the checkout.
    """

    name = "package"
    version = "1"
    packages = ("jinja2", "numpy", "onnxruntime")

    def run(self, context: StepContext) -> StepOutcome:
        """Write the package.

        Raises:
            SpecError: the graph must not be loaded, or the card's template is missing or wrong.
            EnvironmentFault: an input is damaged.
        """
        params, facts = cast(Mapping[str, Any], context.params), cast(Mapping[str, Any], context.facts)
        origin = Origin(
            name=params["name"],
            alias=params.get("alias"),
            spec=params.get("spec") or facts.get("spec") or "",
            spec_digest=facts.get("spec_digest") or "",
            plan_digest=facts.get("plan_digest") or "",
            commit=facts.get("commit") or "",
            dirty=bool(facts.get("dirty")),
            params=params.get("params") or {},
            data=facts.get("data") or {},
        )
        parts = Parts(
            onnx=context.inputs["onnx"],
            evaluation=context.inputs["evaluation"],
            gates=context.inputs.get("gates"),
            card=_read_card(params.get("card"), context.root, Confinement.of(facts)),
            requirements=[f"{package}=={version(package)}" for package in SERVED_BY],
        )
        manifest = write_package(context.outputs["package"], parts, origin)
        size_bytes = sum(file["size_bytes"] for file in manifest["files"].values())
        return StepOutcome(facts={"name": origin.name, "size_bytes": size_bytes})


def _read_card(name: str | None, root: Path, policy: Confinement) -> CardSource | None:
    if not name:
        return None
    path = named_path(name, root, policy, "model.card")
    try:
        return CardSource(name, _read_text(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(
            f"the card {name} can't be read: {reason}",
            hint="write the template, or leave out model.card for the usual one",
            where=Where("spec", key="model.card"),
        ) from None


def _read_text(path: Path) -> str:
    """A file's text; what is no file, such as a pipe that nobody writes to, is not waited for."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as stream:
        content = stream.read(MOST_CARD_BYTES + 1)
    if len(content) > MOST_CARD_BYTES:
        raise ValueError(f"it has more than {MOST_CARD_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8 text") from None

"""Step `package`: everything that is known of the model in one folder, ready to be served."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from fiat.data.confined import named_path
from fiat.data.dataset import open_dataset
from fiat.errors import EnvironmentFault, SpecError, Where
from fiat.evaluate.folder import read_evaluation
from fiat.model.card import CardSource
from fiat.model.card_fill import MOST_CARD_BYTES
from fiat.model.package import SIGNATURE, Origin, Parts, write_package
from fiat.model.reference import reference_profile
from fiat.model.warmup_row import made_up_rows
from fiat.ports.confinement import Confinement
from fiat.ports.step import StepContext, StepOutcome
from fiat.profile.document import read_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import Profile

SERVED_BY = ("numpy", "onnxruntime")


class PackageStep:
    """Packs a model.

    Inputs: `onnx` (the exported graph), `evaluation`, and `gates` where there are; `profile` (what the check of the
    rows that were trained on described) or else `dataset` (those rows). Output: `package`, the folder of
    `fiat/model/package.py`. The template of the card is a file of the checkout.
    """

    name = "package"
    version = "2"
    packages = ("jinja2", "numpy", "onnxruntime", "polars", "pyarrow")

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
        signature = _read_signature(context.inputs["onnx"])
        described, train = _describe(context.inputs, signature["features"])
        evaluation = read_evaluation(context.inputs["evaluation"])
        parts = Parts(
            onnx=context.inputs["onnx"],
            evaluation=context.inputs["evaluation"],
            gates=context.inputs.get("gates"),
            card=_read_card(params.get("card"), context.root, Confinement.of(facts)),
            requirements=[f"{package}=={version(package)}" for package in SERVED_BY],
            profile=reference_profile(train, signature["features"], evaluation, source_digest=described),
            rows=made_up_rows(signature, train),
        )
        manifest = write_package(context.outputs["package"], parts, origin)
        size_bytes = sum(file["size_bytes"] for file in manifest["files"].values())
        return StepOutcome(facts={"name": origin.name, "size_bytes": size_bytes})


def _read_signature(folder: Path) -> Mapping[str, Any]:
    try:
        return cast(Mapping[str, Any], json.loads((folder / SIGNATURE).read_bytes()))
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"{SIGNATURE} can't be read: {error}", hint="export the model again"
        ) from error


def _describe(inputs: Mapping[str, Path], features: Sequence[str]) -> tuple[str, Profile | None]:
    """Digest of the rows' source, and the profile of the train split: of the check that described it, or made here."""
    if "profile" in inputs:
        found = read_profile(inputs["profile"])
        return found.source_digest, found.split("train")
    if "dataset" not in inputs:
        return "", None
    dataset = open_dataset(inputs["dataset"])
    table = dataset.train.table()
    chosen = table.select([name for name in features if name in table.column_names])
    return dataset.source_digest, profile_batches(chosen.to_batches(), split="train")


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

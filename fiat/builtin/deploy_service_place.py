"""Where a service keeps its things: a folder of its own for each target and model."""

from pathlib import Path, PurePosixPath

from fiat.errors import SpecError
from fiat.ports.deploy import DeployRequest
from fiat.serving.place import Place

_WITHOUT_STATE = "services"


def service_place(request: DeployRequest) -> Place:
    """The folder of a service: `path` of its settings below the root, else below the target's state.

    Raises:
        SpecError: the path leaves the root, or a name is none of a folder.
    """
    model, path = str(request.settings["model"]), request.settings.get("path")
    if model in ("", ".", "..") or "/" in model or "\0" in model or (request.confined and model[0] == "."):
        raise SpecError(f"{model!r} can't be the name of a folder", hint="choose another model.name")
    if path is not None:
        return Place(_below(request, str(path)) / model)
    if request.state is not None:
        return Place(request.state.absolute() / request.target / model)
    return Place(request.root.resolve() / _WITHOUT_STATE / request.target / model)


def _below(request: DeployRequest, path: str) -> Path:
    root = request.root.resolve()
    folder = (root / path).resolve()
    absolute = Path(path).is_absolute()
    if request.confined and (absolute or any(part.startswith(".") for part in PurePosixPath(path).parts)):
        raise SpecError(
            f"deploy.{request.target}.path is {path}: the operator grants folders below the target's own only",
            hint="say a relative path without `..` and hidden folders, such as services",
        )
    if (request.confined or not absolute) and not folder.is_relative_to(root):
        where = "the target's folder" if request.confined else f"the checkout: it leads to {folder}"
        raise SpecError(
            f"deploy.{request.target}.path leaves {where}",
            hint="" if request.confined else "say an absolute path when the service shall be kept there",
        )
    return folder

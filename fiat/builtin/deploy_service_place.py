"""Where a service keeps its things: a folder of its own for each target and model."""

from fiat.builtin.deploy_versions import folder_of
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
        return Place(folder_of(request, str(path)) / model)
    if request.state is not None:
        return Place(request.state.absolute() / request.target / model)
    return Place(request.root.resolve() / _WITHOUT_STATE / request.target / model)

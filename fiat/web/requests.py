"""The forms of the API's requests: nothing that no name of ours has gets further than this."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

REPO_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){1,20}$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
COMMIT_PATTERN = r"^[0-9a-f]{40}([0-9a-f]{24})?$"
# Whatever git allows in the name of a branch or tag, and nothing that any program could take for an option.
REF_PATTERN = r"^[A-Za-z0-9_][^\x00-\x20\x7f~^:?*\[\\]{0,254}$"
SPEC_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_./ -]{0,199}$"
CURSOR_PATTERN = r"^[A-Za-z0-9_.,:~=+-]{0,200}$"
STEP_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
TARGET_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
KEY_PATTERN = r"^[\x21-\x7e]{0,100}$"
StateFilter = Literal["", "held", "waiting", "running", "done"]
LetterFilter = Literal["", "waiting", "dead"]

RepoName = Annotated[str, StringConstraints(pattern=REPO_PATTERN)]
SpecName = Annotated[str, StringConstraints(pattern=SPEC_PATTERN)]
Override = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _whole(value: object) -> object:
    """For JSON Schema 17.0 is an integer too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TriggerRequest(_Request):
    """Ask for runs."""

    repo: RepoName
    ref: Annotated[str, StringConstraints(pattern=REF_PATTERN)] = Field(
        description="Branch, tag or full commit."
    )
    specs: list[SpecName] = Field(
        default_factory=list, max_length=100, description="Names or paths; left out: those that it touches."
    )
    overrides: list[Override] = Field(
        default_factory=list, max_length=100, description="Such as `train.with.lr=0.1`."
    )


class ApproveRequest(_Request):
    """Let a fork's runs go."""

    repo: RepoName
    pull: Annotated[int, BeforeValidator(_whole)] = Field(ge=1, le=2**31 - 1)
    commit: Annotated[str, StringConstraints(pattern=COMMIT_PATTERN)] = Field(
        description="The full commit that was read."
    )


class RollbackRequest(_Request):
    """Bring back what was deployed before."""

    repo: RepoName
    spec: SpecName

"""A repository that a runner watches, as its operator describes it: what its specs can only refer to by name."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fiat.spec.section import Flag, Integer, Name, Section, Text, Variable, fault

REPOSITORY_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){1,20}$"
CONTEXT_PATTERN = r"^[A-Za-z0-9_.-]{1,40}$"
ID_PATTERN = r"^[0-9]{1,20}$"


class SecretPlace(Section):
    """Where a secret is read from when the runner starts; its value is in no file of ours."""

    env: Variable | None = Field(default=None, description="Variable of the runner's environment.")
    file: Text | None = Field(
        default=None, description="File whose content, without the last line end, it is."
    )

    @model_validator(mode="after")
    def _one(self) -> "SecretPlace":
        if (self.env is None) == (self.file is None):
            raise fault("a secret needs one of `env` and `file`")
        return self


class ForgeCredential(Section):
    """What the runner shows to a forge: a token, or a GitHub App."""

    token: SecretPlace | None = Field(default=None, description="Token that may read and set statuses.")
    app: Annotated[str, Field(pattern=ID_PATTERN)] | None = Field(
        default=None, description="Id of a GitHub App."
    )
    key: SecretPlace | None = Field(default=None, description="The App's private key.")

    @model_validator(mode="after")
    def _one_kind(self) -> "ForgeCredential":
        if (self.app is None) != (self.key is None):
            raise fault("`app` and `key` go together")
        if (self.app is None) == (self.token is None):
            raise fault("a credential needs `token`, or `app` with `key`")
        return self


class GrantedTarget(Section):
    """A place that specs of a repository may deploy to."""

    path: Text | None = Field(
        default=None, description="Folder that the target's own path is below; left out: one in the store."
    )


class Repository(Section):
    """A repository that the runner watches, and everything that its specs may refer to."""

    name: Annotated[str, Field(pattern=REPOSITORY_PATTERN)] = Field(description="`owner/name` at the forge.")
    forge: Literal["github", "gitlab", "gitea", "forgejo"] = Field(description="Kind of forge.")
    id: Annotated[str, Field(pattern=ID_PATTERN)] | None = Field(
        default=None,
        description="The forge's numeric id: a renamed or recreated repository is then not taken for it.",
    )
    url: Text = Field(description="Where git fetches from: https://, or ssh://.")
    api: Text | None = Field(
        default=None, description="Base URL of the API; left out: the forge's usual one."
    )
    credential: ForgeCredential | None = Field(
        default=None, description="For the API and for fetching over https."
    )
    webhooks: Flag = Field(
        default=True, description="Whether webhooks are taken; without them git is looked at every so often."
    )
    webhook_secrets: tuple[SecretPlace, ...] = Field(
        default=(),
        description="Secrets of its webhooks, 16 characters or more each; several while one is changed.",
    )
    branches: tuple[Text, ...] = Field(
        default=("main",), min_length=1, description="Patterns of watched branches."
    )
    tags: tuple[Text, ...] = Field(default=(), description="Patterns of watched tags.")
    protected: tuple[Text, ...] = Field(default=("main",), description="Branches whose commits may deploy.")
    specs: tuple[Text, ...] = Field(
        default=("**/spec.yaml",), min_length=1, description="Patterns of the spec files."
    )
    targets: dict[Name, GrantedTarget] = Field(
        default_factory=dict, description="What its specs may deploy to."
    )
    secrets: tuple[Variable, ...] = Field(
        default=(), description="Secrets of the runner that its specs may name."
    )
    forks: Literal["never", "approval", "always"] = Field(
        default="approval", description="Code from forks; the stricter of this and the spec's word counts."
    )
    approvers: tuple[Annotated[str, Field(pattern=ID_PATTERN)], ...] = Field(
        default=(), description="Numeric ids of people who may approve beside those with write access."
    )
    network: Flag = Field(default=False, description="Whether its code may ask for the network.")
    data_hosts: tuple[Text, ...] = Field(
        default=(), description="Hosts that data may come from; none: any public."
    )
    data_folders: tuple[Text, ...] = Field(
        default=(), description="Folders of this machine that its specs may read."
    )
    dvc_remotes: dict[Text, dict[Text, Text]] = Field(
        default_factory=dict,
        description="DVC remotes by name, in place of the repository's own; `*` for all others.",
    )
    allow_private_hosts: Flag = Field(
        default=False, description="Whether data may come from private addresses."
    )
    private_api: Flag = Field(default=False, description="The forge's API is at a private address.")
    protocols: tuple[Literal["https", "ssh", "http"], ...] = Field(
        default=("https", "ssh"), description="How git may fetch."
    )
    context: Annotated[str, Field(pattern=CONTEXT_PATTERN)] = Field(
        default="fiat", description="First part of the names of its checks."
    )
    gate_checks: Flag = Field(default=False, description="One check a gate beside the one a spec.")
    priority: Annotated[Integer, Field(ge=-1000, le=1000)] = Field(
        default=0, description="Higher runs first."
    )
    submodules: Flag = Field(default=False, description="Fetch submodules too.")

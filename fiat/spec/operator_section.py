"""The operator's settings of a runner, `runners/*.yaml`: trusted words that a spec can only refer to by name."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fiat.spec.section import (
    Duration,
    Flag,
    Integer,
    Name,
    Number,
    Section,
    Size,
    Text,
    Variable,
    Whole,
    duration_s,
    fault,
)

REPOSITORY_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){1,20}$"
CONTEXT_PATTERN = r"^[A-Za-z0-9_.-]{1,40}$"
ID_PATTERN = r"^[0-9]{1,20}$"
Scope = Literal["read", "trigger", "cancel", "approve", "admin"]
SHORTEST_RECONCILE_S, SHORTEST_LEASE_S = 0.1, 3.0
FORGES = ("github", "gitlab", "gitea", "forgejo")


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


class Listen(Section):
    """Where the runner's web server is."""

    host: Text = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback only if you say so."
    )
    port: Annotated[Integer, Field(ge=0, le=65535)] = Field(
        default=8321, description="TCP port; 0 takes a free one."
    )
    url: Text | None = Field(
        default=None, description="Public address, for links in checks; left out: the above."
    )
    allowed_hosts: tuple[Text, ...] = Field(
        default=(), description="Further names that pages and API may be reached by, beside that of `url`."
    )
    public_metrics: Flag = Field(
        default=False, description="`/metrics` needs no token; counts on loopback only."
    )
    public_read: Flag = Field(default=False, description="Pages and reading calls answer without a token.")
    max_body: Size = Field(default="25MiB", description="Largest body of a webhook.")


class SandboxSettings(Section):
    """How code of repositories is shut off."""

    kind: Literal["bubblewrap", "none"] = Field(
        default="bubblewrap",
        description="`none` runs code with the runner's own rights and shows in every check.",
    )
    processes: Whole = Field(default=512, description="Most processes of a step.")
    disk: Size = Field(default="20GiB", description="Most that a step may write.")
    memory: Size | None = Field(
        default=None, description="Most memory of a step that names no limit of its own."
    )
    log: Size = Field(default="100MiB", description="Most output of a step.")


class RunLimits(Section):
    """What a run may use; watched from outside its worker."""

    time: Duration = Field(default="24h", description="Longest time of a run.")
    gpu_hours: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Most GPU hours of a run."
    )
    pull_request_gpu_hours: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Most GPU hours of all runs of a pull request."
    )
    attempts: Whole = Field(
        default=5, description="How often a run that takes its worker with it is tried before it is parked."
    )

    @model_validator(mode="after")
    def _some_time(self) -> "RunLimits":
        if duration_s(self.time) <= 0:
            raise fault("expected a duration above 0: with none no run ends well", key="time")
        return self


class Keep(Section):
    """What is remembered; the rest is collected once a day. Releases and what they need always stay."""

    runs: Whole = Field(default=200, description="Newest runs of each spec.")
    days: Whole = Field(default=90, description="Runs younger than this, in days.")


class ApiToken(Section):
    """A bearer token of the API."""

    name: Name = Field(description="Who has it, for the record of who did what.")
    secret: SecretPlace = Field(description="Where the token is read from; 16 characters or more.")
    scopes: tuple[Scope, ...] = Field(min_length=1, description="What it may do.")
    repositories: tuple[Text, ...] = Field(default=(), description="Only these; left out: all.")


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


class ArtifactRemote(Section):
    """A DVC remote: large files of the store reach other machines through it."""

    url: Text = Field(
        description="As in `dvc remote add`, such as `s3://bucket/fiat`; a folder is relative to this file."
    )
    options: dict[Text, Text] = Field(
        default_factory=dict, description="As in `dvc remote modify`, such as `endpointurl`."
    )
    secrets: tuple[Variable, ...] = Field(
        default=(), description="Secrets that DVC finds in its environment, such as `AWS_SECRET_ACCESS_KEY`."
    )


class Operator(Section):
    """Everything that a runner is told by whoever runs it."""

    fiat_runner: Literal[1] = Field(description="Version of these settings: 1.")
    listen: Listen = Field(default_factory=Listen, description="The web server.")
    store: Text = Field(description="Folder for everything that the runner remembers.")
    database: SecretPlace | None = Field(
        default=None,
        description="Where the URL of a PostgreSQL database is read from; left out: SQLite in `store`.",
    )
    compute: Literal["ray", "local"] = Field(default="ray", description="Where steps run.")
    ray_address: Text | None = Field(
        default=None, description="A Ray that runs already; left out: one of our own."
    )
    remote: ArtifactRemote | None = Field(
        default=None,
        description="Carries large files to and from nodes of `ray_address` that don't see `store`; left out: Ray does.",
    )
    workers: Annotated[Whole, Field(le=256)] = Field(default=2, description="Runs side by side.")
    reconcile_every: Duration = Field(
        default="60s", description="How often git is looked at without a webhook."
    )
    lease: Duration = Field(
        default="30s", description="How long a worker may be silent before its run is taken over."
    )
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings, description="How steps are shut off.")
    limits: RunLimits = Field(default_factory=RunLimits, description="What a run may use.")
    keep: Keep = Field(default_factory=Keep, description="What is remembered.")
    secrets: dict[Variable, SecretPlace] = Field(default_factory=dict, description="Secrets by name.")
    secrets_folder: Text | None = Field(
        default=None, description="Folder with one file a secret, named like it."
    )
    tokens: tuple[ApiToken, ...] = Field(default=(), description="Tokens of the API.")
    signing_key: Text | None = Field(
        default=None,
        description="PEM file of the private key that released packages are signed with; left out: none is.",
    )
    verify_key: Text | None = Field(
        default=None,
        description="PEM file of the public key that targets check signatures with; left out: `.pub` beside `signing_key`.",
    )
    repositories: tuple[Repository, ...] = Field(min_length=1, description="What is watched.")

    @model_validator(mode="after")
    def _coherent(self) -> "Operator":
        seen: dict[str, int] = {}
        for index, repository in enumerate(self.repositories):
            if repository.name.lower() in seen:
                raise fault(f"{repository.name} is listed twice", key="repositories")
            seen[repository.name.lower()] = index
        if duration_s(self.reconcile_every) < SHORTEST_RECONCILE_S:
            raise fault(
                f"expected a duration of {SHORTEST_RECONCILE_S:g} s or more: git is asked that often",
                key="reconcile_every",
            )
        if duration_s(self.lease) < SHORTEST_LEASE_S:
            raise fault(
                f"expected a duration of {SHORTEST_LEASE_S:g} s or more: a worker that is busy for a moment is no dead one",
                key="lease",
            )
        return self


def operator_schema() -> dict[str, Any]:
    """JSON Schema of the settings, for editors and `fiat schema runner`."""
    schema = Operator.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Fiat runner settings",
    }

"""The operator's settings of a runner, `runners/*.yaml`: trusted words that a spec can only refer to by name."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fiat.spec.repository_section import Repository, SecretPlace
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

Scope = Literal["read", "trigger", "cancel", "approve", "admin"]
SHORTEST_RECONCILE_S, SHORTEST_LEASE_S = 0.1, 3.0


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
        if self.ray_address is not None and self.ray_address.startswith("ray://"):
            raise fault(
                "expected HOST:PORT of a Ray that this machine is a node of: by ray:// its nodes don't reach the store here",
                key="ray_address",
            )
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

"""The sections `triggers` and `concurrency`: what starts a run on a runner; the command line ignores them."""

from typing import Literal

from pydantic import Field

from fiat.spec.section import Cron, Duration, Flag, Section, Text


class Push(Section):
    """Runs for pushed commits."""

    branches: tuple[Text, ...] = Field(default=(), description="Patterns of branches; left out: all.")
    tags: tuple[Text, ...] = Field(default=(), description="Patterns of tags; left out: none.")
    paths: tuple[Text, ...] = Field(default=(), description="Only when a file under one of these changed.")


class PullRequest(Section):
    """Runs for pull requests."""

    branches: tuple[Text, ...] = Field(default=(), description="Patterns of target branches; left out: all.")
    paths: tuple[Text, ...] = Field(default=(), description="Only when a file under one of these changed.")
    forks: Literal["never", "approval", "always"] = Field(
        default="approval", description="Whether code from forks runs."
    )


class NewData(Section):
    """Runs for data that changed."""

    every: Duration = Field(description="How often sources are looked at, such as `10m`.")


class Triggers(Section):
    """What starts a run."""

    push: Push | None = Field(default=None, description="Pushed commits.")
    pull_request: PullRequest | None = Field(default=None, description="Pull requests.")
    schedule: Cron | None = Field(
        default=None, description="Times in UTC, five cron fields such as `0 3 * * 1`."
    )
    data: NewData | None = Field(default=None, description="Data that changed.")
    comment: Text | None = Field(
        default=None, description="A comment that starts with this, such as `/fiat run`."
    )


class Concurrency(Section):
    """Which runs exclude each other."""

    group: Text = Field(description="Runs of one group don't run side by side.")
    supersede: Flag = Field(default=False, description="A newer run of the group ends the older.")

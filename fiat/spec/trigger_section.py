"""The sections `triggers` and `concurrency`: what starts a run on a runner; the command line ignores them."""

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from fiat.spec.cron import cron_fault
from fiat.spec.section import Cron, Duration, Flag, Section, Text, fault

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}")


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


class Schedule(Section):
    """Runs at set times; a text is the same with UTC."""

    cron: Cron = Field(
        description="Minute, hour, day of the month, month and day of the week, such as `0 3 * * 1`."
    )
    timezone: Text = Field(default="UTC", description="IANA name of the time zone, such as `Europe/Berlin`.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"cron": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _sound(self) -> "Schedule":
        if wrong := cron_fault(self.cron):
            raise fault(wrong, key="cron")
        if not _ZONE.fullmatch(self.timezone):
            raise fault(
                "expected the name of a time zone", key="timezone", hint="such as Europe/Berlin or UTC"
            )
        return self


class NewData(Section):
    """Runs for data that changed."""

    every: Duration = Field(description="How often sources are looked at, such as `10m`.")


class Triggers(Section):
    """What starts a run."""

    push: Push | None = Field(default=None, description="Pushed commits.")
    pull_request: PullRequest | None = Field(default=None, description="Pull requests.")
    schedule: Schedule | None = Field(
        default=None, description="Set times: five cron fields such as `0 3 * * 1`, or with a time zone."
    )
    data: NewData | None = Field(default=None, description="Data that changed.")
    comment: Text | None = Field(
        default=None, description="A comment that starts with this, such as `/fiat run`."
    )


class Concurrency(Section):
    """Which runs exclude each other."""

    group: Text = Field(description="Runs of one group don't run side by side.")
    supersede: Flag = Field(default=False, description="A newer run of the group ends the older.")

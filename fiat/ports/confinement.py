"""What the operator lets the sources and targets of a spec reach. A spec can only name what stands here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FACT = "confinement"


@dataclass(frozen=True)
class Confinement:
    """The operator's grants; the default is a desk's, where the user is the operator and nothing is confined.

    Attributes:
        confined: the spec is not to be trusted: nothing outside the checkout is read but what is granted here.
        data_folders: absolute folders that may be read besides the checkout.
        data_hosts: hosts that addresses may lead to; `*.example.org` stands for every name below `example.org`;
            empty for any host (whether private ones may be reached is said elsewhere).
        dvc_remotes: name of a DVC remote to its settings as `.dvc/config` has them (`url`, `endpointurl`, ...); they
            are taken in place of the repository's own. `*` stands for every name that is not listed.
    """

    confined: bool = False
    data_folders: tuple[str, ...] = ()
    data_hosts: tuple[str, ...] = ()
    dvc_remotes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def facts(self) -> dict[str, object]:
        """The same as a fact for `StepContext.facts`, JSON values."""
        return {
            FACT: {
                "confined": self.confined,
                "data_folders": list(self.data_folders),
                "data_hosts": list(self.data_hosts),
                "dvc_remotes": {name: dict(settings) for name, settings in self.dvc_remotes.items()},
            }
        }

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> "Confinement":
        """What the facts of a step say; facts that say nothing of it are a desk's.

        Something that can't be read grants nothing.
        """
        if FACT not in facts:
            return cls()
        said = facts[FACT]
        if not isinstance(said, Mapping):
            return cls(confined=True)
        remotes = said.get("dvc_remotes")
        return cls(
            confined=said.get("confined") is not False,
            data_folders=_texts(said.get("data_folders")),
            data_hosts=_texts(said.get("data_hosts")),
            dvc_remotes={
                str(name): {str(key): str(value) for key, value in settings.items()}
                for name, settings in (remotes.items() if isinstance(remotes, Mapping) else ())
                if isinstance(settings, Mapping)
            },
        )

    def grants_host(self, host: str) -> bool:
        """Whether an address may lead to this host, as far as its name tells."""
        return host_granted(host, self.data_hosts)


def host_granted(host: str, rules: Sequence[str]) -> bool:
    """Whether a host is one of these names, or below one that is written `*.example.org`; without rules any is."""
    name = host.lower().rstrip(".")
    wanted = [rule.lower().rstrip(".") for rule in rules]
    return not rules or any(
        name == rule or (rule.startswith("*.") and name.endswith(rule[1:])) for rule in wanted
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()

"""A desk for one claimed run: an immutable checkout, the operator's grants, a store that obeys the fence."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from fiat.engine.asks import agreed_key
from fiat.engine.checkout import GitState
from fiat.engine.checkouts import LaidOut
from fiat.engine.jobs import Bench
from fiat.engine.placing import Ground
from fiat.engine.policy import RepoPolicy, short_ref
from fiat.engine.release import Releaser
from fiat.engine.sandbox import SandboxPolicy
from fiat.plan.model import Step
from fiat.ports.confinement import Confinement
from fiat.ports.report import Reporter
from fiat.run.model import Run
from fiat.run.queue import QueuedRun
from fiat.spec.section import size_bytes
from fiat.store.fence import Fence
from fiat.store.store import Store, open_store
from fiat.wiring.desk import Desk, utc_now
from fiat.wiring.errand_spec import ErrandSpec
from fiat.wiring.grounds import runner_ground
from fiat.wiring.registry_signing import RUNNER, sign_release
from fiat.wiring.runner_settings import RunnerSettings
from fiat.wiring.settings import DEFAULT_DOWNLOAD_BYTES, Settings

ALONE = frozenset({"schedule", "data"})
"""Purposes of runs that nobody asked for."""
DEPLOYING = frozenset({"push", "schedule", "data", "manual", "rollback"})


@dataclass
class ErrandDesk(Desk):
    """One queued run and everything that it may use.

    Attributes:
        queued: as it was claimed.
        policy: of its repository.
        runner: the operator's settings.
        begin_deploy: called before the first target is changed; raises when nothing may be deployed.
    """

    queued: QueuedRun
    policy: RepoPolicy
    runner: RunnerSettings
    begin_deploy: Callable[[], None]

    @cached_property
    def store(self) -> Store:
        """The runner's store, in which every write asks whether the claim still stands."""
        return open_store(
            self.runner.store,
            url=self.runner.database_url,
            now=utc_now,
            checkout=self.root,
            fence=Fence(self.queued.id, self.queued.fence),
            scope=scope_of(self.queued),
        )

    @property
    def release_name(self) -> str:
        """Releases of two repositories never meet."""
        return f"{self.queued.repo}:{self.model_name}"

    @property
    def judges_only(self) -> bool:
        """Pull requests, strangers and branches that are not protected release and deploy nothing.

        Nor does a run with overrides: what is deployed is what the branch says, gates included.
        """
        queued = self.queued
        if queued.overrides:
            return True
        return queued.fork or queued.purpose not in DEPLOYING or not self.policy.protects(queued.ref)

    def facts(self) -> dict[str, object]:
        """What steps are told: with what the operator grants."""
        return {
            **super().facts(),
            **confinement(self.policy).facts(),
            "allow_private_hosts": self.policy.allow_private_hosts and not self.queued.fork,
            "sandbox": self.runner.sandbox.kind,
            "granted_to": self.queued.repo,
            "sees_served": not self.queued.fork,
        }

    def releaser(self, reporter: Reporter, *, dry: bool = False) -> Releaser:
        """Deploys go to granted targets only, below the folder that the operator gave."""
        return replace(
            super().releaser(reporter, dry=dry),
            sign=self._sign,
            begin_deploy=self.begin_deploy,
            generation=self._generation,
            grant=self._grant,
            release_name=self.release_name,
            prefix=f"{self.queued.repo}:",
            cause=self.queued.cause,
            approver=self._approver(),
            goes_back=self.queued.purpose == "rollback",
        )

    def ground(self, target: str) -> Ground:
        """Below the folder that the operator gives to it."""
        return runner_ground(self.runner, self.policy, target)

    def served(self) -> str:
        """Strangers must not learn from an anomaly what clients send."""
        return "" if self.queued.fork else super().served()

    def bench(self, run_id: str) -> Bench:
        """Steps run in the operator's sandbox and see the secrets that are granted."""
        return replace(
            super().bench(run_id),
            environment={"PATH": self.settings.environment.get("PATH", "")},
            secrets={} if self.queued.fork else self._granted_secrets(),
            sandbox=sandbox_policy(self.runner, self.policy, self.queued),
        )

    def record(self) -> Run:
        """The run's record, before it begins."""
        return replace(self.new_run(), id=self.queued.id)

    def _sign(self, model: str, digest: str) -> None:
        sign_release(self.store, model, digest, self.runner.signing_key, builder=self.runner.url or RUNNER)

    def _approver(self) -> str:
        """Who agreed to deploy the commit; not what a clock or new data makes of it later, which nobody has looked at."""
        if self.queued.purpose in ALONE:
            return ""
        return self.store.marks.get(agreed_key(self.queued.repo, self.queued.commit)) or ""

    def _granted_secrets(self) -> dict[str, str]:
        return {name: self.runner.secrets[name] for name in self.policy.secrets}

    def _grant(self, step: Step) -> str | None:
        name = step.name.removeprefix("deploy.")
        if name in self.policy.targets:
            return None
        return f"target {name} is not granted to {self.policy.name}: the operator lists it under `targets`"

    def _generation(self, target: str) -> int:
        """Of the place that models of this name have at the target, whatever spec they come of."""
        return self.store.marks.generation(f"{self.queued.repo}:{target}:{self.model_name}", self.queued.id)


def open_errand_desk(
    queued: QueuedRun,
    found: ErrandSpec,
    policy: RepoPolicy,
    runner: RunnerSettings,
    begin_deploy: Callable[[], None],
    environment: Mapping[str, str],
) -> ErrandDesk:
    """Stand at the laid out commit of a claimed run.

    Args:
        queued: the claim.
        found: its spec and checkout.
        policy: of its repository.
        runner: the operator's settings.
        begin_deploy: see ErrandDesk.
        environment: the runner's; only PATH is taken from it.
    """
    branch = f"pull/{queued.pull}" if queued.pull else short_ref(queued.ref)
    checkout = LaidOut(found.root, GitState(queued.commit, branch, dirty=False))
    settings = Settings(
        store=runner.store,
        database_url=runner.database_url,
        compute=runner.compute,
        ray_address=runner.ray_address,
        allow_private_hosts=policy.allow_private_hosts,
        max_download_bytes=DEFAULT_DOWNLOAD_BYTES,
        environment={"PATH": environment.get("PATH", "")},
        carrier=runner.carrier,
    )
    return ErrandDesk(
        named=queued.spec_path,
        overrides=queued.overrides,
        settings=settings,
        root=found.root,
        loaded=found.loaded,
        checkout=checkout,
        queued=queued,
        policy=policy,
        runner=runner,
        begin_deploy=begin_deploy,
    )


def sandbox_policy(runner: RunnerSettings, policy: RepoPolicy, queued: QueuedRun) -> SandboxPolicy:
    """How steps of a run are shut off: strangers' code gets no network whatever its spec asks for."""
    given = runner.sandbox
    return SandboxPolicy(
        kind=given.kind,
        network=policy.network and not queued.fork,
        processes=given.processes,
        memory_bytes=size_bytes(given.memory) if given.memory else None,
        disk_bytes=size_bytes(given.disk),
        log_bytes=size_bytes(given.log),
    )


def scope_of(queued: QueuedRun) -> str:
    """Where results of strangers' code are kept apart; empty for our own."""
    if not queued.fork:
        return ""
    repo = hashlib.sha256(queued.repo.encode()).hexdigest()[:12]
    return f"fork-{repo}-{queued.head_repo_id or 'gone'}-{queued.pull}"


def confinement(policy: RepoPolicy) -> Confinement:
    """What a spec of a repository may read."""
    return Confinement(
        confined=True,
        data_folders=policy.data_folders,
        data_hosts=policy.data_hosts,
        dvc_remotes=policy.dvc_remotes,
    )

"""Everything that a command on a spec needs, made from the spec's name, overrides and settings."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from pydantic import BaseModel

from fiat.engine.apply import Apply
from fiat.engine.baseline import Baseline, find_baseline
from fiat.engine.checkout import Checkout
from fiat.engine.decide import Decider
from fiat.engine.jobs import Bench
from fiat.engine.placing import Ground
from fiat.engine.previous import find_previous
from fiat.engine.release import Releaser
from fiat.engine.silent import SilentReporter
from fiat.engine.walk import Walk
from fiat.engine.warm import Warm, find_warm
from fiat.errors import SpecError, SpecErrors
from fiat.plan.build import Outside, build_plan, model_name
from fiat.plan.model import Decision, Plan, Step
from fiat.ports.report import Reporter
from fiat.run.model import Run
from fiat.spec.load import LoadedSpec, find_root, load_spec, spec_file
from fiat.spec.support import unsupported
from fiat.store.store import Store, open_store
from fiat.wiring.compute import make_compute
from fiat.wiring.grounds import deploy_decision, desk_ground, with_rollout
from fiat.wiring.opened import Opened
from fiat.wiring.processes import may_live
from fiat.wiring.registry import load_plugin
from fiat.wiring.registry_signing import sign_release
from fiat.wiring.served import find_served
from fiat.wiring.settings import Settings
from fiat.wiring.tune_plan import with_best
from fiat.wiring.versions import plugin_versions


def utc_now() -> datetime:
    """The clock: aware UTC."""
    return datetime.now(UTC)


@dataclass
class Desk(Opened):
    """One spec in one checkout, with its store.

    Attributes:
        named: the spec as the user named it.
        overrides: as typed.
        settings: of the machine.
        root: the checkout.
        loaded: the composed spec.
        checkout: the working tree.
        approver: who agrees to what needs approval; empty for nobody.
        only: names of the targets that are deployed; None for all.
        cause: who or what wants a deploy, one sentence.
        warm: what training starts from instead of what is looked for, as a run that is reproduced did.
    """

    named: str
    overrides: tuple[str, ...]
    settings: Settings
    root: Path
    loaded: LoadedSpec
    checkout: Checkout
    approver: str = field(default="", kw_only=True)
    only: frozenset[str] | None = field(default=None, kw_only=True)
    cause: str = field(default="a run at a desk", kw_only=True)
    warm: Warm | None = field(default=None, kw_only=True)

    @cached_property
    def store(self) -> Store:
        """The store, opened at first use."""
        return open_store(
            self.settings.state_dir(self.root),
            url=self.settings.database_url,
            now=utc_now,
            checkout=self.root,
        )

    @property
    def model_name(self) -> str:
        """The name of the packaged model."""
        return model_name(self.loaded.spec)

    @property
    def release_name(self) -> str:
        """The name that its releases go by in the store."""
        return self.model_name

    @cached_property
    def plan(self) -> Plan:
        """The graph of the spec.

        Raises:
            SpecErrors: it uses something that this version can't do yet, or makes no graph.
        """
        missing = [
            SpecError(sentence, hint="leave it out for now", where=self.loaded.where(key))
            for key, sentence in unsupported(self.loaded.spec)
        ]
        if missing:
            raise SpecErrors(missing)
        outside = Outside(spec_dir=self.loaded.dir, plugins=plugin_versions(), facts=self.facts())
        try:
            return build_plan(self.loaded.spec, outside)
        except SpecError as error:
            key = error.where.key if error.where else ""
            raise SpecError(error.message, hint=error.hint, where=self.loaded.where(key)) from None

    def facts(self) -> dict[str, object]:
        """What steps are told beside their fingerprint."""
        git = self.checkout.git
        return {
            "commit": git.commit,
            "dirty": git.dirty,
            "spec_digest": self.loaded.digest,
            "allow_private_hosts": self.settings.allow_private_hosts,
            "max_bytes": self.settings.max_download_bytes,
        }

    @cached_property
    def decider(self) -> Decider:
        """What steps are decided with."""
        state_dir = self.settings.state_dir(self.root)
        return Decider(
            self.store,
            self.checkout,
            self.plan,
            spec_files=tuple(_relative(path, self.root) for path in self.loaded.files),
            data=self._data(),
            state_dir=state_dir,
        )

    def walk(self) -> Walk:
        """A fresh walk over the plan."""
        seen = (self._baseline, self._skip, self._previous, self.served, self._warm)
        return Walk(self.plan, self.decider, *seen)

    def plan_decisions(self, walk: Walk) -> tuple[Decision, ...]:
        """What would happen to each step; asks deploy targets what they have."""
        releaser = self.releaser(SilentReporter())
        deploys = {step.name: step for step in walk.ready_deploys()}
        decisions = tuple(
            deploy_decision(releaser, deploys[item.step], walk, self.checkout.git.commit)
            if item.step in deploys
            else with_rollout(item, self.plan)
            for item in walk.decisions()
        )
        return with_best(decisions, self.plan, walk, self.store)

    def releaser(self, reporter: Reporter, *, dry: bool = False) -> Releaser:
        """What judges, releases and deploys."""
        model = self.loaded.spec.model
        return Releaser(
            store=self.store,
            plan=self.plan,
            model=self.model_name,
            alias=(model.alias or "") if model else "",
            target=lambda kind: load_plugin("deploy", kind)(),
            ground=self.ground,
            reporter=reporter,
            now=utc_now,
            sign=lambda model, digest: sign_release(self.store, model, digest, self.settings.signing_key),
            dry=dry,
            monitor=_json(self.loaded.spec.monitor),
            approver=self.approver,
            only=self.only,
            cause=self.cause,
        )

    def ground(self, target: str) -> Ground:
        """Where a target stands: at a desk its user is the operator."""
        return desk_ground(self.settings, self.root)

    def apply(
        self, run: Run, reporter: Reporter, *, compute: str, dry: bool = False, force: Sequence[str] = ()
    ) -> Run:
        """Walk the plan and record the run."""
        self.decider.force(force)
        self.store.runs.mark_crashed(may_live)
        return self.loop(run, reporter, compute=compute, dry=dry).run(run, self.plan)

    def loop(self, run: Run, reporter: Reporter, *, compute: str, dry: bool) -> Apply:
        """The walk of a run, ready to start."""
        state_dir = self.settings.state_dir(self.root)
        return Apply(
            store=self.store,
            walk=self.walk(),
            decider=self.decider,
            bench=self.bench(run.id),
            releaser=self.releaser(reporter, dry=dry),
            start_compute=partial(make_compute, compute, self.settings, state_dir),
            reporter=reporter,
            now=utc_now,
        )

    def bench(self, run_id: str) -> Bench:
        """Where the jobs of a run work."""
        return Bench(
            store=self.store,
            root=self.root,
            search=self.decider.search,
            run=run_id,
            environment=self.settings.environment,
        )

    def new_run(self) -> Run:
        """A run that has not begun."""
        git, now = self.checkout.git, utc_now()
        return Run(
            id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            spec=self.loaded.spec.name,
            spec_path=_relative(self.loaded.path, self.root),
            spec_digest=self.loaded.digest,
            plan_digest=self.plan.digest,
            commit=git.commit,
            branch=git.branch,
            dirty=git.dirty,
            overrides=self.overrides,
            config=self.loaded.config,
            state="running",
            verdict=None,
            reason="",
            started_at=now,
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    def _baseline(self, candidate: str) -> Baseline:
        wanted = _json(self.loaded.spec.baseline)
        return find_baseline(self.store, self.release_name, wanted, candidate)

    def _warm(self, step: str, key: str) -> Warm:
        wanted = _json(self.loaded.spec.baseline)
        return self.warm or find_warm(self.store, self.release_name, wanted, step, key)

    def _previous(self, step: str, dataset: str) -> str:
        return find_previous(self.store, self.plan.spec, step, dataset)

    def served(self) -> str:
        """Digest of the profile of what clients sent to the model of late; empty when there is none.

        Raises:
            EnvironmentFault: the log can't be read.
        """
        return find_served(self.store, self.plan.spec, self.release_name, self.ground)

    def _skip(self, step: Step) -> str | None:
        when = step.params.get("when") if step.kind == "deploy" else None
        wanted = when.get("branch") if isinstance(when, dict) else None
        branch = self.checkout.git.branch
        if wanted and wanted != branch:
            return f"deploys from branch {wanted} only, this is {branch or 'no branch'}"
        return None

    def _data(self) -> tuple[str, ...]:
        """Places that hold data or deployed models: never code."""
        places = [name for step in self.plan.steps for name in step.sources if step.kind == "data"]
        targets = [
            place
            for target in self.loaded.spec.deploy.values()
            for place in (target.path, target.output)
            if place
        ]
        return tuple(name.removeprefix("./") for name in (*places, *targets))


def _json(section: BaseModel | None) -> dict[str, object] | None:
    return section.model_dump(mode="json", by_alias=True, exclude_none=True) if section else None


def open_desk(named: str, overrides: Sequence[str], settings: Settings) -> Desk:
    """Load a spec and stand in its checkout.

    Raises:
        SpecErrors: everything that is wrong with it.
    """
    path = spec_file(named)
    root = find_root(path)
    checkout = Checkout(root)
    git = checkout.git
    builtins = {"commit": git.commit, "ref": git.branch or git.commit}
    loaded = load_spec(path, root=root, overrides=tuple(overrides), builtins=builtins)
    return Desk(named, tuple(overrides), settings, root, loaded, checkout)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

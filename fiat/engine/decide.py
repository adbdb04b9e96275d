"""Whether a step must run: its fingerprint, the result that the store has for it, and the reasons in words."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.data.confined import folder_files, matching_files, named_path
from fiat.engine.checkout import Checkout
from fiat.engine.code import Reach, reach
from fiat.engine.packages import Packages, interpreter
from fiat.engine.span_sources import span_files
from fiat.errors import SpecError
from fiat.plan.explain import changes
from fiat.plan.fingerprint import Surroundings, digest_json, fingerprint, fingerprint_parts
from fiat.plan.model import Plan, Step
from fiat.ports.confinement import Confinement
from fiat.run.model import Result
from fiat.store.store import Store

USER_KINDS = frozenset({"run", "call", "export"})
ABSENT = "-"
NOT_LISTED = frozenset({".git", ".fiat", "__pycache__", ".venv"})


@dataclass(frozen=True)
class Decided:
    """What is known about a step whose inputs are known.

    Attributes:
        step: the step.
        inputs: role to artifact digest.
        parts: what its fingerprint is made of.
        fingerprint: of its work.
        result: the result to reuse, None when it must run.
        reasons: why it runs or is reused, one sentence each.
        replaces: the store has a result under this fingerprint that can't be used.
    """

    step: Step
    inputs: Mapping[str, str]
    parts: Mapping[str, object]
    fingerprint: str
    result: Result | None
    reasons: tuple[str, ...]
    replaces: bool = False


class Decider:
    """Decides for the steps of one plan in one checkout, at one moment.

    Args:
        store: where results are found.
        checkout: the working tree.
        plan: the plan that the steps belong to.
        spec_files: the files that the spec was composed of: never code of a step.
        data: files and folders of the checkout that hold data or outputs: never code of a step.
        state_dir: folder for small caches.
    """

    def __init__(
        self,
        store: Store,
        checkout: Checkout,
        plan: Plan,
        *,
        spec_files: tuple[str, ...],
        data: tuple[str, ...],
        state_dir: Path,
    ) -> None:
        self.store = store
        self.checkout = checkout
        self.plan = plan
        self.search = (checkout.root / plan.spec_dir, checkout.root)
        self._spec_files = spec_files
        self._data = data
        self._packages = Packages(sys.path, state_dir / "packages.json")
        self._interpreter = interpreter()
        self._reach: dict[str, Reach] = {}
        self._code_digests: dict[str, dict[str, str]] = {}
        self._forced: frozenset[str] = frozenset()

    def force(self, names: Sequence[str]) -> None:
        """Run these steps even when their results could be reused.

        Raises:
            SpecError: the plan has no step of that name.
        """
        known = {step.name for step in self.plan.steps}
        for name in names:
            if name not in known:
                raise SpecError(
                    f"there is no step {name} to force", hint=f"steps: {', '.join(sorted(known))}"
                )
        self._forced = frozenset(names)

    def look_ahead(self) -> None:
        """Look for everything that any step will read, before the first one starts.

        Raises:
            SpecError: a source, a pattern of code or a module is not there.
        """
        for step in self.plan.steps:
            for name in step.sources:
                self._find_source(name, step)
            if step.call:
                self._reached(step.call)

    def decide(self, step: Step, inputs: Mapping[str, str], logged: Mapping[str, float]) -> Decided:
        """Make the fingerprint of a step and look for its result.

        Args:
            step: one whose inputs are all known.
            inputs: role to artifact digest.
            logged: metrics of earlier steps, for steps that judge them.

        Raises:
            SpecError: a source or a module that it names is not there.
        """
        parts = self.parts(step, inputs, logged)
        found = fingerprint(parts)
        result = self.store.results.find(found)
        why_not = self._why_not(step, result)
        if result is not None and not why_not:
            return Decided(step, dict(inputs), parts, found, result, (_reuse_reason(step, result),))
        reasons = why_not or self._what_changed(step, parts)
        return Decided(step, dict(inputs), parts, found, None, reasons, replaces=result is not None)

    def parts(self, step: Step, inputs: Mapping[str, str], logged: Mapping[str, float]) -> dict[str, object]:
        """What the fingerprint of a step is made of; see `decide`."""
        return fingerprint_parts(step, self._surroundings(step, inputs, logged))

    def edited(self, decided: Decided) -> tuple[str, ...]:
        """What changed on disk since the decision: an edit made while the step ran."""
        self._code_digests.clear()
        self._reach.clear()
        step = decided.step
        logged = {key: float(str(value)) for key, value in _mapping(decided.parts.get("logged")).items()}
        return changes(decided.parts, self.parts(step, decided.inputs, logged))

    def digest_observed(self, names: Mapping[str, object], step: Step) -> dict[str, str]:
        """Digests of files that a step was seen to read beyond its declared inputs, path to digest.

        Args:
            names: `read`, `absent` and `listed`, each a list of paths relative to the root.
            step: the step that read them.
        """
        declared = (*step.sources, *self._data)
        known = set(self._spec_files)
        observed: dict[str, str] = {}
        for name in self._ours(names.get("read"), step):
            path = self.checkout.root / name
            if name not in known and not _inside(name, declared) and path.is_file():
                observed[name] = self.store.digester.digest(path)
        for name in self._ours(names.get("absent"), step):
            if not (self.checkout.root / name).exists():
                observed[name] = ABSENT
        for name in self._ours(names.get("listed"), step):
            if not _inside(name, declared):
                observed[f"{name}/"] = self._digest_listing(name)
        return observed

    def _ours(self, names: object, step: Step) -> list[str]:
        """Names that a step told us as its own reads, without those that are none of the checkout: it may lie."""
        policy, found = Confinement.of(step.facts), []
        for name in _texts(names):
            if not name.startswith("/") and ".." not in name.split("/"):
                with suppress(SpecError):
                    named_path(name, self.checkout.root, policy, step.key)
                    found.append(name)
        return found

    def _digest_now(self, name: str) -> str:
        """Digest of an observed path: a file, or with a slash behind it the names in a folder."""
        if name.endswith("/"):
            return self._digest_listing(name.rstrip("/"))
        path = self.checkout.root / name
        return self.store.digester.digest(path) if path.is_file() else ABSENT

    def _digest_listing(self, name: str) -> str:
        try:
            names = sorted(path.name for path in (self.checkout.root / name).iterdir())
        except OSError:
            return ABSENT
        return digest_json([item for item in names if item not in NOT_LISTED])

    def _surroundings(
        self, step: Step, inputs: Mapping[str, str], logged: Mapping[str, float]
    ) -> Surroundings:
        sources = {name: self._digest_source(name, step) for name in step.sources}
        user = step.kind in USER_KINDS
        packages: dict[str, str] = {}
        code: dict[str, str] = {}
        if step.call:
            found = self._reached(step.call)
            code = self._digests(found.files)
            packages = self._packages.reached_by(found.foreign)
        elif step.kind == "run":
            code = self._code_of_run(step)
            packages = self._packages.versions()
        return Surroundings(
            inputs=inputs,
            sources=sources,
            code=code,
            python=self._interpreter if user else "",
            packages=packages,
            logged=logged,
        )

    def _code_of_run(self, step: Step) -> dict[str, str]:
        if step.code == ():
            return {}
        key = "\0".join(step.code) if step.code is not None else "*"
        if key not in self._code_digests:
            files = self.checkout.code_files(step.code, self._data, self._spec_files)
            self._code_digests[key] = self._digests(files)
        return self._code_digests[key]

    def _reached(self, call: str) -> Reach:
        if call not in self._reach:
            self._reach[call] = reach(call, self.search)
        return self._reach[call]

    def _digests(self, files: tuple[Path, ...]) -> dict[str, str]:
        root = self.checkout.root
        return {
            path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path): digest
            for path, digest in self.store.digester.digest_files(files).items()
        }

    def _digest_source(self, name: str, step: Step) -> str:
        found = self._find_source(name, step)
        if found == (self.checkout.root / name,):
            return self.store.digester.digest(found[0])
        return digest_json(self._digests(found))

    def _find_source(self, name: str, step: Step) -> tuple[Path, ...]:
        """The file or folder of that name, or the files that a pattern matches.

        What DVC tracks need not be here: it is pulled, and such a step runs each time.

        Raises:
            SpecError: there is none, or it is not granted.
        """
        policy, root = Confinement.of(step.facts), self.checkout.root
        if step.params.get("span") and name == step.sources[0]:
            return span_files(step, name, root, policy)
        if any(letter in name for letter in "*?[") and not (root / name).exists():
            files = matching_files(name, root, policy, step.key)
            if files:
                return tuple(files)
        path = named_path(name, root, policy, step.key)
        if path.is_dir() and policy.confined:
            folder_files(path, root, policy, step.key)
        if path.exists():
            return (path,)
        if step.volatile:
            return ()
        raise SpecError(
            f"{name} of step {step.name} is not there", hint=f"looked for {path}; see {step.key} in the spec"
        )

    def _why_not(self, step: Step, result: Result | None) -> tuple[str, ...]:
        if step.name in self._forced:
            return ("asked for by --force",)
        if step.volatile:
            return ("its source has no digest, so it is fetched again each time",)
        if result is None:
            return ()
        for name, digest in result.observed.items():
            if self._digest_now(name) != digest:
                return (f"code: {name} changed (the step read it)",)
        for name, artifact in result.outputs.items():
            if not self.store.artifacts.check(artifact.digest):
                return (f"output {name} is damaged or gone from the store",)
        return ()

    def _what_changed(self, step: Step, parts: Mapping[str, object]) -> tuple[str, ...]:
        last = self.store.results.last(self.plan.spec, step.name)
        if last is None:
            return ("no earlier result",)
        return changes(last.parts, parts) or ("its result is gone from the store",)


def _reuse_reason(step: Step, result: Result) -> str:
    by = f"run {result.run}" if result.step == step.name else f"step {result.step} of run {result.run}"
    return f"nothing changed since {by}"


def _inside(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == folder or name.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}

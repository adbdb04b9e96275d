"""A store with released models as runs leave them behind: packages, results, runs, releases."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fiat.run.model import Artifact, Release, Result, Run, StepResult
from fiat.store.store import open_store
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import Shelf

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from package_parts import ORIGIN, parts

from fiat.model.package import write_package

START = datetime(2026, 12, 1, tzinfo=UTC)
CODE = {"tiny.py": "d" * 32}


class Stage:
    """Releases models one after the other."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.store = shelf, shelf.store
        self.made = 0

    def release(
        self,
        model: str = "tiny",
        *,
        rows: str = "1,2\n",
        alias: str = "",
        sandbox: str = "none",
        params: int = 0,
        unrelated: str = "",
    ) -> Release:
        """Read `data/rows.csv`, train, pack and release; `unrelated` names data that the model did not come from."""
        self.made += 1
        at = START + timedelta(hours=self.made)
        run, commit = f"run-{self.made:03}", f"{self.made:040x}"
        source = self.shelf.root / "data" / "rows.csv"
        source.parent.mkdir(exist_ok=True)
        source.write_text(rows)
        read_from = {"./data/rows.csv": self.shelf.store.digester.digest(source)}
        scratch = self.shelf.root / "scratch" / run
        dataset = self._put(scratch / "dataset", rows)
        trained = self._put(scratch / "model", f"trained on {rows} with {params}")
        origin = replace(
            ORIGIN,
            name=model.rpartition(":")[2],
            commit=commit,
            params={"seed": params},
            data={"data.rows": dataset.digest},
        )
        write_package(scratch / "package", parts(scratch / "parts"), origin)
        package = self.store.artifacts.put(scratch / "package", move=False)
        results = [
            self._result("data.rows", "dataset", dataset, {}, at, run, sources=read_from),
            self._result("train", "model", trained, {"data.rows": dataset.digest}, at, run, code=CODE),
            self._result("package", "package", package, {"model": trained.digest}, at, run),
        ]
        if unrelated:
            other = self._put(scratch / "other", unrelated)
            results.append(self._result(f"data.{unrelated}", "dataset", other, {}, at, run))
        kinds = {"train": "call", "package": "package"}
        steps = tuple(
            StepResult(
                result.step,
                kinds.get(result.step, "data"),
                "ran",
                fingerprint=result.fingerprint,
                outputs=result.outputs,
                resources={"sandbox": sandbox} if result.step == "train" else {},
            )
            for result in results
        )
        for result in results:
            self.store.results.add(result)
        self.store.runs.add(
            Run(
                run,
                "tiny",
                "specs/tiny/spec.yaml",
                "ab" * 32,
                "cd" * 32,
                commit,
                "main",
                False,
                (),
                {"params": {"seed": params}},
                "done",
                "pass",
                "2 gates passed",
                at,
                at + timedelta(minutes=1),
                steps=steps,
                model_digest=package.digest,
            )
        )
        released = Release(model, alias, "main", commit, run, package.digest, f"{self.made:064x}", at)
        self.store.releases.add(released)
        return released

    def _put(self, folder: Path, content: str) -> Artifact:
        folder.mkdir(parents=True)
        (folder / "content").write_text(content)
        return self.store.artifacts.put(folder, move=False)

    def _result(
        self,
        step: str,
        output: str,
        artifact: Artifact,
        inputs: dict[str, str],
        at: datetime,
        run: str,
        *,
        sources: dict[str, str] | None = None,
        code: dict[str, str] | None = None,
    ) -> Result:
        made = f"{step} {self.made}".encode().hex().ljust(64, "0")
        call = "tiny:train" if step == "train" else ""
        found = {"call": call, "inputs": inputs, "sources": sources or {}, "code": code or {}}
        return Result(made, step, "tiny", run, {output: artifact}, found, made_at=at)


@contextmanager
def staged(root: Path) -> Iterator[Stage]:
    """A stage in an empty folder."""
    settings = read_settings({})
    open_store(root / ".fiat", now=lambda: START).close()
    with Shelf(root, root / ".fiat", settings) as shelf:
        yield Stage(shelf)

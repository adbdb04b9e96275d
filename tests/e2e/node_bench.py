"""A checkout with code and a scratch folder of a job, in a folder that the second of two nodes does not see."""

import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Command, Job, JobResult, Resources, Sandbox

WAIT_S = 90.0


class Bench:
    """One of them."""

    def __init__(self, hidden: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=hidden))
        self.root = self.folder / "repo"
        self.work = self.folder / "store" / "work" / "step.1"
        self.log = self.folder / "log"
        self.root.mkdir()
        for name in ("in", "out", "tmp"):
            (self.work / name).mkdir(parents=True)

    def job(self, code: str, *, sandbox: Sandbox | None = None, **settings: object) -> Job:
        (self.root / "code.py").write_text(code)
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.work),
            "TMPDIR": str(self.work / "tmp"),
            "IN": str(self.work / "in"),
            "OUT": str(self.work / "out"),
            "KEPT": str(self.folder / "kept"),
        }
        argv = (sys.executable, "-u", "code.py", str(self.work / "out"))
        command = Command(argv, self.root, env, self.work / "result.json", sandbox)
        settings.setdefault("resources", Resources())
        return Job("step.1", "step", log_path=self.log, work_dir=self.work, command=command, **settings)  # type: ignore[arg-type]  # checked by Job's own fields

    def calling(self, call: str, **more: object) -> Job:
        """A job that runs a function of the checkout.

        Args:
            call: `module:function`.
            more: further keys of the child's request.
        """
        place = self.work / "request.json"
        request = {
            "call": call,
            "role": "step",
            "params": {},
            "seed": 0,
            "path": [str(self.root)],
            "root": str(self.root),
            "inputs": {},
            "outputs": {},
            "result": str(self.work / "result.json"),
            **more,
        }
        place.write_text(json.dumps(request))
        job = self.job("")
        assert job.command is not None
        argv = (sys.executable, "-m", "fiat.builtin.child", str(place))
        return replace(job, command=replace(job.command, argv=argv))

    def stored(self, content: bytes) -> Path:
        """An object of a store."""
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = self.folder / "store" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(0o444)
        return path

    def texts(self) -> str:
        return self.log.read_text() if self.log.exists() else "no log"

    def run(self, compute: RayCompute, code: str, **settings: object) -> JobResult:
        return compute.submit(self.job(code, **settings)).result(WAIT_S)  # type: ignore[arg-type]  # see `job`

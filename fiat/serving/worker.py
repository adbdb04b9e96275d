"""One process of the server: loads the models, answers, tells what it counts. Started by `main.py`."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

import uvloop

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application
from fiat.serving.census import Census
from fiat.serving.fleet import Fleet
from fiat.serving.follow import Follower
from fiat.serving.greeting import greet
from fiat.serving.loaded import LoadedVersion
from fiat.serving.options import FixedModel, ServerOptions, parse
from fiat.serving.place import Place
from fiat.serving.release import LogPlan, Placed, ReleaseManifest, Version
from fiat.serving.server import Server, listen, raise_file_limit, url_of
from fiat.serving.signature_check import check_signature

LOG = logging.getLogger("fiat.serving")
_TELL_EVERY_S = 0.5
_SWITCH_S = 0.0005


class Worker:
    """What a worker is made of.

    Args:
        options: of the server.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._number = options.worker or 0
        cores = len(os.sched_getaffinity(0))
        threads = options.threads or max(1, cores // options.workers)
        self._logs = AnswerLogs(self._number, time.time)
        self._fleet = Fleet(options.limits, threads=threads, check=check_signature, on_ready=self._learn)
        self._census = Census(self._number, options.workers, time.time, self._fleet, self._logs)
        self._app = Application(
            self._fleet,
            options.limits,
            self._logs,
            version=_own_version(),
            workers=self._census.everybody,
        )
        self._census.attend(self._app)
        self._server = Server(self._app, options.limits)
        self._followers = [
            Follower(self._fleet, path, self._placed, self._write) for path in options.releases
        ]

    async def run(self) -> None:
        """Serve until told to end."""
        options = self._options
        found = listen(options.host, options.port, shared=options.workers > 1)
        tasks: list[asyncio.Task[None]] = []
        try:
            if options.late:
                await self._load()
            else:
                tasks.append(asyncio.create_task(self._load()))
            tasks.append(asyncio.create_task(self._tell()))
            if options.lifeline is not None:
                self._watch(options.lifeline)
            if options.pulse is not None:
                tasks.append(asyncio.create_task(_beat(options.pulse)))
            if self._number == 0:
                tasks.append(asyncio.create_task(self._greet(url_of(found))))
            tasks += [asyncio.create_task(follower.run()) for follower in self._followers]
            await self._server.serve(sockets=[found])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            found.close()
            self._logs.close()
            self._census.write()
            await self._fleet.close()

    async def _load(self) -> None:
        manifests = _fixed(self._options.models, LogPlan() if self._options.log else None)
        for manifest in manifests:
            self._fleet.state(manifest.model)
        for manifest in manifests:
            if self._options.counts is not None:
                self._census.place(manifest.model, self._options.counts)
            if self._options.log is not None:
                folder = self._options.log.absolute() / quote(manifest.model, safe="")
                self._logs.follow(manifest.model, manifest.log, folder)
            await self._fleet.bring(Placed(manifest, Path()))
        for follower in self._followers:
            await follower.look()
        # What is loaded stays: the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            self._logs.flush()
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the server
            self._census.write()

    async def _greet(self, url: str) -> None:
        while not self._fleet.is_ready:
            await asyncio.sleep(0.005)
        models = [state.served.stable.loaded for state in self._fleet.models.values() if state.served]
        sys.stdout.write(greet(url, models))
        sys.stdout.flush()

    def _placed(self, manifest: ReleaseManifest, folder: Path) -> None:
        self._fleet.state(manifest.model)
        self._census.place(manifest.model, Place(folder).counts)
        self._logs.follow(manifest.model, manifest.log, folder)
        served = self._fleet.models[manifest.model].served
        for running in served.versions.values() if served else ():
            self._logs.learn(manifest.model, running.loaded)

    def _learn(self, loaded: LoadedVersion) -> None:
        self._logs.learn(loaded.info.name, loaded)

    def _watch(self, lifeline: int) -> None:
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(lifeline)
            self._server.handle_exit(15, None)

        loop.add_reader(lifeline, ended)


async def _beat(pulse: int) -> None:
    """Show once a second that this process moves."""
    os.set_blocking(pulse, False)
    while True:
        with contextlib.suppress(OSError):  # nobody reads, or has not for long
            os.write(pulse, b".")
        await asyncio.sleep(1.0)


def _fixed(models: Sequence[FixedModel], log: LogPlan | None) -> list[ReleaseManifest]:
    found: dict[str, list[Version]] = {}
    for model in models:
        versions = found.setdefault(model.name, [])
        percent = 0.0 if versions else 100.0
        versions.append(Version(model.version, model.digest, str(model.folder.absolute()), percent))
    return [ReleaseManifest(name, 1, tuple(versions), log=log) for name, versions in found.items()]


def _own_version() -> str:
    try:
        return version("fiat-ml")
    except PackageNotFoundError:
        return "unknown"


def main(arguments: Sequence[str]) -> int:
    """Run a worker."""
    options = parse(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    raise_file_limit()
    # A model's thread that has its answer must not wait 5 ms for the event loop to let go of the interpreter.
    sys.setswitchinterval(_SWITCH_S)
    worker = Worker(options)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(worker.run())
    except OSError as error:
        sys.stderr.write(f"can't listen on {options.host}:{options.port}: {error.strerror or error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

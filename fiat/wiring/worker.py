"""A worker process of a runner: claims runs and does them one after another. Started by the runner, never by hand.

Its standard input is its lifeline and its bell: a byte means that there may be something to do, the end that the runner
is gone and that it shall give back what it does and end.
"""

import os
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fiat.engine.telling import Telling
from fiat.errors import EXIT_BUG, EXIT_DONE, FiatError
from fiat.store.store import Store
from fiat.wiring.errand import Errand, Tools, end_process
from fiat.wiring.processes import process_name
from fiat.wiring.runner_parts import Parts, make_parts
from fiat.wiring.runner_reading import read_runner_settings

LOOK_S = 1.0
_FAILED_S = 3.0
URL_VARIABLE = "FIAT_RUNNER_URL"


@dataclass
class Bell:
    """The worker's standard input, read by a thread of its own."""

    rung: threading.Event
    gone: threading.Event

    def listen(self, descriptor: int) -> None:
        """Read until the end."""
        while os.read(descriptor, 4096):
            self.rung.set()
        self.gone.set()
        self.rung.set()


def work(parts: Parts, bell: Bell, environment: Mapping[str, str]) -> None:
    """Claim and do runs until the runner is gone."""
    with parts.open_store() as store:
        tools = Tools(
            store=store,
            settings=parts.settings,
            repos=parts.repos,
            checkouts=parts.checkouts,
            telling=parts.telling,
            environment=environment,
            leaving=bell.gone.is_set,
            log=parts.log,
            die=end_process,
        )
        name, heard = process_name(os.getpid()), True
        while not bell.gone.is_set():
            bell.rung.clear()
            try:
                if not heard:
                    let_go_unheard(store, name, parts.settings.limits.attempts, parts.telling)
                heard = False
                queued = store.queue.claim(name)
                heard = True
            except FiatError as error:
                parts.log(f"worker: {error}")
                bell.gone.wait(_FAILED_S)
                continue
            if queued is None:
                bell.rung.wait(LOOK_S)
            else:
                Errand(tools, queued).run()


def let_go_unheard(store: Store, name: str, attempts: int, telling: Telling) -> None:
    """Let go of claims that an idle worker has without knowing: the store took them, and its answer was lost.

    Nobody does these runs; whoever watches would take the worker for a frozen one when their lease ends, and kill it.
    """
    for lease in store.queue.leases():
        if lease.worker == name:
            store.queue.expire(lease, "its worker did not hear that it has it", attempts, telling)


def main(arguments: list[str]) -> int:
    """Run as `python -m fiat.wiring.worker SETTINGS [--insecure-dev]`."""
    environment = dict(os.environ)
    insecure = "--insecure-dev" in arguments
    settings = read_runner_settings(Path(arguments[0]), environment, insecure=insecure)
    parts = make_parts(settings.at(environment.get(URL_VARIABLE, settings.url)))
    bell = Bell(threading.Event(), threading.Event())
    threading.Thread(target=bell.listen, args=(sys.stdin.fileno(),), name="bell", daemon=True).start()
    try:
        work(parts, bell, environment)
    except Exception:
        # Not by the interpreter, which would show secrets that a message holds.
        parts.log(f"worker: a bug of Fiat; please report it\n{traceback.format_exc()}")
        return EXIT_BUG
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

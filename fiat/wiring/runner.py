"""The runner: one process that listens, reconciles, sends and keeps, and its workers.

Start with `Runner.start`. Every loop is a thread with a connection of its own to the store; what fails in one is said
and tried again, and stops none of the others.
"""

import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from fiat.builtin import ray_up
from fiat.builtin.ray_state import boot_id
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.engine.asks import Asks
from fiat.engine.commands import Commands
from fiat.engine.front import Front
from fiat.engine.heads import Heads
from fiat.engine.keeper import Keeper
from fiat.engine.lanes import Lanes
from fiat.engine.order import Order
from fiat.engine.reconcile import Reconciler
from fiat.engine.seated import Seated
from fiat.engine.sender import Sender
from fiat.engine.specs_at import SpecsAt
from fiat.engine.split import Splitter
from fiat.engine.ticks import Ticks
from fiat.errors import EnvironmentFault, FiatError
from fiat.store.file_system import check_place
from fiat.store.locks import HeldLock
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.probing import probe_sources
from fiat.wiring.processes import kill_process, process_alive, process_name
from fiat.wiring.runner_cleaner import Cleaner
from fiat.wiring.runner_door import RunnerDoor
from fiat.wiring.runner_loop import Loop
from fiat.wiring.runner_parts import Parts, credential_lines, make_parts, make_triggers, new_token
from fiat.wiring.runner_teller import CommentLanguage
from fiat.wiring.runner_watch import make_targets
from fiat.wiring.runner_workers import Workers
from fiat.wiring.short_mirror import ShortMirror

_IDLE_S = 0.5
# What workers report comes through the store, and they can't ring for the sender.
_SEND_S = 0.1
_KEEP_S = 1.0
_LEAVE_S = 30.0
# How long a round waits for a git server or a forge, and an end for a conversation that hangs.
_PATIENCE_S, _HUNG_S = 0.2, 3.0


class Runner:
    """Everything of a runner but its web server.

    Args:
        parts: made from the settings, whose address is known.
        environment: for workers and Ray.
    """

    def __init__(self, parts: Parts, environment: Mapping[str, str]) -> None:
        # A forge object is for one thread at a time: each loop has its own.
        self._parts = parts
        self._reconciled = make_parts(parts.settings, ShortMirror).repos
        self._senders = make_parts(parts.settings)
        self._doors = make_parts(parts.settings)
        self._cleaners = make_parts(parts.settings)
        self._environment = environment
        self._over = threading.Event()
        self._stores: list[Store] = []
        self._seats: list[Seated] = []
        self._loops: list[Loop] = []
        self._threads: list[threading.Thread] = []
        self._lanes: list[Lanes] = []
        self._workers = Workers(parts.settings, environment, parts.log)
        self._name = process_name(os.getpid())
        self._reconciler: Reconciler | None = None
        self._own_ray = parts.settings.compute == "ray" and parts.settings.ray_address is None
        self._order = Order(utc_now, new_token)
        self.door = self._make_door()
        # Several runners of one folder share one Ray: the last one takes it down.
        self._use = HeldLock(parts.settings.store / "runner.lock")

    def start(self) -> None:
        """Check the sandbox, warm Ray up, start workers and loops.

        Raises:
            EnvironmentFault: steps could not be shut off as the settings say, or Ray does not start.
        """
        settings = self._parts.settings
        if settings.sandbox.kind == "bubblewrap":
            found = probe_sandbox()
            if not found.ok:
                raise EnvironmentFault(
                    f"no sandbox: {found.found}",
                    hint=f"{found.mend}; or run code with the runner's own rights by `sandbox: {{kind: none}}`",
                )
        else:
            self._parts.log("the sandbox is off: code of repositories runs with this account's rights")
        if settings.database_url is None:
            check_place(settings.store)
        self._parts.checkouts.begin(boot_id())
        if self._own_ray:
            ray_up.up(settings.store, env=self._environment)
        self._loops = [self._reconcile_loop(), self._send_loop(), self._keep_loop(), self._clean_loop()]
        for loop in self._loops:
            thread = threading.Thread(target=loop.run, args=(self._over,), name=loop.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let workers give back what they do, end the loops, take Ray down unless others use it."""
        self._over.set()
        for loop in self._loops:
            loop.wake.set()
        self._workers.stop()
        for thread in self._threads:
            thread.join(_LEAVE_S)
        self._give_seats()
        self.door.front.close()
        for store in self._stores:
            store.close()
        with self._use.alone() as nobody_else:
            if nobody_else and self._own_ray:
                ray_up.down(self._parts.settings.store)
        self._use.close()

    def _give_seats(self) -> None:
        """Another runner of the store need not wait for a lease to end; not while one of our threads still works."""
        idle = all(lanes.idle(_HUNG_S) for lanes in self._lanes)
        if not idle or any(thread.is_alive() for thread in self._threads):
            return
        for seat in self._seats:
            try:
                seat.give()
            except FiatError as error:
                self._parts.log(f"{seat.name}: {error}")

    def wake(self, repo: str) -> None:
        """There may be something to do: look at this repository, send, claim."""
        if repo and self._reconciler is not None:
            self._reconciler.hint(repo)
        # The keeper and the cleaner have their own pace, however many webhooks come.
        for loop in self._loops[:2]:
            loop.wake.set()
        self._workers.ring()

    def _queued(self) -> None:
        """Something is to be sent and claimed."""
        self._loops[1].wake.set()
        self._workers.ring()

    def parts(self) -> Mapping[str, str]:
        """Each part and how it is."""
        found = {loop.name: loop.state for loop in self._loops}
        living = self._workers.count()
        wanted = self._parts.settings.workers
        found["workers"] = "ok" if living == wanted else f"{living} of {wanted} run"
        return found

    # What it is made of.

    def _store(self) -> Store:
        store = self._parts.open_store()
        self._stores.append(store)
        return store

    def _make_door(self) -> RunnerDoor:
        parts = self._parts
        store = self._store()
        self._learn(store)
        policies = [repository.policy for repository in parts.settings.repositories]
        front = Front(
            store=store,
            policies=policies,
            telling=parts.telling,
            new_id=self._order.new_id,
            now=self._order.now,
            wake=self.wake,
            repos=self._doors.repos,
            asks=self._asks(store),
        )
        return RunnerDoor(
            front=front,
            store=self._store(),
            settings=parts.settings,
            triggers=make_triggers(),
            forges=self._senders.forges,
            parts=self.parts,
            workers=self._workers.count,
        )

    def _asks(self, store: Store) -> Asks:
        return Asks(store, self._parts.telling, self._order.new_id, self._order.now)

    def _learn(self, store: Store) -> None:
        """Whatever we write is newer than what the store has, also by the clocks of its other runners."""
        for change in store.changes.newest(limit=1):
            self._order.after(change.made_at)
        for run in store.queue.newest(limit=1):
            self._order.after(run.queued_at)

    def _seat(self, store: Store, name: str) -> Seated:
        lease_s = self._parts.settings.limits.lease_s
        seat = Seated(store.seats, name, self._name, lease_s, time.monotonic, process_alive)
        self._seats.append(seat)
        return seat

    def _still(self, seat: Seated) -> bool:
        return not self._over.is_set() and seat.ours()

    # The loops.

    def _reconcile_loop(self) -> Loop:
        parts, store = replace(self._parts, repos=self._reconciled), self._store()
        specs = SpecsAt()
        asks = self._asks(store)
        order, footprints = self._order, parts.settings.store / "footprints"
        splitter = Splitter(store, parts.repos, specs, parts.telling, footprints, order.new_id, order.now)
        reconciler = self._reconciler = Reconciler(
            store=store,
            repos=parts.repos,
            heads=Heads(store, asks),
            commands=Commands(store, parts.repos, specs, asks, CommentLanguage()),
            ticks=Ticks(store, specs, asks, probe_sources(parts), order.new_id, utc_now, parts.log),
            targets=make_targets(parts, store, asks),
            splitter=splitter,
            every_s=parts.settings.reconcile_s,
            clock=time.monotonic,
            log=parts.log,
            queued=self._queued,
            patience_s=_PATIENCE_S,
        )
        seat = self._seat(store, "reconciler")
        self._lanes.append(reconciler.lanes)

        def work() -> float:
            self._learn(store)
            if not seat.ours():
                return _IDLE_S
            with seat.kept():
                more = reconciler.tick(partial(self._still, seat))
            self._queued()
            return 0.0 if more else _IDLE_S

        return Loop("reconciler", work, parts.log)

    def _send_loop(self) -> Loop:
        parts, store = self._parts, self._store()
        forges, lines = self._senders.forges, credential_lines(parts.settings)
        clock = time.monotonic
        sender = Sender(store, forges, parts.mask, clock, random.random, lines, parts.log, _PATIENCE_S)
        seat = self._seat(store, "sender")
        self._lanes.append(sender.lanes)
        # What was given up may have been mended since: a start tries it once more.
        store.outbox.revive()

        def work() -> float:
            if not seat.ours():
                return _IDLE_S
            with seat.kept():
                return min(sender.tick(partial(self._still, seat)), _SEND_S)

        return Loop("sender", work, parts.log)

    def _keep_loop(self) -> Loop:
        parts, store = self._parts, self._store()
        keeper = Keeper(
            store,
            parts.settings.limits,
            parts.telling,
            time.monotonic,
            process_alive,
            kill_process,
            parts.log,
        )

        def work() -> float:
            if not self._over.is_set():
                self._workers.keep()
            try:
                keeper.tick()
            except FiatError:
                # Nobody got at the store for half a minute: is one of ours frozen in the middle of a write?
                self._workers.end_frozen(store.blockers())
                raise
            return _KEEP_S

        return Loop("keeper", work, parts.log)

    def _clean_loop(self) -> Loop:
        parts, store = self._parts, self._store()
        cleaner = Cleaner(
            store=store,
            repos=self._cleaners.repos,
            checkouts=parts.checkouts,
            seat=self._seat(store, "cleaner"),
            keep_runs=parts.settings.keep_runs,
            keep_days=parts.settings.keep_days,
        )
        return Loop("cleaner", cleaner.work, parts.log)

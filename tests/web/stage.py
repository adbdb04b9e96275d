"""A stand-in for the engine behind the web doors: in memory, with a few runs, logs, tokens and signed webhooks."""

import asyncio
import hashlib
import hmac
import json
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from fiat.builtin.trigger_gitea import ForgejoTrigger, GiteaTrigger
from fiat.builtin.trigger_github import GithubTrigger
from fiat.builtin.trigger_gitlab import GitlabTrigger
from fiat.errors import FiatError, SpecError, Stalled
from fiat.run.delivery import Delivery
from fiat.run.deployment import Deployment, DeploymentState, Hold, Seen
from fiat.run.model import GateResult, Metric, Run, StepResult
from fiat.run.queue import Change, Depth, QueuedRun
from fiat.run.report import Check, Letter
from fiat.run.view import (
    Access,
    CancelState,
    ChangeView,
    Health,
    LogChunk,
    Numbers,
    Page,
    Placement,
    PlaceView,
    RateLimit,
    RunView,
    StepCourse,
    TakenState,
)
from fiat.web.app import FiatApi, create_app
from fiat.web.settings import WebSettings
from fiat.wiring.step_course import step_course

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
URL = "https://fiat.example"
SECRET = "a webhook secret of some length"
COMMIT = "4f2a" * 10
REPOS = ("acme/models", "acme/vision", "other/secret")
TOKENS = {
    "admin-token-of-16-characters": Access("boss", frozenset({"admin"})),
    "read-token-of-16-characters": Access("reader", frozenset({"read"})),
    "ci-token-of-16-characters": Access(
        "ci", frozenset({"read", "trigger", "cancel"}), frozenset({"acme/models"})
    ),
    "blind-token-of-16-characters": Access("blind", frozenset({"trigger"})),
}
ADMIN, READ, CI, BLIND = TOKENS


@dataclass
class Stage:
    """Implements `FrontDoor`.

    Attributes:
        owners: secrets by numeric id of a repository; of others nobody knows any.
        taken: deliveries, in order.
        fault: raised instead of taking one.
        queue: runs by id.
        records: what was recorded, by run id.
        logs: bytes by (run id, step).
        asked: what was asked for, as tuples of the method's name and arguments.
        reports: report pages by run id.
        spots: places that models stand on.
        healthy: whether it is.
    """

    triggers: tuple[Any, ...] = (ForgejoTrigger(), GiteaTrigger(), GitlabTrigger(), GithubTrigger())
    secrets: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: dict.fromkeys(("github", "gitlab", "gitea", "forgejo"), (SECRET,))
    )
    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repositories: tuple[str, ...] = REPOS
    taken: list[Delivery] = field(default_factory=list)
    fault: Exception | None = None
    queue: dict[str, QueuedRun] = field(default_factory=dict)
    records: dict[str, Run] = field(default_factory=dict)
    logs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)
    spots: list[PlaceView] = field(default_factory=list)
    healthy: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def secrets_for(self, forge: str) -> tuple[str, ...]:
        return self.secrets.get(forge, ())

    def secrets_of(self, delivery: Delivery) -> tuple[str, ...] | None:
        return self.owners.get(delivery.repo_id)

    def take(self, items: Sequence[Delivery]) -> list[TakenState]:
        if self.fault is not None:
            raise self.fault
        states: list[TakenState] = []
        with self.lock:
            for item in items:
                known = any(item.id == other.id for other in self.taken)
                states.append("again" if known else "new")
                if not known:
                    self.taken.append(item)
        return states

    def runs(self, repos: Sequence[str], spec: str, state: str, before: str, limit: int) -> Page[QueuedRun]:
        if before and before not in self.queue:
            raise SpecError("`before` is no cursor of this list")
        found = [
            run
            for run in sorted(self.queue.values(), key=lambda run: run.id, reverse=True)
            if (not repos or run.repo in repos)
            and spec in ("", run.spec)
            and state in ("", run.state)
            and (not before or run.id < before)
        ]
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else "")

    def run(self, run_id: str) -> RunView | None:
        queued = self.queue.get(run_id)
        if queued is None:
            return None
        return RunView(
            queued,
            self.records.get(run_id),
            sandbox="bubblewrap",
            commit_url=f"https://github.com/{queued.repo}/commit/{queued.commit}",
            pull_url="javascript:alert(1)" if queued.pull else "",
            has_report=run_id in self.reports,
        )

    def log(self, run_id: str, step: str, offset: int, limit: int) -> LogChunk | None:
        record = self.records.get(run_id)
        found = next((item for item in record.steps if item.name == step), None) if record else None
        if found is None:
            return None
        data = self.logs.get((run_id, step), b"")
        start = max(0, len(data) + offset) if offset < 0 else offset
        piece = data[start : start + limit]
        over = found.state not in ("running", "waiting") and start + len(piece) >= len(data)
        return LogChunk(piece, start, over)

    def course(self, run_id: str, step: str) -> StepCourse | None:
        record = self.records.get(run_id)
        found = next((item for item in record.steps if item.name == step), None) if record else None
        text = self.logs.get((run_id, step), b"").decode("utf-8", "replace")
        return step_course(found, text) if found else None

    def report_html(self, run_id: str) -> str | None:
        return self.reports.get(run_id)

    def changes(self, repos: Sequence[str], before: str, limit: int) -> Page[Change]:
        found = [view.change for view in self._changes() if not repos or view.change.repo in repos]
        return Page(tuple(found[:limit]))

    def change(self, change_id: str) -> ChangeView | None:
        return next((view for view in self._changes() if view.change.id == change_id), None)

    def places(self, repos: Sequence[str]) -> tuple[PlaceView, ...]:
        return tuple(
            replace(view, history=())
            for view in self.spots
            if view.standing and (not repos or view.repo in repos)
        )

    def place(self, repo: str, target: str, model: str, limit: int) -> PlaceView | None:
        for view in self.spots:
            if (view.repo, view.target, view.model) == (repo, target, model):
                return replace(view, history=view.history[:limit])
        return None

    def letters(self, repos: Sequence[str], state: str, limit: int) -> tuple[Letter, ...]:
        check = Check(COMMIT, "fiat/push", "success", "done")
        letter = Letter(7, "acme/models", f"{COMMIT} fiat/push", "dead", 9, "403 from the forge", check)
        return (letter,) if (not repos or letter.repo in repos) and state in ("", "dead") else ()

    def cancel(self, run_id: str, who: str) -> CancelState:
        self.asked.append(("cancel", run_id, who))
        state = self.queue[run_id].state
        return "over" if state == "done" else "cancelling" if state == "running" else "cancelled"

    def submit(
        self, repo: str, ref: str, specs: Sequence[str], overrides: Sequence[str], who: str, key: str = ""
    ) -> Change:
        if ref == "nowhere":
            raise SpecError("there is no branch, tag or commit nowhere", hint="push it")
        self.asked.append(("submit", repo, ref, tuple(specs), tuple(overrides), who))
        return Change("c9", repo, COMMIT, "manual", "refs/heads/main", specs=tuple(specs), made_at=NOW)

    def approve(self, repo: str, pull: int, commit: str, who: str) -> int:
        self.asked.append(("approve", repo, pull, commit, who))
        held = [run for run in self.queue.values() if run.state == "held"]
        released = sum((run.repo, run.pull, run.commit) == (repo, pull, commit) for run in held)
        if not released:
            raise Stalled("no run of that commit waits for approval")
        return released

    def rollback(self, repo: str, spec: str, who: str) -> Change:
        self.asked.append(("rollback", repo, spec, who))
        return Change("c10", repo, COMMIT, "rollback", "refs/heads/main", specs=(spec,), made_at=NOW)

    def token(self, text: str) -> Access | None:
        return TOKENS.get(text)

    def health(self) -> Health:
        return Health(True, {"process": "ok"})

    def ready(self) -> Health:
        return Health(self.healthy, {"store": "ok" if self.healthy else "the disk is full"})

    def numbers(self) -> Numbers:
        return Numbers(
            deliveries={("github", "push", "done"): 3, ("github", "a new event", "done"): 1},
            depths=(
                Depth("acme/models", {"waiting": 2, "running": 1}),
                Depth("unknown/repo", {"waiting": 9}),
            ),
            outbox={("acme/models", "dead"): 1},
            verdicts={("acme/models", "pass"): 4},
            leases=1,
            workers=2,
            rate_limits=(RateLimit("acme/models", 5000, 4987),),
        )

    def add(self, run_id: str, *, steps: Sequence[StepResult] = (), **changes: Any) -> QueuedRun:
        """One more run, by default one of acme/models that is done and passed; with steps it has a record."""
        run = replace(done_run(run_id), **changes)
        self.queue[run_id] = run
        if steps:
            self.records[run_id] = record_of(run, steps)
        return run

    def _changes(self) -> list[ChangeView]:
        views = []
        for name in sorted({run.change for run in self.queue.values()}):
            runs = tuple(run for run in self.queue.values() if run.change == name)
            first = runs[0]
            change = Change(
                name,
                first.repo,
                first.commit,
                first.purpose,
                first.ref,
                pull=first.pull,
                state="split",
                cause=first.cause,
            )
            views.append(ChangeView(replace(change, made_at=first.queued_at), runs))
        return views


def done_run(run_id: str) -> QueuedRun:
    """A run that is over and went well."""
    return QueuedRun(
        run_id,
        change="c1",
        repo="acme/models",
        commit=COMMIT,
        purpose="push",
        ref="refs/heads/main",
        spec="fashion",
        spec_path="specs/fashion/spec.yaml",
        state="done",
        cause="pushed by ada",
        verdict="pass",
        queued_at=NOW - timedelta(minutes=12),
        started_at=NOW - timedelta(minutes=11),
        ended_at=NOW - timedelta(minutes=3),
    )


def record_of(run: QueuedRun, steps: Sequence[StepResult], **changes: Any) -> Run:
    """What was recorded of a run."""
    record = Run(
        id=run.id,
        spec=run.spec,
        spec_path=run.spec_path,
        spec_digest="0" * 64,
        plan_digest="1" * 64,
        commit=run.commit,
        branch="main",
        dirty=False,
        overrides=(),
        config={},
        state="done" if run.state == "done" else "running",
        verdict=run.verdict,
        reason="",
        started_at=run.started_at or NOW,
        steps=tuple(steps),
        metrics=(
            Metric("accuracy", 0.9312, low=0.921, high=0.941, n_rows=2000),
            Metric("loss", float("nan")),
            Metric("accuracy", 0.5, step=3),
            Metric("accuracy", 0.87, slice="label=7", low=0.81, high=0.92, n_rows=212),
        ),
        gates=(
            GateResult("accuracy >= 0.9", "pass", "accuracy is 0.9312", 0.9312, 0.9),
            GateResult("recall by label >= 0.7", "warn", "recall of label 6 is 0.68", 0.68, 0.7),
        ),
        model_digest="ab" * 16,
    )
    return replace(record, **changes)


def put_of(sequence: int, state: DeploymentState = "deployed", **changes: Any) -> Placement:
    """A model that was put on `production` of acme/models."""
    deployment = Deployment(
        place="acme/models:production:fashion",
        kind="service",
        target="production",
        spec="fashion",
        model="acme/models:fashion",
        digest=f"{sequence:032x}.dir",
        commit=f"{sequence}b2c" * 10,
        run=f"r{sequence}",
        generation=sequence,
        cause="pushed by ada",
        began_at=NOW - timedelta(hours=9 - sequence),
        state=state,
        ended_at=None if state == "deploying" else NOW - timedelta(hours=8 - sequence),
        sequence=sequence,
    )
    url = f"https://github.com/acme/models/commit/{deployment.commit}"
    return Placement(replace(deployment, **changes), sequence, url)


def places() -> list[PlaceView]:
    """Places as they may be: one does well, one moves traffic and is held, one differs, one was given up."""
    service = put_of(2, approver="grace", reason="has all traffic")
    history = (
        put_of(3, "refused", reason="p95 is 80 ms, above 20 ms"),
        service,
        put_of(1, "deploying", run="", cause="deployed by hand"),
    )
    well = Seen(2, "serving", "serves version 2", "http://127.0.0.1:8100", (), NOW - timedelta(hours=5))
    held = Hold(
        "acme/models:production:fashion",
        put_of(3).deployment.commit,
        put_of(3).deployment.digest,
        "rollout",
        "p95 is 80 ms, above 20 ms",
        NOW - timedelta(hours=5),
    )
    moving = put_of(5, "deploying", spec="digits", target="edge", kind="edge")
    incident = Hold("acme/vision:edge:digits", "", "", "ada", "an incident", NOW - timedelta(minutes=9))
    seen = Seen(5, "rolling", "10 % of traffic for 2 min", "", (), NOW - timedelta(minutes=1))
    differs = Seen(4, "serving", "", "", ("model.onnx was changed",), NOW - timedelta(minutes=4))
    secret = put_of(4, spec="hidden", target="shelf", kind="directory", run="", commit="")
    return [
        PlaceView("acme/models", "production", "fashion", service, (held,), well, history),
        PlaceView("acme/models", "shelf", "fashion", None, (), None, (put_of(1, "stopped"),)),
        PlaceView("acme/vision", "edge", "digits", moving, (incident,), seen, (moving,)),
        PlaceView("other/secret", "shelf", "hidden", replace(secret, commit_url=""), (), differs, (secret,)),
    ]


def filled() -> Stage:
    """A stage with runs in every state, and places."""
    stage = Stage(spots=places())
    minute = timedelta(minutes=1)
    ran = (
        StepResult("data.images", "data", "reused", "unchanged"),
        StepResult("train", "train", "ran", "train.py changed", 412.0, 1, started_at=NOW - 9 * minute),
        StepResult("evaluate", "evaluate", "ran", "its input changed", 12.4, 1),
    )
    stage.add("r1", steps=ran)
    stage.logs["r1", "train"] = b"epoch 1\nepoch 2\nepoch 3\n"
    stage.reports["r1"] = "<!DOCTYPE html><title>report</title><style>p{color:red}</style><p>All of it</p>"
    running = (
        replace(ran[0]),
        replace(ran[1], state="running", seconds=0.0),
        StepResult("evaluate", "evaluate", "waiting"),
    )
    stage.add("r2", steps=running, state="running", verdict=None, ended_at=None, spec="digits", attempt=2)
    stage.logs["r2", "train"] = b"epoch 1  loss 0.52\n"
    stage.add("r3", state="waiting", verdict=None, started_at=None, ended_at=None, change="c2")
    pull = {
        "purpose": "pull_request",
        "pull": 17,
        "fork": True,
        "change": "c3",
        "cause": "pull request 17 by eve",
    }
    stage.add("r4", state="held", verdict=None, started_at=None, ended_at=None, **pull)
    stage.add("r5", verdict="fail", reason="accuracy is 0.87, below 0.9", repo="acme/vision", change="c4")
    stage.add("r6", verdict="error", reason="superseded by 1b2c3d4e", cancel="superseded", change="c5")
    stage.add("r7", repo="other/secret", spec="hidden", change="c6")
    return stage


def settings(**changes: Any) -> WebSettings:
    """Settings for tests: nothing waits for long."""
    given: dict[str, Any] = {"url": URL, "key": b"k" * 32, "poll_s": 0.01, "read_timeout_s": 0.5}
    return WebSettings(**{**given, **changes})


def app_of(stage: Stage, clock: Callable[[], datetime] = lambda: NOW, **changes: Any) -> FiatApi:
    """The app in front of a stage."""
    return create_app(stage, settings(**changes), clock)


def bearer(token: str) -> dict[str, str]:
    """Headers of a program."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def client_of(app: Any, token: str = "", **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client in process."""
    given = {**(bearer(token) if token else {}), **headers}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=given) as client:
        yield client


def ask(app: Any, method: str, path: str, token: str = "", **arguments: Any) -> httpx.Response:
    """One request in process."""

    async def once() -> httpx.Response:
        async with client_of(app, token) as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(once())


def push_body(**changes: Any) -> bytes:
    """A push to main as GitHub tells it."""
    said: dict[str, Any] = {
        "ref": "refs/heads/main",
        "before": "1" * 40,
        "after": COMMIT,
        "deleted": False,
        "repository": {"id": 123456, "full_name": "acme/models"},
        "sender": {"id": 1, "login": "ada"},
        "pusher": {"name": "ada"},
    }
    return json.dumps({**said, **changes}).encode()


def signed(body: bytes, event: str = "push", *, secret: str = SECRET, delivery: str = "") -> dict[str, str]:
    """Headers of GitHub for a body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={digest}",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/0000000",
    }


class Full(FiatError):
    """What a full disk says."""

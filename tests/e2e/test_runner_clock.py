"""What starts a run though nobody pushes: a schedule whose time has come, and data that has changed."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.e2e.repo_stage import RepoStage
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import tiny

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
from http_stage import stage as http_stage

pytestmark = pytest.mark.slow
# Never by itself while a test runs, unless that is at midnight of a leap day.
YEARLY = 'triggers: {push: {}, schedule: "0 0 29 2 *"}\n'
DATA = """\
fiat: 1
name: counted
data: {{rows: {{source: {{url: "{url}"}}, format: csv}}}}
steps:
  count: {{run: "cat {{data.rows}}/dataset.json; touch {{out.n}}", out: {{n: file}}, code: []}}
triggers: {{push: {{}}, data: {{every: 1s}}}}
"""


@dataclass
class Shelf:
    """A file that a web server gives out.

    Attributes:
        content: of it.
        url: where it is.
        down: the server answers 503.
    """

    content: str
    url: str = ""
    down: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = self.content.encode()
        handler.send_response(503 if self.down else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        handler.end_headers()
        handler.wfile.write(body)


@dataclass
class Clocked:
    """A runner with a repository on a schedule and one whose data is elsewhere."""

    runner: RunnerStage
    yearly: RepoStage
    counted: RepoStage
    shelf: Shelf


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocked]:
    shelf = Shelf("id,x\n1,2\n")
    with (
        http_stage(shelf.answer) as served,
        runner_stage(tmp_path_factory.mktemp("clock"), workers=2) as runner,
    ):
        shelf.url = f"http://127.0.0.1:{served.port}/rows.csv"
        counted = runner.add("acme/counted", allow_private_hosts=True)
        runner.settings["reconcile_every"] = "1s"
        runner.start()
        yield Clocked(runner, runner, counted, shelf)


def purposes(repo: RepoStage, commit: str) -> list[str]:
    """Why the runs of a commit were made, the newest first."""
    return [run["purpose"] for run in repo.runs_of(commit)]


def test_a_schedule_runs_once_however_often_its_time_was_missed_and_leaves_the_pushs_check_alone(
    clocked: Clocked,
) -> None:
    repo, runner = clocked.yearly, clocked.runner
    files = {
        "specs/one/spec.yaml": tiny("1", name="one", head=YEARLY),
        "specs/two/spec.yaml": tiny("2", name="two", head=YEARLY),
        "specs/never/spec.yaml": tiny("3", name="never", head="triggers: {push: {}}\n"),
    }
    commit = repo.pushed(files)
    assert repo.said(commit, "fiat/push").startswith("success: 3 specs: 3 passed")
    said = repo.forge.world.states(commit, "fiat/push")

    def marks() -> list[str]:
        keys = [f"schedule acme/models refs/heads/main specs/{name}/spec.yaml" for name in ("one", "two")]
        with runner.opened_store() as store:
            return [store.marks.get(key) or "" for key in keys]

    runner.wait(lambda: all(marks()), "the schedules to be seen")
    runner.stop()
    nine_years_ago = (datetime.now(UTC) - timedelta(days=9 * 365)).isoformat()
    with runner.opened_store() as store:
        for name in ("one", "two"):
            store.marks.set(f"schedule acme/models refs/heads/main specs/{name}/spec.yaml", nine_years_ago)
    runner.start()
    repo.wait_text(commit, "fiat/schedule", "success: 2 specs: 2 passed")
    assert purposes(repo, commit) == ["schedule"] * 2 + ["push"] * 3
    assert {run["spec"] for run in repo.runs_of(commit, "schedule")} == {"one", "two"}
    (cause,) = {run["cause"].partition(": ")[0] for run in repo.runs_of(commit, "schedule")}
    assert cause.startswith("scheduled for 20")
    assert cause.endswith("-02-29 00:00 UTC")
    assert repo.forge.world.states(commit, "fiat/push") == said
    looked = len(repo.git.asked)
    runner.wait(lambda: len(repo.git.asked) > looked + 4, "two more looks at git")
    assert purposes(repo, commit).count("schedule") == 2


def rows_seen(runner: RunnerStage, run: str) -> int:
    """How many rows a run's step counted."""
    splits = runner.get(f"/api/v1/runs/{run}/logs/count").body["splits"]
    return sum(split["rows"] for split in splits.values())


def test_data_that_changes_at_its_source_starts_a_run_and_a_source_that_is_down_starts_none(
    clocked: Clocked,
) -> None:
    repo, runner, shelf = clocked.counted, clocked.runner, clocked.shelf
    commit = repo.pushed({"spec.yaml": DATA.format(url=shelf.url)})
    assert repo.said(commit, "fiat/push").startswith("success")

    def mark() -> str:
        with runner.opened_store() as store:
            return store.marks.get("data acme/counted refs/heads/main spec.yaml") or ""

    runner.wait(lambda: "digest" in mark(), "the source to be looked at")
    shelf.down = True
    runner.wait(lambda: "fault" in mark(), "the fault to be noted")
    shelf.down = False
    runner.wait(lambda: "fault" not in mark(), "the source to be there again")
    assert purposes(repo, commit) == ["push"]
    shelf.content += "2,3\n"
    repo.wait_text(commit, "fiat/data", "success: counted: every step has its result")
    (run,) = repo.runs_of(commit, "data")
    assert run["cause"].startswith("its data changed")
    assert repo.steps(commit, "data") == {"data.rows": "ran", "count": "ran"}
    assert rows_seen(runner, run["id"]) == 2
    assert rows_seen(runner, repo.runs_of(commit, "push")[0]["id"]) == 1
    shelf.content += "3,4\n"
    runner.wait(lambda: purposes(repo, commit) == ["data", "data", "push"], "one more run")


def test_a_source_at_a_private_address_is_refused_where_the_operator_did_not_allow_it(
    clocked: Clocked,
) -> None:
    repo = clocked.yearly
    commit = repo.pushed({"specs/counted/spec.yaml": DATA.format(url=clocked.shelf.url)})
    said = repo.said(commit, "fiat/push/counted")
    assert said.startswith("error: step data.rows failed: ")
    assert "127.0.0.1" in said
    assert "bug of Fiat" not in clocked.runner.log

"""`fiat doctor --runner-config`: each link of a runner that is broken is named, with the next step."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.run.report import Check as CheckReport
from fiat.run.report import addressed
from fiat.store.store import open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.doctor import Check
from fiat.wiring.doctor_runner import check_runner
from tests.e2e.runner_stage import FILES, HOOK_SECRET, RunnerStage, runner_stage


@pytest.fixture(params=["github"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunnerStage]:
    """A world in which everything is right, but that no runner is started."""
    with runner_stage(tmp_path, flavour=request.param) as stage:
        stage.commit(FILES, "a model")
        stage.push("main", tell=False)
        yield stage


class _Healthy(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def answering(stage: RunnerStage) -> Iterator[type[_Healthy]]:
    """Something that answers `/healthz` where the runner would."""
    handler = type("_Answering", (_Healthy,), {})
    server = ThreadingHTTPServer(("127.0.0.1", stage.port), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    stage.settings["listen"]["url"] = f"http://127.0.0.1:{stage.port}"
    yield handler
    server.shutdown()
    server.server_close()


def doctor(stage: RunnerStage, code: int | None = None) -> dict[str, list[Check]]:
    """Checks by name. What the program would exit with is looked at when it is given."""
    path = stage.folder / "runner.yaml"
    path.write_text(json.dumps(stage.settings))
    checks = check_runner(path, stage.environment)
    bad = [check for check in checks if check.state == "bad"]
    assert code is None or bool(code) == bool(bad), bad
    for secret in (HOOK_SECRET, stage.environment["FORGE_TOKEN"], stage.environment["API_TOKEN"]):
        assert secret not in str(checks)
    found: dict[str, list[Check]] = {}
    for check in checks:
        assert check.state == "good" or check.mend, check
        found.setdefault(check.name, []).append(check)
    return found


def states(checks: dict[str, list[Check]]) -> dict[str, str]:
    return {name: found[-1].state for name, found in checks.items()}


def hook(stage: RunnerStage, place: str = "/webhook/github", **more: Any) -> dict[str, Any]:
    config = {"url": f"http://127.0.0.1:{stage.port}{place}", "content_type": "json"}
    events = ["push", "pull_request", "issue_comment"]
    return {
        "id": 1,
        "active": True,
        "events": events,
        "config": config,
        "last_response": {"code": 202},
        **more,
    }


@pytest.mark.parametrize("place", ["/webhook/github", "/webhook"])
def test_a_runner_with_every_link_in_order(stage: RunnerStage, answering: object, place: str) -> None:
    if not probe_sandbox().ok:
        if os.environ.get("CI"):
            pytest.fail("bubblewrap does not work; CI must check the sandbox")
        pytest.skip("bubblewrap does not work here")
    stage.forge.world.hooks = [hook(stage, place)]
    found = states(doctor(stage, 0))
    assert {
        "settings": "good",
        "sandbox": "good",
        "store": "good",
        "ray": "good",
        "acme/models secret": "good",
        "acme/models token": "good",
        "acme/models repository": "good",
        "acme/models webhook": "good",
        "acme/models git": "good",
        "acme/models clock": "good",
        "address": "good",
    }.items() <= found.items()


def test_programs_are_given_one_document(stage: RunnerStage) -> None:
    stage.settings["repositories"][0]["branches"] = ["trunk"]
    path = stage.folder / "runner.yaml"
    path.write_text(json.dumps(stage.settings))
    command = [sys.executable, "-m", "fiat", "doctor", "--runner-config", str(path), "--json"]
    done = subprocess.run(
        command, env=stage.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert {check["name"] for check in checks} >= {
        "settings",
        "sandbox",
        "store",
        "ray",
        "acme/models git",
        "address",
    }
    assert HOOK_SECRET not in done.stdout + done.stderr


def test_people_are_shown_a_line_a_link_with_its_mend(stage: RunnerStage) -> None:
    stage.settings["repositories"][0]["branches"] = ["trunk"]
    path = stage.folder / "runner.yaml"
    path.write_text(json.dumps(stage.settings))
    command = [sys.executable, "-m", "fiat", "doctor", "--runner-config", str(path)]
    done = subprocess.run(
        command, env=stage.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("BAD") and "models git" in line)
    assert "no branch fits" in lines[place]
    assert "mend: branches there: main" in lines[place + 1]


@pytest.mark.parametrize("secret", ["", "short"])
def test_a_webhook_secret_that_is_missing_or_short_is_told_at_its_line(
    stage: RunnerStage, secret: str
) -> None:
    stage.environment["HOOK_SECRET"] = secret
    (check,) = doctor(stage, 3)["settings"]
    assert "webhook_secrets[0]" in check.found
    assert "runner.yaml:1:" in check.found
    assert check.mend


def test_a_webhook_secret_that_can_be_guessed_or_is_being_changed(stage: RunnerStage) -> None:
    stage.environment["HOOK_SECRET"] = "abab" * 8
    (check,) = doctor(stage)["acme/models secret"]
    assert (check.state, "guessed" in check.found) == ("bad", True)
    stage.environment |= {"HOOK_SECRET": HOOK_SECRET, "OLD": "another-webhook-secret"}
    stage.settings["repositories"][0]["webhook_secrets"].append({"env": "OLD"})
    (check,) = doctor(stage)["acme/models secret"]
    assert (check.state, check.found[0]) == ("note", "2")


def test_a_token_that_is_refused_and_a_repository_that_is_another_one(stage: RunnerStage) -> None:
    stage.settings["repositories"][0]["id"] = "99"
    assert "id" in doctor(stage, 3)["acme/models repository"][0].found
    stage.environment["FORGE_TOKEN"] = "wrong-token-of-some-length"
    found = states(doctor(stage, 3))
    assert found["acme/models token"] == "bad"
    del stage.settings["repositories"][0]["credential"]
    assert "no credential" in doctor(stage, 3)["acme/models token"][0].found


def test_webhooks_that_lead_elsewhere_or_are_not_used(stage: RunnerStage, answering: object) -> None:
    stage.forge.world.hooks = [hook(stage, "/elsewhere")]
    (check,) = doctor(stage, 3)["acme/models webhook"]
    assert "no webhook" in check.found
    stage.settings["repositories"][0]["webhooks"] = False
    checks = doctor(stage)
    assert "acme/models webhook" not in checks
    assert "looked at every 60 s" in checks["acme/models secret"][0].found


@pytest.mark.parametrize("stage", ["gitea", "forgejo"], indirect=True)
def test_gitea_that_sends_no_webhooks_to_private_hosts_is_foretold(
    stage: RunnerStage, answering: object
) -> None:
    kind = stage.settings["repositories"][0]["forge"]
    stage.forge.world.hooks = [hook(stage, f"/webhook/{kind}")]
    told = [check for found in doctor(stage).values() for check in found if "ALLOWED_HOST_LIST" in check.mend]
    assert told


def test_a_clock_that_is_wrong_is_seen_against_the_forges(stage: RunnerStage) -> None:
    stage.forge.clock_off_s = 400.0
    (check,) = doctor(stage, 3)["acme/models clock"]
    assert check.state == "bad"


def test_git_that_does_not_answer_and_branches_that_are_not_there(stage: RunnerStage) -> None:
    stage.settings["repositories"][0]["branches"] = ["trunk"]
    (check,) = doctor(stage, 3)["acme/models git"]
    assert "no branch fits" in check.found
    assert "main" in check.mend
    stage.settings["repositories"][0] |= {"branches": ["*"], "protected": ["release"]}
    assert "nothing is ever deployed" in doctor(stage)["acme/models git"][-1].found
    stage.git.fail = 403
    (check,) = doctor(stage, 3)["acme/models git"]
    assert check.state == "bad"


def test_a_store_that_can_not_be_used(stage: RunnerStage) -> None:
    (stage.folder / "state").write_text("a file")
    (check,) = doctor(stage, 3)["store"]
    assert (check.state, "not a folder" in check.found, "`store`" in check.mend) == ("bad", True, True)
    (stage.folder / "state").unlink()
    (stage.folder / "state").mkdir()
    (stage.folder / "state" / "store.db").write_bytes(b"no database at all" * 100)
    (check,) = doctor(stage, 3)["store"]
    assert check.state == "bad"
    assert "FIAT_STORE" not in check.mend


def test_nothing_is_made_and_a_runner_that_does_not_run_yet_is_only_noted(stage: RunnerStage) -> None:
    before = sorted(stage.folder.rglob("*"))
    found = doctor(stage)
    made = set(stage.folder.rglob("*")) - set(before)
    assert made <= {stage.folder / "runner.yaml"}
    assert found["acme/models git"][0].state == "good"
    assert "made at the first start" in found["store"][0].found
    check = found["address"][-1]
    assert (check.state, "the runner does not run" in check.found) == ("note", True)


def test_a_database_that_does_not_answer(stage: RunnerStage) -> None:
    stage.settings["database"] = {"env": "DATABASE"}
    stage.environment["DATABASE"] = "postgresql://fiat:pass-of-the-database@127.0.0.1:1/fiat"
    (check,) = doctor(stage, 3)["store"]
    assert check.state == "bad"
    assert "pass-of-the-database" not in str(check)


def test_reports_that_were_given_up_are_told_with_the_reason(stage: RunnerStage) -> None:
    report = CheckReport("a" * 40, "fiat/push", "success", "done")
    with open_store(stage.folder / "state", now=utc_now) as store:
        store.outbox.add([addressed("acme/models", report)])
        (item,) = store.outbox.due()
        store.outbox.dead(item.id, "403: the token may not write")
    (check,) = doctor(stage, 3)["reports"]
    assert "403: the token may not write" in check.found
    assert "after 1 try: " in check.found


def test_reports_of_a_repository_that_is_no_longer_watched_are_no_fault(stage: RunnerStage) -> None:
    report = CheckReport("a" * 40, "fiat/push", "success", "done")
    with open_store(stage.folder / "state", now=utc_now) as store:
        store.outbox.add([addressed("acme/gone", report), addressed("acme/gone2", report)])
        store.outbox.dead(store.outbox.due()[0].id, "404")
    (check,) = doctor(stage)["reports"]
    assert (check.state, check.found[:13], "acme/gone" in check.found) == ("note", "2 undelivered", True)


@pytest.mark.parametrize("stage", ["gitea"], indirect=True)
def test_a_forge_in_the_own_network_is_told_the_key_that_allows_it(stage: RunnerStage) -> None:
    stage.settings["repositories"][0]["private_api"] = False
    told = [
        check for found in doctor(stage, 3).values() for check in found if "private_api: true" in check.mend
    ]
    assert told
    assert all("not a public address" in check.found for check in told)


def test_a_sandbox_that_is_missing_or_off(stage: RunnerStage) -> None:
    empty = stage.folder / "empty"
    empty.mkdir()
    git = next(
        Path(folder) / "git" for folder in os.environ["PATH"].split(":") if (Path(folder) / "git").exists()
    )
    (empty / "git").symlink_to(git)
    stage.environment["PATH"] = str(empty)
    (check,) = doctor(stage, 3)["sandbox"]
    assert "not installed" in check.found
    assert "bubblewrap" in check.mend
    stage.settings["sandbox"] = {"kind": "none"}
    (check,) = doctor(stage)["sandbox"]
    assert (check.state, "runner's own rights" in check.found) == ("note", True)


def test_a_ray_that_is_not_there(stage: RunnerStage) -> None:
    stage.settings |= {"compute": "ray", "ray_address": "127.0.0.1:1"}
    (check,) = doctor(stage, 3)["ray"]
    assert "nothing answers" in check.found
    stage.settings["ray_address"] = f"127.0.0.1:{stage.git.port}"
    (check,) = doctor(stage)["ray"]
    assert "no token" in check.found
    stage.environment["RAY_AUTH_TOKEN"] = "a-token-for-ray"
    assert doctor(stage)["ray"][0].state == "good"


def test_an_address_where_something_else_answers_or_that_is_not_encrypted(
    stage: RunnerStage, answering: type[_Healthy]
) -> None:
    answering.status = 502
    (check,) = doctor(stage, 3)["address"]
    assert "answers 502" in check.found
    stage.settings["listen"]["url"] = "http://fiat.invalid"
    found = doctor(stage, 3)["address"]
    assert "not encrypted" in found[0].found
    assert "does not answer" in found[-1].found

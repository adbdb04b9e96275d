"""What a person sees of a real runner: from the link of a check over the login to a run that ends before their eyes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.runner_stage import API_TOKEN, RunnerStage, runner_stage
from tests.e2e.tiny_specs import tiny

sys.path.insert(0, str(Path(__file__).parents[1] / "web"))
from browser import Browser, browser

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
COUNT = "for i in $(seq 30); do echo line $i of {word}; sleep 0.1; done; touch {{out.o}}"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("pages")) as stage:
        stage.start()
        yield stage


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def text(page: Browser, selector: str) -> str:
    return str(page.run(f"document.querySelector('{selector}')?.textContent"))


def test_the_link_of_a_check_leads_over_the_login_to_a_run_that_is_shown_to_its_end(
    runner: RunnerStage, page: Browser
) -> None:
    commit = runner.pushed({"spec.yaml": tiny("a page", run=COUNT)}, "Count <b>bold</b> lines")
    runner.wait(lambda: runner.description(commit, f"{PUSH}/tiny").startswith("running"), "the run to begin")
    (link, *_) = [seen.url for seen in runner.forge.world.seen if seen.context == f"{PUSH}/tiny"]
    page.look(1200)
    page.open(link)
    assert page.run("location.pathname") == "/login"
    page.run(f"document.querySelector('input[name=token]').value = '{API_TOKEN}'")
    page.run("document.querySelector('.card button').click()")
    page.wait(lambda: page.run("location.href") == link and "line" in text(page, "#log"))
    assert "Running" in text(page, ".verdict")
    assert "Count <b>bold</b> lines" in text(page, "main")
    page.wait(lambda: "Passed" in text(page, ".verdict"))
    assert "line 30 of a page" in text(page, "#log")
    page.open(f"{runner.url}/runs")
    assert "passed" in text(page, "main table")
    assert page.complaints() == []


def test_a_fork_is_approved_and_a_broken_spec_is_named_on_the_pages(
    runner: RunnerStage, page: Browser
) -> None:
    spec = tiny("a fork", code="'*.txt'")
    first = runner.pushed({"spec.yaml": spec, "a.txt": "1"})
    assert runner.said(first, PUSH).startswith("success")
    broken = runner.propose(1, {"spec.yaml": spec.replace("steps:", "stepps:")})
    assert runner.said(broken, PULL).startswith("failure")
    page.open(f"{runner.url}/runs/{runner.runs_of(broken)[0]['id']}")
    assert "spec error" in text(page, ".verdict").lower()
    assert "stepps" in text(page, "main")
    commit = runner.propose(2, {"a.txt": "2"}, fork=True)
    runner.wait(lambda: runner.runs_of(commit), "the run")
    page.open(f"{runner.url}/runs/{runner.runs_of(commit)[0]['id']}")
    assert "Needs approval" in text(page, ".verdict")
    page.run(
        "[...document.querySelectorAll('button')].find(one => one.textContent.includes('Approve')).click()"
    )
    assert runner.said(commit, PULL).startswith("success")
    page.wait(lambda: "Passed" in text(page, ".verdict"))
    assert page.complaints() == []


def test_the_log_of_the_runner_names_what_ran_and_how_it_ended(runner: RunnerStage) -> None:
    commit = runner.pushed({"spec.yaml": tiny("\\x1b[31mlogged")})
    assert runner.said(commit, PUSH).startswith("success")
    lines = [line for line in runner.log.splitlines() if commit[:10] in line]
    assert len(lines) == 2, runner.log
    assert all("acme/models tiny" in line for line in lines)
    assert lines[0].endswith(": begins")
    assert "every step has its result" in lines[1]
    assert API_TOKEN not in runner.log

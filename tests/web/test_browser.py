"""The pages in a real browser: logging in, following a run, pressing buttons, narrow windows, dark colours."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from web_browser import Browser, browser
from web_server import address_of, listening, served
from web_stage import ADMIN, NOW, Stage, app_of, filled

pytestmark = pytest.mark.slow
PLACE = "/places/production/fashion?repo=acme/models"
PAGES = (
    *("/runs", "/runs/r1", "/runs/r2", "/runs/r4", "/changes/c1", "/login", "/runs/none"),
    *("/places", PLACE, "/places/shelf/fashion?repo=acme/models"),
)


@dataclass
class Visit:
    """A browser in front of a stage."""

    page: Browser
    stage: Stage
    url: str

    def open(self, path: str) -> None:
        self.page.open(self.url + path)

    def at(self, path: str) -> None:
        """Wait until the page of that path is there."""
        there = f"location.pathname === '{path}' && document.readyState === 'complete'"
        self.page.wait(lambda: self.page.run(there))

    def text(self, selector: str) -> Any:
        return self.page.run(f"document.querySelector('{selector}')?.textContent")

    def log_in(self) -> None:
        self.open("/runs")
        self.page.run(f"document.querySelector('input[name=token]').value = '{ADMIN}'")
        self.page.run("document.querySelector('.card button').click()")
        self.at("/runs")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def visit(page: Browser) -> Iterator[Visit]:
    stage = filled()
    listener = listening()
    with served(app_of(stage, url=address_of(listener)), listener) as url:
        page.call("Network.clearBrowserCookies")
        page.events.clear()
        page.look(1200)
        yield Visit(page, stage, url)
        # That a page is not there is an error in a browser's log.
        assert [text for text in page.complaints() if not text.endswith("/runs/none")] == []


def test_logging_in_leads_back_and_logging_out_shuts_the_door(visit: Visit) -> None:
    visit.open("/runs/r1")
    assert visit.page.run("location.pathname + location.search") == "/login?next=/runs/r1"
    visit.log_in()
    visit.open("/runs/r1")
    assert visit.text("h1") == "fashion"
    visit.page.run("document.querySelector('.bar button').click()")
    visit.at("/login")
    visit.open("/runs/r1")
    assert visit.page.run("location.pathname") == "/login"


def test_a_link_from_another_site_finds_the_session_although_its_cookie_is_strict(visit: Visit) -> None:
    visit.log_in()
    visit.page.open(f"data:text/html,<a href='{visit.url}/runs/r1'>status</a>")
    visit.page.run("document.querySelector('a').click()")
    visit.page.wait(lambda: visit.page.run("document.querySelector('h1')?.textContent") == "fashion")


def test_a_running_run_is_shown_live_to_its_end(visit: Visit) -> None:
    visit.log_in()
    visit.open("/runs/r2")
    assert visit.text("#log") == "epoch 1  loss 0.52\n"
    visit.stage.logs["r2", "train"] += b"epoch 2 50%\repoch 2 100%"
    visit.page.wait(lambda: visit.text("#log") == "epoch 1  loss 0.52\nepoch 2 100%")
    visit.stage.logs["r2", "train"] += b"\nepoch 3\n"
    visit.page.wait(lambda: str(visit.text("#log")).endswith("epoch 2 100%\nepoch 3\n"))
    # Training is over, the next step prints: the page goes along.
    record = visit.stage.records["r2"]
    moved = {"train": "ran", "evaluate": "running"}
    steps = tuple(replace(step, state=moved.get(step.name, step.state)) for step in record.steps)
    visit.stage.records["r2"] = replace(record, steps=steps)
    visit.stage.logs["r2", "evaluate"] = b"judging\n"
    visit.page.wait(lambda: visit.text("#output h2") == "Output of evaluate")
    visit.page.wait(lambda: visit.text("#log") == "judging\n")
    steps = tuple(replace(step, state="ran") for step in steps)
    visit.stage.records["r2"] = replace(record, steps=steps, state="done")
    done = replace(
        visit.stage.queue["r2"], state="done", verdict="fail", reason="accuracy is 0.87", ended_at=NOW
    )
    visit.stage.queue["r2"] = done
    visit.page.wait(lambda: "Refused by a gate" in str(visit.text(".verdict")))
    assert visit.text(".sentence") == "accuracy is 0.87"
    assert visit.page.run("document.title").startswith("digits: refused by a gate")


@pytest.mark.slow
def test_the_numbers_of_a_training_are_drawn_anew_while_it_goes_on(visit: Visit) -> None:
    visit.log_in()
    visit.open("/runs/r2")
    assert visit.text("#course h2") is None
    for at in range(4):
        visit.stage.logs["r2", "train"] += f"FIAT_METRIC loss={1 / (at + 1)} step={at}\n".encode()
    visit.page.wait(lambda: visit.text("#course .drawn") == "█▃▁▁")
    assert visit.text("#course .value") == "0.2500"
    assert str(visit.text("#log")).endswith("FIAT_METRIC loss=0.25 step=3\n")


def test_the_list_brings_itself_up_to_date_and_keeps_the_focus(visit: Visit) -> None:
    visit.log_in()
    visit.page.run("document.querySelector('a[href=\"/runs/r3\"]').focus()")
    visit.stage.add("r8", state="waiting", verdict=None, started_at=None, ended_at=None)
    visit.page.wait(lambda: visit.page.run("document.querySelector('a[href=\"/runs/r8\"]') !== null"))
    assert visit.page.run("document.activeElement.getAttribute('href')") == "/runs/r3"


def test_buttons_work_and_lead_to_where_it_goes_on(visit: Visit) -> None:
    visit.log_in()
    visit.open("/runs/r4")
    visit.page.run("document.querySelector('button.approve').click()")
    visit.page.wait(lambda: len(visit.stage.asked) == 1)
    visit.at("/runs/r4")
    visit.open("/runs/r2")
    visit.page.run("document.querySelector('button.cancel').click()")
    visit.page.wait(lambda: len(visit.stage.asked) == 2)
    visit.at("/runs/r2")
    assert [asked[0] for asked in visit.stage.asked] == ["approve", "cancel"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_fit_a_narrow_window_and_have_one_heading_and_names_for_everything(
    visit: Visit, path: str
) -> None:
    visit.log_in()
    visit.open(path)
    for width in (320, 390, 1200):
        visit.page.look(width)
        assert visit.page.run("document.documentElement.scrollWidth") <= width
    assert visit.page.run("document.querySelectorAll('h1').length") == 1
    assert visit.page.run(
        "[...document.querySelectorAll('input:not([type=hidden]), select')].every((x) => x.labels.length)"
    )
    assert visit.page.run("[...document.querySelectorAll('a, button')].every((x) => x.textContent.trim())")
    assert visit.page.run("document.title") != ""


CONTRAST = """
(() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
      .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/^rgba.*, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [one, two] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) faint.push(`${element.tagName} ${element.className} ${element.textContent.trim()} ${ratio}`);
  }
  return faint;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(visit: Visit, dark: bool) -> None:
    visit.log_in()
    for path in ("/runs", "/runs/r1", "/runs/r2", "/runs/r4", "/places", PLACE, "/login"):
        visit.open(path)
        visit.page.look(1200, dark=dark)
        assert visit.page.run(CONTRAST) == [], path

"""A spec that is not to be trusted names files of the machine: sources, templates and digests stay in what is granted."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fiat.builtin.http_client import HttpClient
from fiat.builtin.source_url import UrlSource
from fiat.builtin.step_check import CheckStep
from fiat.builtin.step_data import DataStep
from fiat.builtin.step_package import PackageStep
from fiat.engine.checkout import Checkout
from fiat.engine.decide import Decider
from fiat.errors import SpecError
from fiat.plan.build import Outside, build_plan
from fiat.plan.model import Step
from fiat.ports.confinement import Confinement
from fiat.ports.source import SourceRequest
from fiat.ports.step import StepContext, StepOutcome
from fiat.spec.model import Spec
from fiat.store.store import open_store

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS / "model"))
_PLACE = importlib.util.spec_from_file_location("http_stage", TESTS / "builtin" / "http_stage.py")
assert _PLACE is not None
assert _PLACE.loader is not None
http_stage = importlib.util.module_from_spec(_PLACE)
sys.modules["http_stage"] = http_stage
_PLACE.loader.exec_module(http_stage)
from package_parts import ORIGIN, parts  # noqa: E402

SECRET = "user,password\nroot,toor\nadmin,toor2\n"


class Machine:
    """A checkout as a runner lays it out, a folder that the operator grants, and a secret beside them."""

    def __init__(self, base: Path) -> None:
        self.base, self.root, self.granted = base, base / "checkout", base / "granted"
        for folder in (self.root / "data", self.root / "specs", self.granted, base / "work"):
            folder.mkdir(parents=True)
        (self.root / "data" / "a.csv").write_text("x,y\n1,2\n3,4\n")
        (self.granted / "b.csv").write_text("x,y\n5,6\n")
        self.secret = base / "secret"
        self.secret.mkdir()
        (self.secret / "users.csv").write_text(SECRET)
        (self.secret / "CARD.md").write_text(SECRET)
        self.policy = Confinement(confined=True, data_folders=(str(self.granted),))

    def data(self, source: Mapping[str, object], **facts: object) -> StepOutcome:
        work = self.base / "work"
        target = work / f"dataset{len(list(work.iterdir()))}"
        given = {**self.policy.facts(), **facts}
        params = {"source": source, "split": {"train": 1}}
        context = StepContext("data", params, {}, {"dataset": target}, self.root, work, given)
        return DataStep().run(context)

    def card(self, name: str) -> str:
        folder = self.base / "work"
        if not (folder / "parts").exists():
            parts(folder / "parts")
        inputs = {role: folder / "parts" / role for role in ("onnx", "evaluation")}
        params = {"name": "tiny", "alias": None, "spec": "tiny", "params": {}, "card": name}
        target = folder / f"package{len(list(folder.iterdir()))}"
        facts = {"commit": ORIGIN.commit, **self.policy.facts()}
        context = StepContext("package", params, inputs, {"package": target}, self.root, folder, facts)
        PackageStep().run(context)
        return (target / "MODEL.md").read_text()

    def decide(
        self, source: Mapping[str, object], card: str | None = None, schema: str | None = None
    ) -> dict[str, object]:
        """What the plan's first data step would be digested as."""
        document = {
            "fiat": 1,
            "name": "t",
            "data": {"d": {"source": source, "label": "y", "split": {"train": 8, "test": 2}}},
        }
        if schema:
            document["data"] = {"d": {"source": source, "schema": schema}}
        if card:
            document |= {"train": {"call": "m:train"}, "evaluate": {}, "model": {"card": card}}
            (self.root / "m.py").write_text("def train(): ...\n")
        plan = build_plan(Spec.model_validate(document), Outside(facts=self.policy.facts()))
        with open_store(self.base / "store", now=lambda: datetime.now(UTC), checkout=self.root) as store:
            decider = Decider(
                store, Checkout(self.root), plan, spec_files=(), data=(), state_dir=self.base / "store"
            )
            decider.look_ahead()
            return dict(decider.decide(plan.step("data.d"), {}, {}).parts)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def escapes(machine: Machine) -> Iterator[tuple[str, str]]:
    """Kind of a source and what it says."""
    secret = machine.secret
    yield from [
        ("path", str(secret / "users.csv")),
        ("path", str(secret)),
        ("path", "../secret/users.csv"),
        ("path", "data/../../secret"),
        ("path", f"{machine.granted}/../secret/users.csv"),
        ("path", f"{machine.granted}-not/users.csv"),
        ("path", "/etc/passwd"),
        ("path", "/proc/self/environ"),
        ("path", ".."),
        ("path", "a\0b"),
        ("path", "link.csv"),
        ("path", "folder"),
        ("path", "inner"),
        ("path", "bridge/users.csv"),
        ("path", "bridge/../secret/users.csv"),
        ("glob", str(secret / "*.csv")),
        ("glob", "../secret/*.csv"),
        ("glob", "*/../../secret/*.csv"),
        ("glob", "*.csv"),
        ("glob", "bridge/*.csv"),
        ("glob", "b*/users.csv"),
        ("glob", "/etc/pass*"),
        ("dvc", "link.csv.dvc"),
    ]


def plant_links(machine: Machine) -> None:
    (machine.root / "link.csv").symlink_to(machine.secret / "users.csv")
    (machine.root / "link.csv.dvc").symlink_to(machine.secret / "users.csv")
    (machine.root / "folder").symlink_to(machine.secret)
    (machine.root / "bridge").symlink_to("folder")
    (machine.root / "inner").mkdir()
    (machine.root / "inner" / "users.csv").symlink_to("../link.csv")


@pytest.mark.parametrize("number", range(23))
def test_no_source_reads_what_is_not_granted(machine: Machine, number: int) -> None:
    plant_links(machine)
    listed = list(escapes(machine))
    assert len(listed) == 23
    kind, said = listed[number]
    with pytest.raises(SpecError) as caught:
        machine.data({kind: said})
    assert "toor" not in str(caught.value)
    assert f"source.{kind}" in caught.value.message
    assert (
        "grant" in caught.value.message or "link" in caught.value.message or "is no path" in str(caught.value)
    )
    with pytest.raises(SpecError, match=r"grant|is a link|is no path"):
        machine.decide({kind: said})
    assert not list((machine.base / "work").glob("dataset*"))


SCHEMAS = (
    "../secret/users.csv",
    "/etc/passwd",
    "link.csv",
    "bridge/users.csv",
    "data/../../secret/users.csv",
)


@pytest.mark.parametrize("named", SCHEMAS)
def test_no_schema_is_read_that_is_not_granted(machine: Machine, named: str) -> None:
    """By the step that reads rows, by the one that checks them, and by what digests it before both."""
    plant_links(machine)
    made = machine.base / "work" / "made"
    facts, work = machine.policy.facts(), machine.base / "work"
    params: dict[str, object] = {"source": {"path": "data/a.csv"}}
    DataStep().run(StepContext("data", params, {}, {"dataset": made}, machine.root, work, facts))
    reading = StepContext(
        "data", {**params, "schema": named}, {}, {"dataset": work / "other"}, machine.root, work, facts
    )
    checked = {"profile": work / "profile"}
    checking = StepContext(
        "check", {"name": "d", "schema": named}, {"dataset": made}, checked, machine.root, work, facts
    )
    for run in (
        lambda: DataStep().run(reading),
        lambda: CheckStep().run(checking),
        lambda: machine.decide({"path": "data/a.csv"}, schema=named),
    ):
        with pytest.raises(SpecError, match=r"grant|is a link") as caught:
            run()
        assert "toor" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["../secret/users-{SPAN}.csv", "/etc/{SPAN}", "spans/{SPAN}.csv"])
def test_no_span_is_read_that_is_not_granted(machine: Machine, pattern: str) -> None:
    (machine.secret / "users-7.csv").write_text(SECRET)
    (machine.root / "spans").mkdir()
    (machine.root / "spans" / "7.csv").symlink_to(machine.secret / "users-7.csv")
    work = machine.base / "work"
    params: dict[str, object] = {"span": {"pattern": pattern, "use": "latest"}}
    context = StepContext(
        "data", params, {}, {"dataset": work / "o"}, machine.root, work, machine.policy.facts()
    )
    with pytest.raises(SpecError, match=r"grant|is a link") as caught:
        DataStep().run(context)
    assert "toor" not in str(caught.value)


def test_a_refusal_does_not_tell_what_exists(machine: Machine) -> None:
    said = []
    for name in ("users.csv", "nothing.csv"):
        with pytest.raises(SpecError) as caught:
            machine.data({"path": f"../secret/{name}"})
        said.append(str(caught.value).replace(name, "NAME"))
    assert said[0] == said[1]
    assert "the operator does not grant ../secret/NAME" in said[0]
    assert str(machine.granted) in said[0]


def test_what_is_granted_is_read_as_on_a_desk(machine: Machine) -> None:
    (machine.root / "data" / "again.csv").symlink_to("a.csv")
    for source, rows in (
        ({"path": "data/a.csv"}, 2),
        ({"path": "specs/../data/a.csv"}, 2),
        ({"path": "data"}, 4),
        ({"path": str(machine.granted)}, 1),
        ({"glob": f"{machine.granted}/*.csv"}, 1),
        ({"glob": "specs/../data/*.csv"}, 4),
        ({"glob": "**/a.csv"}, 2),
    ):
        outcome = machine.data(source)
        assert outcome.facts["rows"] == {"train": rows, "eval": 0, "test": 0}, source
        desk = machine.data(source, **Confinement().facts())
        assert desk.facts == outcome.facts
        assert machine.decide(source)["sources"]


def test_a_granted_folder_that_is_too_large_for_a_stranger_is_refused(machine: Machine) -> None:
    with pytest.raises(SpecError, match="more than the 5 allowed"):
        machine.data({"path": str(machine.granted)}, max_bytes=5)


def test_a_pipe_is_no_file_and_nobody_waits_for_it(machine: Machine) -> None:
    os.mkfifo(machine.root / "data" / "pipe.csv")
    os.mkfifo(machine.root / "CARD.md")
    with pytest.raises(SpecError, match=r"there is no data/pipe\.csv"):
        machine.data({"path": "data/pipe.csv"})
    assert machine.data({"path": "data"}).facts["n_files"] == 1
    with pytest.raises(SpecError, match="it is no file"):
        machine.card("CARD.md")


@pytest.mark.parametrize("card", ["../secret/CARD.md", "/etc/passwd", "link.md", "folder/CARD.md"])
def test_the_template_of_the_card_is_a_file_of_the_checkout(machine: Machine, card: str) -> None:
    (machine.root / "link.md").symlink_to(machine.secret / "CARD.md")
    (machine.root / "folder").symlink_to(machine.secret)
    with pytest.raises(SpecError, match=r"model\.card: .*not grant"):
        machine.card(card)
    with pytest.raises(SpecError, match=r"model: .*not grant"):
        machine.decide({"path": "data"}, card=card)
    (machine.root / "CARD.md").write_text("# {{ name }}\n")
    assert machine.card("CARD.md") == "# tiny\n"


def test_a_step_that_lies_about_what_it_read_learns_no_digest(machine: Machine) -> None:
    (machine.root / "bridge").symlink_to(machine.secret)
    names = ["../secret/users.csv", str(machine.secret / "users.csv"), "bridge/users.csv", "data/a.csv"]
    step = Step("train", "call", facts=machine.policy.facts(), key="train")
    plan = build_plan(
        Spec.model_validate({"fiat": 1, "name": "t", "steps": {"a": {"run": "true"}}}), Outside()
    )
    with open_store(machine.base / "store", now=lambda: datetime.now(UTC), checkout=machine.root) as store:
        decider = Decider(
            store, Checkout(machine.root), plan, spec_files=(), data=(), state_dir=machine.base / "store"
        )
        seen = {"read": names, "absent": ["../nothing", "gone"], "listed": ["../secret", "bridge", "data"]}
        assert set(decider.digest_observed(seen, step)) == {"data/a.csv", "gone", "data/"}


# Addresses.


def serve(handler: BaseHTTPRequestHandler) -> None:
    if handler.path.startswith("/to/"):
        handler.send_response(302)
        handler.send_header("Location", f"http://{handler.path.removeprefix('/to/')}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    else:
        http_stage.reply(handler, b"x,y\n1,2\n")


@pytest.mark.parametrize(
    ("url", "granted"),
    [
        ("http://data.example.org/a.csv", True),
        ("http://data.example.org/to/mirror.data.example.org/a.csv", True),
        ("http://other.example.org/a.csv", False),
        ("http://data.example.org/to/other.example.org/a.csv", False),
        ("http://data.example.org.evil.net/a.csv", False),
    ],
)
def test_an_address_outside_the_operators_hosts_is_not_asked(tmp_path: Path, url: str, granted: bool) -> None:
    policy = Confinement(confined=True, data_hosts=("data.example.org", "*.data.example.org"))
    names = ("data.example.org", "mirror.data.example.org", "other.example.org", "data.example.org.evil.net")
    with http_stage.stage(serve) as on:
        on.names = {name: [[http_stage.PUBLIC]] for name in names}
        source = UrlSource(lambda given: HttpClient(given, resolve=on.resolve, connect=on.connect))
        request = SourceRequest({"url": url}, tmp_path, tmp_path, False, 1000, {}, policy)
        if granted:
            assert len(source.fetch(request).files) == 1
            return
        with pytest.raises(SpecError, match=r"does not grant the host (other|data\.example\.org\.evil)"):
            source.fetch(request)
        with pytest.raises(SpecError, match="does not grant the host"):
            source.probe(request)
        assert {name for name in on.resolved if not name.endswith("data.example.org")} == set()


def test_a_proxy_is_no_way_around_the_operators_hosts(tmp_path: Path) -> None:
    with http_stage.stage(serve) as on:
        env = {"HTTP_PROXY": f"http://127.0.0.1:{on.port}"}
        policy = Confinement(confined=True, data_hosts=("data.example.org",))
        settings = {"url": "http://other.example.org/a.csv"}
        with pytest.raises(SpecError, match=r"does not grant the host other\.example\.org"):
            UrlSource().fetch(SourceRequest(settings, tmp_path, tmp_path, False, 1000, env, policy))
        assert on.requests == []

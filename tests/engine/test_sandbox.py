"""What the operator's policy and the spec's wish become, and outputs that lead out of where they belong."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.sandbox import Places, SandboxPolicy, digests_of, shut_off, stray_output
from fiat.plan.model import Limits, Step
from fiat.store.store import Store, open_store


@pytest.fixture
def places(tmp_path: Path) -> Places:
    root = tmp_path / "checkout"
    work = root / ".fiat/work/run/a.1"
    (work / "out").mkdir(parents=True)
    return Places(open_store(root / ".fiat", now=lambda: datetime.now(UTC)), root, work)


def step(sandbox: str = "auto", *, network: bool = False) -> Step:
    return Step("a", "run", network=network, limits=Limits(sandbox=sandbox))  # type: ignore[arg-type]  # given by tables


@pytest.mark.parametrize(
    ("asked", "operator", "kind"),
    [
        ("auto", None, None),
        ("none", None, None),
        ("bubblewrap", None, "bubblewrap"),
        ("auto", "bubblewrap", "bubblewrap"),
        ("none", "bubblewrap", "bubblewrap"),
        ("bubblewrap", "bubblewrap", "bubblewrap"),
        ("auto", "none", "none"),
        ("none", "none", "none"),
        ("bubblewrap", "none", "bubblewrap"),
    ],
)
def test_a_spec_can_ask_for_more_of_a_sandbox_and_never_for_less(
    places: Places, asked: str, operator: str | None, kind: str | None
) -> None:
    policy = None if operator is None else SandboxPolicy(kind=operator)  # type: ignore[arg-type]  # given by the table
    found = shut_off(step(asked), places, policy)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("granted", [False, True])
def test_the_network_is_shared_when_it_is_asked_for_and_granted(
    places: Places, asked: bool, granted: bool
) -> None:
    found = shut_off(step(network=asked), places, SandboxPolicy(network=granted))
    assert found is not None
    assert found.network == (asked and granted)
    assert bool(found.notes) == (asked and not granted)
    desk = shut_off(step("bubblewrap", network=asked), places, None)
    assert desk is not None
    assert desk.network == asked


def test_the_checkout_and_the_inputs_can_be_read_and_the_store_can_t(places: Places) -> None:
    policy = SandboxPolicy(
        processes=7, memory_bytes=1, disk_bytes=2, log_bytes=3, read_only=(Path("/opt/cuda"),)
    )
    found = shut_off(step(), places, policy)
    assert found is not None
    assert found.read_only == (places.root, Path("/opt/cuda"))
    assert found.inputs == (places.work / "in",)
    assert found.writable == (places.work, places.work / "out")
    assert set(found.hidden) == {places.root / ".git", places.root / ".fiat"}
    limits = (found.processes, found.memory_bytes, found.disk_bytes, found.file_bytes, found.log_bytes)
    assert limits == (7, 1, 2, 2, 3)
    unshut = shut_off(step(), places, replace(policy, kind="none"))
    assert unshut is not None
    assert (unshut.kind, unshut.processes, unshut.disk_bytes) == ("none", 7, 2)


class TestStrayOutputs:
    @pytest.fixture
    def out(self, places: Places) -> Path:
        return places.work / "out"

    def test_files_folders_and_links_among_themselves_are_fine(self, places: Places, out: Path) -> None:
        (out / "o" / "deep").mkdir(parents=True)
        (out / "o" / "deep" / "file").write_text("x")
        (out / "o" / "link").symlink_to("deep/file")
        (out / "o" / "folder").symlink_to("deep")
        (out / "p").write_text("x")
        assert stray_output({"o": out / "o", "p": out / "p"}, places.work, frozenset()) == ""

    @pytest.mark.parametrize(
        "target", ["/etc/passwd", "../../../../../../secret", "../p", "/nowhere", "loop"]
    )
    def test_a_link_that_leads_out_is_named(self, places: Places, out: Path, target: str) -> None:
        (out / "p").write_text("x")
        (out / "o").mkdir()
        (out / "o" / "loop").symlink_to(target)
        assert stray_output({"p": out / "p", "o": out / "o"}, places.work, frozenset()) == "o"
        (out / "l").symlink_to(target)
        assert stray_output({"l": out / "l"}, places.work, frozenset()) == "l"

    def test_a_folder_of_outputs_that_was_exchanged_for_a_link_is_noticed(
        self, places: Places, out: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "o").write_text("x")
        out.rmdir()
        out.symlink_to(tmp_path / "elsewhere")
        assert stray_output({"o": out / "o"}, places.work, frozenset()) == "o"

    def test_what_is_nested_beyond_a_path_is_not_followed(self, places: Places, out: Path) -> None:
        code = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)"
        (out / "o").mkdir()
        subprocess.run([sys.executable, "-c", code, str(out / "o")], check=True)
        assert stray_output({"o": out / "o"}, places.work, frozenset()) == "o"

    def test_inputs_may_be_handed_on_as_links_to_their_objects(self, places: Places, out: Path) -> None:
        store: Store = places.store
        source = places.work / "in"
        (source / "folder").mkdir(parents=True)
        (source / "folder" / "large").write_bytes(b"x" * (2 << 20))
        (source / "other").write_bytes(b"y" * (2 << 20))
        given = store.artifacts.put(source / "folder", move=False)
        other = store.artifacts.put(source / "other", move=False)
        file = store.artifacts.files(given.digest)[0]
        (out / "o").mkdir()
        (out / "o" / "handed on").symlink_to(store.artifacts.object_path(file.digest))
        inputs = digests_of(store, {"a": given.digest})
        assert inputs == {file.digest}
        assert stray_output({"o": out / "o"}, places.work, inputs) == ""
        (out / "o" / "not given").symlink_to(store.artifacts.object_path(other.digest))
        assert stray_output({"o": out / "o"}, places.work, inputs) == "o"


def test_a_store_in_the_checkout_is_hidden_under_both_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with open_store(tmp_path / "real/state", now=lambda: datetime.now(UTC)) as store:
        places = Places(store, tmp_path / "link", tmp_path / "real/state/work/run/a.1")
        found = shut_off(step(), places, SandboxPolicy())
    assert found is not None
    assert {tmp_path / "link/state", tmp_path / "real/state"} <= set(found.hidden)

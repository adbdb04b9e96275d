import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.deploy_directory import DirectoryTarget
from fiat.errors import EnvironmentFault, SpecError, Stalled
from fiat.model.package import damaged_files, write_package
from fiat.ports.deploy import DeployRequest
from fiat.testing.deploy_suite import DeploySuite, Read
from fiat.testing.sample_packages import digest_of

sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
import onnx_graphs as graphs
from package_parts import ORIGIN, parts

TARGET = DirectoryTarget()
PATIENCE_S = 0.05
FILES = {"model.onnx", "signature.json", "metrics.json", "requirements.txt", "MODEL.md", "manifest.json"}


def package(folder: Path, factor: float) -> Path:
    target = folder / f"package{factor:g}"
    write_package(target, parts(folder / f"parts{factor:g}", graph=graphs.scaling(factor)), ORIGIN)
    return target


def request(
    root: Path, source: Path, digest: str, path: str = "models", model: str = "tiny"
) -> DeployRequest:
    return DeployRequest("shelf", {"to": "directory", "path": path, "model": model}, source, digest, root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return folder


@pytest.fixture
def one(root: Path, tmp_path: Path) -> DeployRequest:
    source = package(tmp_path, 1)
    return request(root, source, digest_of(source))


@pytest.fixture
def two(root: Path, tmp_path: Path) -> DeployRequest:
    source = package(tmp_path, 2)
    return request(root, source, digest_of(source))


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> DirectoryTarget:
        return DirectoryTarget(lock_wait_s=PATIENCE_S)

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {"to": "directory", "path": "models"}

    @pytest.fixture
    def read_back(self) -> Read:
        def read(request: DeployRequest) -> Mapping[str, bytes] | None:
            folder = request.root / "models" / "tiny"
            return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None

        return read


def same(folder: Path, source: Path) -> bool:
    return {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_looking_at_a_place_without_a_model_makes_nothing(root: Path, one: DeployRequest) -> None:
    assert TARGET.observe(one) is None
    assert not list(root.iterdir())


def test_a_model_is_there_whole_and_known_by_its_digest(root: Path, one: DeployRequest) -> None:
    TARGET.apply(one)
    assert TARGET.observe(one) == one.digest
    assert {path.name for path in (root / "models" / "tiny").iterdir()} == FILES
    assert same(root / "models" / "tiny", one.package)
    assert all(path.stat().st_nlink == 1 for path in (root / "models" / "tiny").iterdir())


def test_applying_again_changes_nothing(root: Path, one: DeployRequest) -> None:
    TARGET.apply(one)
    before = os.lstat(root / "models" / "tiny").st_mtime_ns, sorted((root / "models").rglob("*"))
    TARGET.apply(one)
    assert before == (os.lstat(root / "models" / "tiny").st_mtime_ns, sorted((root / "models").rglob("*")))


def test_another_model_takes_its_place_and_the_one_before_stays_readable(
    root: Path, one: DeployRequest, two: DeployRequest, tmp_path: Path
) -> None:
    TARGET.apply(one)
    before = (root / "models" / "tiny").resolve()
    TARGET.apply(two)
    assert TARGET.observe(two) == two.digest
    assert same(root / "models" / "tiny", two.package)
    assert same(before, one.package)
    source = package(tmp_path, 3)
    three = request(root, source, digest_of(source))
    TARGET.apply(three)
    assert not before.exists()
    assert len([path for path in (root / "models" / ".tiny").iterdir() if path.is_dir()]) == 2


def test_going_back_is_applying_the_earlier_one(root: Path, one: DeployRequest, two: DeployRequest) -> None:
    for item in (one, two, one):
        TARGET.apply(item)
    assert TARGET.observe(one) == one.digest
    assert same(root / "models" / "tiny", one.package)


def test_models_of_several_names_stand_side_by_side(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    other = request(root, two.package, two.digest, model="other")
    TARGET.apply(one)
    TARGET.apply(other)
    assert (TARGET.observe(one), TARGET.observe(other)) == (one.digest, two.digest)


@pytest.mark.parametrize("harm", ["delete", "cut"])
def test_a_model_that_was_harmed_is_not_seen_and_is_made_again(
    root: Path, one: DeployRequest, harm: str
) -> None:
    TARGET.apply(one)
    path = root / "models" / "tiny" / "model.onnx"
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:10])
    assert TARGET.observe(one) is None
    TARGET.apply(one)
    assert TARGET.observe(one) == one.digest
    assert same(root / "models" / "tiny", one.package)


def test_a_file_that_was_changed_is_seen_by_its_state_and_mended_by_the_same_deploy(
    root: Path, one: DeployRequest
) -> None:
    TARGET.apply(one)
    path = root / "models" / "tiny" / "MODEL.md"
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content.replace(b"e", b"o"))  # of the same size, so a quick look does not see it
    assert TARGET.observe(one) == one.digest
    state = TARGET.state(one)
    assert (state.phase, state.faults) == ("broken", ("MODEL.md is gone or was changed",))
    TARGET.apply(one)
    assert path.read_bytes() == content
    assert TARGET.state(one).phase == "serving"


def test_what_somebody_else_put_there_is_told(root: Path, one: DeployRequest) -> None:
    (root / "models" / "tiny").mkdir(parents=True)
    state = TARGET.state(one)
    assert state.phase == "broken"
    assert "not what a deploy put there" in state.faults[0]


@pytest.mark.parametrize("path", ["..", "../elsewhere", "models/../../elsewhere", "link/inside"])
def test_a_path_that_leaves_the_checkout_is_refused(root: Path, one: DeployRequest, path: str) -> None:
    (root / "link").symlink_to(root.parent)
    with pytest.raises(SpecError, match=r"deploy\.shelf\.path leaves the checkout"):
        TARGET.apply(request(root, one.package, one.digest, path))


def test_an_absolute_path_may_lead_anywhere(root: Path, one: DeployRequest, tmp_path: Path) -> None:
    away = request(root, one.package, one.digest, str(tmp_path / "away"))
    TARGET.apply(away)
    assert TARGET.observe(away) == one.digest
    assert (tmp_path / "away" / "tiny" / "model.onnx").is_file()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b"])
def test_a_name_that_is_no_folder_name_is_refused(root: Path, one: DeployRequest, name: str) -> None:
    with pytest.raises(SpecError, match="can't be the name of a folder"):
        TARGET.apply(request(root, one.package, one.digest, model=name))


def test_what_somebody_else_put_there_is_left_alone(root: Path, one: DeployRequest) -> None:
    (root / "models" / "tiny").mkdir(parents=True)
    (root / "models" / "tiny" / "thesis.txt").write_text("years of work")
    with pytest.raises(SpecError, match="was not put there by a deploy"):
        TARGET.apply(one)
    assert (root / "models" / "tiny" / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_an_environment_fault(root: Path, one: DeployRequest) -> None:
    (root / "models").write_text("a file")
    with pytest.raises(EnvironmentFault, match="the model can't be put at"):
        TARGET.apply(one)


def test_a_full_disk_leaves_the_earlier_model_and_no_rest(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    TARGET.apply(one)
    code = (
        "import resource, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from fiat.builtin.deploy_directory import DirectoryTarget\n"
        "from fiat.errors import EnvironmentFault\n"
        "from fiat.ports.deploy import DeployRequest\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "settings = {'to': 'directory', 'path': 'models', 'model': 'tiny'}\n"
        "request = DeployRequest('shelf', settings, Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))\n"
        "try: DirectoryTarget().apply(request)\n"
        "except EnvironmentFault as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, "", str(two.package), two.digest, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "File too large (the model that was there before is untouched)" in done.stdout, done.stderr
    assert TARGET.observe(one) == one.digest
    assert damaged_files(root / "models" / "tiny") == []
    assert [path.name for path in (root / "models" / ".tiny").iterdir() if path.is_dir()] == [one.digest]


def test_a_damaged_package_is_not_deployed(root: Path, one: DeployRequest, two: DeployRequest) -> None:
    TARGET.apply(one)
    content = bytearray((two.package / "model.onnx").read_bytes())
    content[30] ^= 1
    (two.package / "model.onnx").write_bytes(content)
    with pytest.raises(EnvironmentFault, match=r"the package is damaged: model\.onnx"):
        TARGET.apply(two)
    assert TARGET.observe(one) == one.digest


def test_readers_see_a_whole_model_while_others_take_its_place(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    TARGET.apply(one)
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            folder = (root / "models" / "tiny").resolve()
            seen.extend(damaged_files(folder) or ["whole"])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(15):
        TARGET.apply(two)
        TARGET.apply(one)
    stop.set()
    reader.join()
    assert set(seen) == {"whole"}


def test_two_deploys_at_once_end_with_one_of_their_models_whole(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    threads = [threading.Thread(target=TARGET.apply, args=(item,)) for item in (one, two) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = TARGET.observe(one)
    assert found in (one.digest, two.digest)
    assert same(root / "models" / "tiny", one.package if found == one.digest else two.package)


DEPLOY = """
import sys
from pathlib import Path
from fiat.builtin.deploy_directory import DirectoryTarget
from fiat.ports.deploy import DeployRequest
root = Path(sys.argv[1])
settings = {"to": "directory", "path": "models", "model": "tiny"}
print("on", flush=True)
while True:
    for package, digest in ((sys.argv[2], sys.argv[3]), (sys.argv[4], sys.argv[5])):
        DirectoryTarget().apply(DeployRequest("shelf", settings, Path(package), digest, root))
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_old_or_the_new_model_is_there_whole(
    root: Path, one: DeployRequest, two: DeployRequest, tmp_path: Path
) -> None:
    TARGET.apply(one)
    code = tmp_path / "deploy.py"
    code.write_text(DEPLOY)
    for round_ in range(12):
        packages = [str(one.package), one.digest, str(two.package), two.digest]
        command = [sys.executable, str(code), str(root), *packages]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        threading.Event().wait(0.011 * round_)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert TARGET.observe(one) in (one.digest, two.digest)
        assert damaged_files(root / "models" / "tiny") == []
    TARGET.apply(two)
    TARGET.apply(one)
    names = {path.name.partition("+")[0] for path in (root / "models" / ".tiny").iterdir() if path.is_dir()}
    assert names == {one.digest, two.digest}


def test_a_root_that_is_a_link_is_no_way_out_and_no_hindrance(tmp_path: Path, one: DeployRequest) -> None:
    link = tmp_path / "link"
    link.symlink_to(one.root)
    through = request(link, one.package, one.digest)
    TARGET.apply(through)
    assert TARGET.observe(one) == one.digest
    shutil.rmtree(one.root / "models")
    assert TARGET.observe(through) is None


# A stranger's spec.


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../elsewhere",
        "models/../../elsewhere",
        "link/inside",
        "/tmp",
        "{root}/models",
        ".hidden",
        "a/.b",
    ],
)
def test_a_confined_path_stays_below_the_targets_folder(root: Path, one: DeployRequest, path: str) -> None:
    (root / "link").symlink_to(root.parent)
    named = path.replace("{root}", str(root))
    confined = replace(request(root, one.package, one.digest, named), confined=True, generation=1)
    before = sorted(root.parent.rglob("*"))
    for attempt in (TARGET.apply, TARGET.observe):
        with pytest.raises(SpecError, match=r"deploy\.shelf\.path") as caught:
            attempt(confined)
        assert str(root.parent) not in caught.value.message.replace(named, "")
    assert sorted(root.parent.rglob("*")) == before


def test_a_confined_path_below_it_is_used(root: Path, one: DeployRequest) -> None:
    (root / "inner").mkdir()
    (root / "link").symlink_to("inner")
    for path in ("models", "./a/b", "link"):
        confined = replace(request(root, one.package, one.digest, path), confined=True, generation=1)
        TARGET.apply(confined)
        assert TARGET.observe(confined) == one.digest
    assert (root / "inner" / "tiny" / "model.onnx").is_file()


def test_a_package_that_was_changed_together_with_its_manifest_is_not_deployed(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    """Whoever can write to the store can write a fitting manifest too; the digest was judged."""
    TARGET.apply(one)
    swapped = request(
        root, two.package, one.digest.replace(one.digest[0], "f" if one.digest[0] != "f" else "0")
    )
    with pytest.raises(EnvironmentFault, match="not the one that was judged"):
        TARGET.apply(swapped)
    assert same(root / "models" / "tiny", one.package)
    assert [path.name for path in (root / "models" / ".tiny").iterdir() if path.is_dir()] == [one.digest]


def test_a_note_of_the_newest_deploy_that_can_not_be_read_stops_every_numbered_one(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    TARGET.apply(replace(one, generation=3))
    (root / "models" / ".tiny" / "generation").write_bytes(b"\xff garbage")
    with pytest.raises(EnvironmentFault, match="does not say which deploy was the newest"):
        TARGET.apply(replace(two, generation=4))
    assert TARGET.observe(one) == one.digest


def test_a_refused_number_says_where_the_newest_one_is_written(
    root: Path, one: DeployRequest, two: DeployRequest
) -> None:
    TARGET.apply(replace(one, generation=3))
    with pytest.raises(Stalled, match="took generation 3 already") as refused:
        TARGET.apply(replace(two, generation=2))
    assert str(root / "models" / ".tiny" / "generation") in refused.value.hint

import json
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.deploy_image import ImageTarget
from fiat.builtin.oci_layout import blob_path, read_image
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.testing.deploy_suite import DeploySuite, Read
from fiat.testing.sample_packages import SamplePackage, make_package

sys.path.insert(0, str(Path(__file__).parent))
from registry_stage import PASSWORD, USER, Buildah, call, need_root, program, registry

TARGET = ImageTarget()
PATIENCE_S = 0.05
STAND_IN = b'#!/bin/sh\necho "$@" > /asked\n'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def files_in(layout: Path) -> Mapping[str, bytes]:
    """The files of the model layer, the uppermost one."""
    blob = read_image(layout).layers[-1]
    with tarfile.open(blob_path(layout, blob.digest), "r:") as tar:
        return {
            Path(item.name).name: tar.extractfile(item).read()  # type: ignore[union-attr]
            for item in tar
            if item.isreg()
        }


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> ImageTarget:
        return ImageTarget(lock_wait_s=PATIENCE_S)

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {"to": "image", "tag": "tiny:1", "containerfile": True}

    @pytest.fixture
    def stride(self) -> int:
        return 5

    @pytest.fixture
    def read_back(self) -> Read:
        def read(request: DeployRequest) -> Mapping[str, bytes] | None:
            folder = request.root / "images" / "tiny"
            return files_in(folder) if folder.exists() else None

        return read


class TestConformanceOfPushing(DeploySuite):
    """The registry may have the new image while the folder still has the old one; never the other way round."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[str]:
        with registry(tmp_path / "registry") as host:
            yield host

    @pytest.fixture
    def target(self) -> ImageTarget:
        return ImageTarget(lock_wait_s=PATIENCE_S)

    @pytest.fixture
    def settings(self, place: str) -> Mapping[str, object]:
        return {"to": "image", "tag": "tiny:1", "push": f"{place}/team/tiny"}

    @pytest.fixture
    def stride(self) -> int:
        return 13

    @pytest.fixture
    def ask(
        self, packages: list[SamplePackage], settings: Mapping[str, object], root: Path
    ) -> Callable[..., DeployRequest]:
        def make(number: int, generation: int = 0) -> DeployRequest:
            chosen, said = packages[number - 1], {**settings, "model": "tiny"}
            return DeployRequest(
                "shelf", said, chosen.folder, chosen.digest, root, generation, allow_private_hosts=True
            )

        return make

    def check_whole(self, target: DeployTarget, request: DeployRequest, read_back: Read | None) -> None:
        super().check_whole(target, request, lambda asked: files_in(asked.root / "images" / "tiny"))


@pytest.fixture
def packages(tmp_path: Path) -> list[SamplePackage]:
    return [make_package(tmp_path / "packages", number) for number in (1, 2)]


Ask = Callable[..., DeployRequest]


@pytest.fixture
def ask(tmp_path: Path, packages: list[SamplePackage]) -> Ask:
    root = tmp_path / "root"
    root.mkdir()

    def make(number: int = 1, **settings: object) -> DeployRequest:
        chosen = packages[number - 1]
        said = {"to": "image", "tag": "tiny:1.2", "model": "tiny", **settings}
        return DeployRequest("shelf", said, chosen.folder, chosen.digest, root, allow_private_hosts=True)

    return make


def layout_of(request: DeployRequest) -> Path:
    return request.root / "images" / "tiny"


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    need_root()
    program("buildah")
    found = Buildah(tmp_path / "containers")
    yield found
    found.end()


# What is in it.


def test_the_same_package_makes_the_same_bytes_again(ask: Ask, tmp_path: Path) -> None:
    request = ask()
    TARGET.apply(request)
    other = replace(request, root=tmp_path / "elsewhere", commit=COMMIT, generation=7)
    other.root.mkdir()
    TARGET.apply(other)
    assert tree(layout_of(request)) == tree(layout_of(other))
    with tarfile.open(
        blob_path(layout_of(request), read_image(layout_of(request)).layers[0].digest), "r:"
    ) as tar:
        entries = tar.getmembers()
    assert [item.name for item in entries] == ["models", *sorted(item.name for item in entries[1:])]
    assert {(item.mtime, item.uid, item.gid, item.uname) for item in entries} == {(0, 0, 0, "")}


def test_skopeo_buildah_and_umoci_read_what_was_packed(ask: Ask, tmp_path: Path) -> None:
    request = ask()
    TARGET.apply(request)
    layout, manifest = layout_of(request), read_image(layout_of(request)).manifest.digest
    told = json.loads(call("skopeo", "inspect", f"oci:{layout}:1.2"))
    assert told["Digest"] == manifest
    assert told["Labels"]["fiat.package.digest"] == request.digest
    assert told["Labels"]["org.opencontainers.image.title"] == "tiny"
    call(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        f"oci:{layout}:1.2",
        f"dir:{tmp_path / 'copied'}",
    )
    call("umoci", "unpack", "--rootless", "--image", f"{layout}:1.2", tmp_path / "bundle")
    assert content(tmp_path / "bundle" / "rootfs" / "models") == content(request.package)


def test_buildah_takes_it_and_mounts_the_models_files(ask: Ask, tmp_path: Path, buildah: Buildah) -> None:
    request = ask()
    TARGET.apply(request)
    name = buildah("from", f"oci:{layout_of(request)}:1.2").strip()
    assert content(Path(buildah("mount", name).strip()) / "models") == content(request.package)


def test_the_commit_of_the_package_is_told_and_that_of_the_deploy_is_in_the_tag(
    ask: Ask, packages: list[SamplePackage]
) -> None:
    request = replace(ask(tag="team/tiny:{commit}"), commit=COMMIT)
    TARGET.apply(request)
    assert read_image(layout_of(request)).ref == COMMIT
    index = json.loads((layout_of(request) / "index.json").read_bytes())
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == f"team/tiny:{COMMIT}"


def test_another_tag_is_another_wish_and_the_image_stays_the_same(ask: Ask) -> None:
    TARGET.apply(ask())
    before = read_image(layout_of(ask())).manifest
    assert TARGET.observe(ask(tag="tiny:1.3")) is None
    TARGET.apply(ask(tag="tiny:1.3"))
    assert TARGET.observe(ask(tag="tiny:1.3")) == ask().digest
    assert read_image(layout_of(ask())).manifest == before


@pytest.mark.parametrize(
    "tag", ["Tiny:1", "tiny:", "tiny:a b", "tiny:1/", "", "../tiny:1", "tiny:" + "x" * 129]
)
def test_a_tag_that_is_none_is_refused(ask: Ask, tag: str) -> None:
    with pytest.raises(SpecError, match=r"deploy\.shelf\.tag"):
        TARGET.apply(ask(tag=tag))


@pytest.mark.parametrize("harm", ["cut", "flip", "delete"])
def test_a_harmed_image_is_told_and_made_again(ask: Ask, harm: str) -> None:
    request = ask()
    TARGET.apply(request)
    path = blob_path(layout_of(request), read_image(layout_of(request)).layers[0].digest)
    good = path.read_bytes()
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(good[:-1] if harm == "cut" else good[:-1] + bytes([good[-1] ^ 1]))
    state = TARGET.state(request)
    assert (state.phase, bool(state.faults)) == ("broken", True)
    if harm != "flip":
        assert TARGET.observe(request) is None
        TARGET.apply(request)
        assert TARGET.state(request).phase == "serving"
        assert files_in(layout_of(request)) == content(request.package)


def test_its_state_tells_size_and_place(ask: Ask) -> None:
    request = ask()
    assert TARGET.state(request).phase == "absent"
    TARGET.apply(request)
    state = TARGET.state(request)
    assert (state.phase, state.digest, state.faults) == ("serving", request.digest, ())
    assert read_image(layout_of(request)).manifest.digest[:19] in state.sentence


# On a base.


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A layout that umoci made: one layer, an entrypoint, variables."""
    layout, bundle = tmp_path / "root" / "base", tmp_path / "unpacked"
    call("umoci", "init", "--layout", layout)
    call("umoci", "new", "--image", f"{layout}:plain")
    call("umoci", "unpack", "--rootless", "--image", f"{layout}:plain", bundle)
    (bundle / "rootfs" / "etc").mkdir()
    (bundle / "rootfs" / "etc" / "greeting").write_text("hello")
    call("umoci", "repack", "--image", f"{layout}:plain", bundle)
    call(
        "umoci", "config", "--image", f"{layout}:plain", "--config.entrypoint", "/bin/serve", "--config.env", "A=b",
        "--config.label", "who=me",
    )  # fmt: skip
    call("umoci", "gc", "--layout", layout)
    return layout


@pytest.mark.parametrize("form", ["folder", "folder:tag", "archive"])
def test_a_base_keeps_its_layers_and_configuration(ask: Ask, base: Path, tmp_path: Path, form: str) -> None:
    said = {"folder": "base", "folder:tag": "base:plain", "archive": "base.tar"}[form]
    if form == "archive":
        call("skopeo", "--insecure-policy", "copy", f"oci:{base}:plain", f"oci-archive:{base}.tar:plain")
    request = ask(base=said)
    TARGET.apply(request)
    layout = layout_of(request)
    config = json.loads(call("skopeo", "inspect", "--config", f"oci:{layout}:1.2"))
    assert config["config"]["Entrypoint"] == ["/bin/serve"]
    assert "A=b" in config["config"]["Env"]
    assert config["config"]["Labels"]["who"] == "me"
    assert config["config"]["Labels"]["fiat.package.digest"] == request.digest
    assert len(config["rootfs"]["diff_ids"]) == 2
    call("umoci", "unpack", "--rootless", "--image", f"{layout}:1.2", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "etc" / "greeting").read_text() == "hello"
    assert content(root / "models") == content(request.package)


def test_a_base_that_changed_makes_another_image(ask: Ask, base: Path) -> None:
    request = ask(base="base")
    TARGET.apply(request)
    assert TARGET.observe(request) == request.digest
    call("umoci", "config", "--image", f"{base}:plain", "--config.env", "A=c")
    assert TARGET.observe(request) is None
    TARGET.apply(request)
    assert "A=c" in call("skopeo", "inspect", "--config", f"oci:{layout_of(request)}:1.2")


def test_a_damaged_base_is_refused_and_the_old_image_stays(ask: Ask, base: Path) -> None:
    TARGET.apply(ask())
    layer = max((base / "blobs" / "sha256").iterdir(), key=lambda path: path.read_bytes()[:2] == b"\x1f\x8b")
    layer.write_bytes(layer.read_bytes()[:-1] + b"x")
    with pytest.raises(EnvironmentFault, match="is not what its digest says"):
        TARGET.apply(ask(base="base"))
    assert TARGET.observe(ask()) == ask().digest


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a picture"])
def test_a_base_that_is_no_image_is_a_fault_of_the_spec(ask: Ask, what: str) -> None:
    place = ask().root / "base"
    if what == "an empty folder":
        place.mkdir()
    elif what == "a picture":
        place.write_bytes(b"\x89PNG" * 400)
    with pytest.raises(SpecError, match="base") as refused:
        TARGET.apply(ask(base="base"))
    assert "skopeo copy" in refused.value.hint


def test_a_base_whose_files_lead_elsewhere_is_refused(ask: Ask, base: Path, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes((base / "index.json").read_bytes())
    (base / "index.json").unlink()
    (base / "index.json").symlink_to(tmp_path / "index.json")
    with pytest.raises(SpecError, match="no plain file"):
        TARGET.apply(ask(base="base"))


def test_a_confined_base_stays_below_the_targets_folder(ask: Ask, base: Path) -> None:
    for said in ("../base", str(base), "base/../../base"):
        with pytest.raises(SpecError, match=r"deploy\.shelf\.base"):
            TARGET.apply(replace(ask(base=said), confined=True, generation=1))


# In a registry.


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path / "registry") as host:
        yield host


def test_what_is_pushed_has_the_same_digest_there_and_comes_back_whole(
    ask: Ask, place: str, tmp_path: Path
) -> None:
    request = ask(push=f"{place}/team/tiny")
    TARGET.apply(request)
    digest = read_image(layout_of(request)).manifest.digest
    there = f"docker://{place}/team/tiny:1.2"
    assert json.loads(call("skopeo", "inspect", "--tls-verify=false", there))["Digest"] == digest
    back = tmp_path / "back"
    call(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        there,
        f"oci:{back}:1.2",
    )
    assert files_in(back) == content(request.package)
    assert TARGET.state(request).phase == "serving"
    assert f"pushed to {place}/team/tiny:1.2" in TARGET.state(request).sentence


def test_a_tag_that_somebody_else_moved_is_told_and_mended(ask: Ask, place: str) -> None:
    one, two = ask(push=f"{place}/team/tiny"), ask(2, push=f"{place}/team/tiny", path="other")
    TARGET.apply(one)
    TARGET.apply(two)
    state = TARGET.state(one)
    assert state.phase == "broken"
    assert "team/tiny:1.2 has sha256:" in state.faults[0]
    TARGET.apply(one)
    assert TARGET.state(one).phase == "serving"


def test_a_registry_that_is_away_leaves_the_old_image(ask: Ask, tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as place:
        one = ask(push=f"{place}/team/tiny")
        TARGET.apply(one)
    with pytest.raises(EnvironmentFault, match="is not reached"):
        TARGET.apply(ask(2, push=f"{place}/team/tiny"))
    assert TARGET.observe(one) == one.digest
    assert files_in(layout_of(one)) == content(one.package)
    assert "it is not known" in TARGET.state(one).faults[0]


def test_private_addresses_and_foreign_hosts_are_not_pushed_to(ask: Ask, place: str) -> None:
    request = ask(push=f"{place}/team/tiny")
    with pytest.raises(SpecError, match="not a public address"):
        TARGET.apply(replace(request, allow_private_hosts=False))
    confined = replace(request, confined=True, generation=1)
    for hosts in ((), ("registry.example.org",)):
        with pytest.raises(SpecError, match="does not grant the registry"):
            TARGET.apply(replace(confined, hosts=hosts))
    TARGET.apply(replace(confined, hosts=("127.0.0.1",)))
    assert "1.2" in call("skopeo", "list-tags", "--tls-verify=false", f"docker://{place}/team/tiny")


def test_a_login_is_used_and_without_one_it_is_told_how_to_get_it(ask: Ask, tmp_path: Path) -> None:
    with registry(tmp_path / "registry", login=True) as place:
        request = ask(push=f"{place}/team/tiny")
        with pytest.raises(EnvironmentFault, match="wants a credential") as refused:
            TARGET.apply(request)
        assert "podman login" in refused.value.hint
        file = tmp_path / "auth.json"
        call("skopeo", "login", "--tls-verify=false", "--authfile", file, "-u", USER, "-p", PASSWORD, place)
        TARGET.apply(replace(request, env={"REGISTRY_AUTH_FILE": str(file)}))
        wrong = tmp_path / "wrong.json"
        wrong.write_text(json.dumps({"auths": {place: {"username": USER, "password": "guess"}}}))
        other = replace(ask(2, push=f"{place}/team/tiny"), env={"REGISTRY_AUTH_FILE": str(wrong)})
        with pytest.raises(EnvironmentFault, match="answers 401") as refused:
            TARGET.apply(other)
    assert "guess" not in str(refused.value)
    assert TARGET.observe(request) == request.digest


# A Containerfile.


def test_the_containerfile_builds_a_server_of_the_model(ask: Ask, tmp_path: Path, buildah: Buildah) -> None:
    """With a base whose `pip` only writes down what it was asked: no registry of packages is asked here."""
    request = ask(containerfile=True)
    TARGET.apply(request)
    layout = layout_of(request)
    stand_in = buildah.base({"bin/sh": Path(program("busybox")).read_bytes(), "bin/pip": STAND_IN})
    buildah(
        "build", "--isolation", "chroot", "--build-arg", f"PYTHON={stand_in}",
        "-t", "served", layout,
    )  # fmt: skip
    told = json.loads(buildah("inspect", "--type", "image", "served"))["OCIv1"]["config"]
    assert told["Cmd"][:3] == ["fiat", "serve", "/models/tiny"]
    assert told["User"] == "65534:65534"
    name = buildah("from", "localhost/served").strip()
    root = Path(buildah("mount", name).strip())
    assert content(root / "models" / "tiny") == content(request.package)
    assert (root / "asked").read_text().startswith("install --no-cache-dir fiat-ml==")

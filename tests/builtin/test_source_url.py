"""Source `url`: several files, archives, caps over all of them."""

import hashlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fiat.builtin.source_url import UrlSource
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest
from fiat.testing.source_suite import SourceSuite

_SPEC = importlib.util.spec_from_file_location("http_stage", Path(__file__).parent / "http_stage.py")
assert _SPEC is not None
assert _SPEC.loader is not None
http_stage = importlib.util.module_from_spec(_SPEC)
sys.modules["http_stage"] = http_stage
_SPEC.loader.exec_module(http_stage)
reply, stage = http_stage.reply, http_stage.stage


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


FILES = {
    "/a.csv": b"x\n1\n",
    "/sub/b.csv": b"x\n2\n",
    "/more/a.csv": b"x\n3\n",
    "/all.zip": packed({"data/c": b"c", "d": b"dd", "__MACOSX/junk": b"j"}),
}


def serve(handler: BaseHTTPRequestHandler) -> None:
    body = FILES.get(handler.path.partition("?")[0])
    reply(handler, body or b"", 200 if body else 404)


def fetch(folder: Path, settings: Mapping[str, object], max_bytes: int = 10_000) -> Fetched:
    return UrlSource().fetch(SourceRequest(settings, folder, folder, True, max_bytes, {}))


def test_one_address_gives_one_file_named_like_it(tmp_path: Path) -> None:
    with stage(serve) as on:
        fetched = fetch(tmp_path, {"url": f"http://127.0.0.1:{on.port}/a.csv?version=3"})
    assert fetched.files == (tmp_path / "a.csv",)
    assert fetched.digest == hashlib.sha256(FILES["/a.csv"]).hexdigest()


def digest_of(path: str) -> str:
    return hashlib.sha256(FILES[path]).hexdigest()


def test_a_folder_gives_the_files_that_have_a_digest(tmp_path: Path) -> None:
    with stage(serve) as on:
        digests = {"sub/b.csv": digest_of("/sub/b.csv"), "a.csv": digest_of("/a.csv")}
        fetched = fetch(tmp_path, {"url": f"http://127.0.0.1:{on.port}/", "sha256": digests})
        assert [file.name for file in fetched.files] == ["a.csv", "b.csv"]
        (tmp_path / "again").mkdir()
        twice = {"a.csv": digest_of("/a.csv"), "more/a.csv": digest_of("/more/a.csv")}
        with pytest.raises(SpecError, match=r"two files would be named a\.csv"):
            fetch(tmp_path / "again", {"url": f"http://127.0.0.1:{on.port}/", "sha256": twice})


def test_an_archive_is_unpacked_and_its_content_takes_its_place(tmp_path: Path) -> None:
    with stage(serve) as on:
        fetched = fetch(tmp_path, {"url": f"http://127.0.0.1:{on.port}/all.zip"})
    assert {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in fetched.files} == {
        "all.d/d": b"dd",
        "all.d/data/c": b"c",
    }
    assert fetched.digest == hashlib.sha256(FILES["/all.zip"]).hexdigest()
    assert not (tmp_path / "all.zip").exists()


def test_the_cap_counts_all_files_together(tmp_path: Path) -> None:
    with stage(serve) as on:
        digests = {name.strip("/"): digest_of(name) for name in ("/a.csv", "/sub/b.csv")}
        with pytest.raises(SpecError, match="more than the 3 bytes allowed"):
            fetch(tmp_path, {"url": f"http://127.0.0.1:{on.port}/", "sha256": digests}, max_bytes=7)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": None},
        {"url": 7},
        {"url": "http://a.example/x", "sha256": "abc"},
        {"url": "http://a.example/"},
        {"url": "http://a.example/", "sha256": {}},
        {"url": "http://a.example/x", "sha256": {"f": "0" * 64}},
    ],
)
def test_what_is_no_address_or_no_digest_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"source\.(url|sha256)"):
        fetch(tmp_path, settings)


def test_a_name_from_the_address_never_leaves_the_folder(tmp_path: Path) -> None:
    with stage(lambda handler: reply(handler, b"x\n1\n")) as on:
        folder = tmp_path / "inner"
        folder.mkdir()
        for index, path in enumerate(("/..%2f..%2fevil.csv", "/.hidden", "/?", "/a%00b%0Ac")):
            own = folder / str(index)
            own.mkdir()
            fetched = fetch(own, {"url": f"http://127.0.0.1:{on.port}{path}"})
            assert fetched.files[0].parent == own
            assert fetched.files[0].name.replace("_", "").replace(".", "").isalnum()
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


class TestConformance(SourceSuite):
    """Another name of this machine is not granted, although private hosts are."""

    @pytest.fixture
    def files(self) -> dict[str, bytes]:
        return dict(FILES)

    @pytest.fixture
    def place(self, files: dict[str, bytes]) -> Iterator[str]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            body = files.get(handler.path)
            reply(handler, body or b"", 200 if body else 404)

        with stage(answer) as on:
            yield f"{on.port}"

    @pytest.fixture
    def source(self) -> UrlSource:
        return UrlSource()

    @pytest.fixture
    def settings(self, place: str) -> dict[str, object]:  # type: ignore[override]
        return {"url": f"http://127.0.0.1:{place}/a.csv"}

    @pytest.fixture
    def outside(self, place: str) -> list[dict[str, object]]:  # type: ignore[override]
        return [{"url": f"http://localhost:{place}/a.csv"}, {"url": f"http://127.0.0.2:{place}/a.csv"}]

    @pytest.fixture
    def missing(self, place: str) -> dict[str, object]:  # type: ignore[override]
        return {"url": f"http://127.0.0.1:{place}/nowhere.csv"}

    @pytest.fixture
    def grants(self) -> Confinement:  # type: ignore[override]
        return Confinement(confined=True, data_hosts=("127.0.0.1",))

    @pytest.fixture
    def private(self) -> bool:
        return True

    @pytest.fixture
    def change(self, files: dict[str, bytes]) -> Callable[[], object]:  # type: ignore[override]
        return lambda: files.update({"/a.csv": b"x\n9\n"})

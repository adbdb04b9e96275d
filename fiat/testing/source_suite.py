"""What every source of data must do: derive a test class from `SourceSuite` and give it fixtures.

    class TestMine(SourceSuite):
        @pytest.fixture
        def source(self):
            return MySource()

        @pytest.fixture
        def settings(self, root):
            return {"mine": "somewhere"}          # more than one byte of data must be there

        @pytest.fixture
        def outside(self, root):
            return [{"mine": "/etc"}]             # what a stranger's spec must not get

        @pytest.fixture
        def missing(self):
            return {"mine": "nowhere"}

`root` is the checkout; put data there, or serve it. `grants` is what the operator grants beside it. `change` changes what
lies behind `settings`, where that can happen without a commit; `private` says that the source is served on this machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.errors import FiatError, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, Source, SourceRequest

Settings = Mapping[str, object]
MOST_BYTES = 1 << 20


class SourceSuite:
    """What a source must do, for the user at a desk and for a stranger's spec."""

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError("give the source that is tested")

    @pytest.fixture
    def settings(self, root: Path) -> Settings:
        raise NotImplementedError("give settings of something that is there")

    @pytest.fixture
    def outside(self, root: Path) -> Sequence[Settings]:
        raise NotImplementedError("give settings of what is not granted")

    @pytest.fixture
    def missing(self) -> Settings:
        raise NotImplementedError("give settings of something that is not there")

    @pytest.fixture
    def grants(self, root: Path) -> Confinement:
        return Confinement(confined=True)

    @pytest.fixture
    def change(self) -> Callable[[], object] | None:
        return None

    @pytest.fixture
    def private(self) -> bool:
        return False

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "checkout"
        folder.mkdir()
        return folder

    @pytest.fixture
    def ask(self, root: Path, tmp_path: Path, private: bool) -> Callable[..., SourceRequest]:
        """Makes requests, each with an empty folder of its own."""
        made: list[Path] = []

        def make(settings: Settings, policy: Confinement | None = None) -> SourceRequest:
            folder = tmp_path / f"fetched{len(made)}"
            folder.mkdir()
            made.append(folder)
            return SourceRequest(settings, root, folder, private, MOST_BYTES, {}, policy or Confinement())

        return make

    def test_it_says_who_it_is(self, source: Source) -> None:
        assert source.name
        assert source.version

    def test_it_gives_files_in_a_stable_order_with_a_digest_of_their_content(
        self, source: Source, settings: Settings, ask: Callable[..., SourceRequest]
    ) -> None:
        first, second = (source.fetch(ask(settings)) for _ in range(2))
        assert first.files
        assert all(path.is_absolute() and path.is_file() for path in first.files)
        assert _contents(first) == _contents(second)
        assert first.digest == second.digest != ""

    def test_what_is_granted_to_a_stranger_is_the_same(
        self, source: Source, settings: Settings, grants: Confinement, ask: Callable[..., SourceRequest]
    ) -> None:
        desk, confined = source.fetch(ask(settings)), source.fetch(ask(settings, grants))
        assert (_contents(confined), confined.digest) == (_contents(desk), desk.digest)

    def test_what_is_not_granted_is_refused_by_fetch_and_probe(
        self,
        source: Source,
        outside: Sequence[Settings],
        grants: Confinement,
        ask: Callable[..., SourceRequest],
    ) -> None:
        assert outside
        for settings in outside:
            request = ask(settings, grants)
            with pytest.raises(SpecError):
                source.fetch(request)
            assert not [path for path in request.folder.rglob("*") if path.is_file()], settings
            assert _probe_or_refusal(source, ask(settings, grants)) in ("", None), settings

    def test_what_is_not_there_is_a_fault_of_the_spec(
        self, source: Source, missing: Settings, ask: Callable[..., SourceRequest]
    ) -> None:
        with pytest.raises(SpecError):
            source.fetch(ask(missing))

    def test_a_stranger_gets_no_more_bytes_than_allowed(
        self, source: Source, settings: Settings, grants: Confinement, ask: Callable[..., SourceRequest]
    ) -> None:
        with pytest.raises(SpecError):
            source.fetch(replace(ask(settings, grants), max_bytes=1))

    def test_a_probe_says_the_same_until_something_changes(
        self,
        source: Source,
        settings: Settings,
        grants: Confinement,
        change: Callable[[], object] | None,
        ask: Callable[..., SourceRequest],
    ) -> None:
        said = [source.probe(ask(settings, grants)) for _ in range(2)]
        assert said[0] == said[1]
        if change is not None:
            before = source.fetch(ask(settings, grants)).digest
            change()
            assert source.fetch(ask(settings, grants)).digest != before
            assert source.probe(ask(settings, grants)) not in ("", said[0])


def _contents(fetched: Fetched) -> list[bytes]:
    return [path.read_bytes() for path in fetched.files]


def _probe_or_refusal(source: Source, request: SourceRequest) -> str | None:
    try:
        return source.probe(request)
    except FiatError:
        return None

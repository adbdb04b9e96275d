"""What every deploy target must do: derive a test class from `DeploySuite` and give it two fixtures.

    class TestMine(DeploySuite):
        @pytest.fixture
        def target(self):
            return MyTarget()

        @pytest.fixture
        def settings(self):
            return {"path": "models"}

`settings` are what a spec says under `deploy.<target>`. Give `read_back` too when what is on the target can be read: it
returns the files that users of the model see, name to content, or None when there is no model.
The fault tests fork, so the target must not hold threads or connections before it is used.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault, Stalled, Waiting
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.testing.moments import killed_at, stood_still_at
from fiat.testing.sample_packages import SamplePackage, make_package

Read = Callable[[DeployRequest], Mapping[str, bytes] | None]
MOST_MOMENTS = 2000


class DeploySuite:
    """What a target must do, also when its process is killed or stood still in the middle."""

    @pytest.fixture
    def target(self) -> DeployTarget:
        raise NotImplementedError("give the target that is tested")

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        raise NotImplementedError("give what a spec says of the target")

    @pytest.fixture
    def read_back(self) -> Read | None:
        return None

    @pytest.fixture
    def stride(self) -> int:
        """Every so many moments one is tried; raise it for a target that takes seconds."""
        return 1

    @pytest.fixture
    def packages(self, tmp_path: Path) -> list[SamplePackage]:
        return [make_package(tmp_path / "packages", number) for number in (1, 2, 3)]

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "root"
        folder.mkdir()
        return folder

    @pytest.fixture
    def ask(
        self, packages: list[SamplePackage], settings: Mapping[str, object], root: Path
    ) -> Callable[..., DeployRequest]:
        """Makes requests: package 1, 2 or 3 at a generation."""

        def make(number: int, generation: int = 0) -> DeployRequest:
            chosen = packages[number - 1]
            given = {**settings, "model": "tiny"}
            return DeployRequest("shelf", given, chosen.folder, chosen.digest, root, generation)

        return make

    def check_whole(self, target: DeployTarget, request: DeployRequest, read_back: Read | None) -> None:
        """The package of the request is there, all of it."""
        assert target.observe(request) == request.digest
        if read_back is not None:
            expected = {path.name: path.read_bytes() for path in request.package.iterdir()}
            assert read_back(request) == expected

    def test_it_says_who_it_is(self, target: DeployTarget) -> None:
        assert target.name
        assert target.version

    def test_where_nothing_is_nothing_is_seen(
        self, target: DeployTarget, ask: Callable[..., DeployRequest]
    ) -> None:
        assert target.observe(ask(1)) is None

    def test_a_package_is_put_there_whole_and_again_changes_nothing(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        for _ in range(2):
            target.apply(ask(1, 1))
            self.check_whole(target, ask(1), read_back)

    def test_its_state_says_what_is_there(
        self, target: DeployTarget, ask: Callable[..., DeployRequest]
    ) -> None:
        before = target.state(ask(1))
        assert (before.phase, before.digest, before.faults) == ("absent", None, ())
        target.apply(ask(1, 1))
        after = target.state(ask(1))
        assert (after.phase, after.digest, after.faults) == ("serving", ask(1).digest, ())
        assert after.sentence

    def test_another_takes_its_place_and_the_way_back_is_the_same(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        for generation, number in enumerate((1, 2, 1, 3, 1), start=1):
            target.apply(ask(number, generation))
            self.check_whole(target, ask(number), read_back)

    def test_a_lower_generation_is_refused_and_changes_nothing(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        target.apply(ask(1, 4))
        for number, generation in ((2, 3), (2, 1), (1, 3)):
            with pytest.raises(Stalled):
                target.apply(ask(number, generation))
            self.check_whole(target, ask(1), read_back)

    def test_one_generation_means_one_package(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        target.apply(ask(1, 2))
        with pytest.raises(Stalled):
            target.apply(ask(2, 2))
        self.check_whole(target, ask(1), read_back)

    def test_a_generation_counts_although_its_package_was_there_already(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        target.apply(ask(1, 1))
        target.apply(ask(1, 3))
        with pytest.raises(Stalled):
            target.apply(ask(2, 2))
        self.check_whole(target, ask(1), read_back)

    def test_what_is_done_by_hand_is_done_and_leaves_the_generation(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        target.apply(ask(1, 5))
        target.apply(ask(2))
        self.check_whole(target, ask(2), read_back)
        with pytest.raises(Stalled):
            target.apply(ask(3, 4))
        target.apply(ask(1, 5))
        self.check_whole(target, ask(1), read_back)

    def test_a_package_that_is_not_what_its_digest_says_is_refused(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None
    ) -> None:
        target.apply(ask(1, 1))
        path = ask(2).package / "model.onnx"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
        with pytest.raises(EnvironmentFault):
            target.apply(ask(2, 2))
        self.check_whole(target, ask(1), read_back)

    @pytest.mark.slow
    def test_killed_at_any_moment_the_old_or_the_new_is_there_and_the_next_try_ends_well(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None, stride: int
    ) -> None:
        generation = 0
        for moment in range(1, MOST_MOMENTS, stride):
            generation += 3
            # The one before the last is gone from most targets, so that the new one must be copied again.
            target.apply(ask(3, generation - 2))
            target.apply(ask(1, generation - 1))
            request = ask(2, generation)
            ending = killed_at(lambda wanted=request: target.apply(wanted), moment)  # type: ignore[misc]
            found = target.observe(request)
            assert found in (ask(1).digest, request.digest), f"killed at step {moment}"
            self.check_whole(target, ask(1) if found == ask(1).digest else request, read_back)
            with pytest.raises(Stalled):
                target.apply(ask(3, generation - 2))
            target.apply(request)
            self.check_whole(target, request, read_back)
            if ending == "done":
                assert moment > 1
                return
            assert ending == "killed"
        raise AssertionError(f"more than {MOST_MOMENTS} steps")

    @pytest.mark.slow
    def test_stood_still_at_any_moment_it_never_puts_an_older_model_back(
        self, target: DeployTarget, ask: Callable[..., DeployRequest], read_back: Read | None, stride: int
    ) -> None:
        generation = 1
        target.apply(ask(1, generation))
        for moment in range(1, MOST_MOMENTS, stride):
            late, newest = ask(2, generation + 1), ask(3, generation + 2)
            standing = stood_still_at(lambda wanted=late: target.apply(wanted), moment)  # type: ignore[misc]
            over = standing.ending is not None
            try:
                target.apply(newest)
                done = True
            except Waiting:
                done = False
            ending = standing.go_on()
            assert ending in (("done", "stalled") if done else ("done",)), f"stood still at step {moment}"
            if not done:
                target.apply(newest)
            self.check_whole(target, newest, read_back)
            generation += 3
            target.apply(ask(1, generation))
            if over:
                assert moment > 1
                return
        raise AssertionError(f"more than {MOST_MOMENTS} steps")

"""Whatever happens while a manifest is looked at, the next look follows it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import Service

from fiat.serving.fleet import Fleet
from fiat.serving.follow import Follower
from fiat.serving.release import ReleaseManifest, ServerLimits
from fiat.testing.sample_packages import make_package


def fleet() -> Fleet:
    return Fleet(ServerLimits(), threads=1, check=lambda *_: None)


def test_a_disk_that_refuses_once_does_not_end_the_following(tmp_path: Path) -> None:
    service = Service(tmp_path / "service")
    service.write(("1", service.add(make_package(tmp_path, 2)), 100))
    tries = []

    def placed(_: ReleaseManifest, __: Path) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")

    async def work() -> bool:
        models = fleet()
        following = asyncio.create_task(Follower(models, service.manifest, placed, lambda: None).run())
        async with asyncio.timeout(20):
            while not models.is_ready:
                await asyncio.sleep(0.05)
        following.cancel()
        await models.close()
        return len(tries) == 2

    assert asyncio.run(work())


def test_two_who_look_at_once_load_a_version_once(tmp_path: Path) -> None:
    service = Service(tmp_path / "service")
    one, two = (service.add(make_package(tmp_path, number)) for number in (2, 3))
    service.write(("1", one, 100))
    loaded: list[str] = []

    async def work() -> Any:
        models = Fleet(
            ServerLimits(),
            threads=1,
            check=lambda *_: None,
            on_ready=lambda version: loaded.append(version.version.digest),
        )
        follower = Follower(models, service.manifest, lambda *_: None, lambda: None)
        first = asyncio.create_task(follower.look())
        await asyncio.sleep(0)
        service.write(("1", one, 90), ("2", two, 10))
        await asyncio.gather(first, follower.look())
        served = models.models["tiny"].served
        await models.close()
        return served

    served = asyncio.run(work())
    assert (sorted(served.versions), served.serial) == (["1", "2"], 2)
    assert sorted(loaded) == sorted([one, two])

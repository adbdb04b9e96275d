"""Ray Train as several workers need it, whatever its version."""

import sys
from pathlib import Path
from threading import Event

import pytest
from ray.train.v2._internal.execution.worker_group import WorkerGroup

from fiat.builtin.ray_gang import run_gang
from fiat.builtin.ray_trainer import unknown_names
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, Resources


def test_this_version_of_ray_has_all_that_several_workers_need() -> None:
    assert unknown_names() == []


@pytest.mark.parametrize("lacks", ["a module", "a method"])
def test_a_version_of_ray_that_lacks_it_is_told_with_the_versions_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    if lacks == "a module":
        monkeypatch.setitem(sys.modules, "fiat.builtin.ray_train", None)
    else:
        monkeypatch.delattr(WorkerGroup, "_get_worker_runtime_env")
    job = Job("r.train.1", "train", Resources(workers=2), tmp_path / "log", tmp_path)
    with pytest.raises(EnvironmentFault, match="does not know: it lacks") as caught:
        run_gang(job, (), gpus=None, cancelled=Event())
    assert "pip install 'ray>=2.52.0,<=2.60.0'" in caught.value.hint

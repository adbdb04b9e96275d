import os
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.compute_machine import (
    check_needs,
    count_cpus,
    list_gpus,
    memory_total_bytes,
    scrubbed,
    visible_gpus,
)
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity, Resources
from fiat.testing.compute_jobs import NO_GPU

THERE = Capacity(cpus=4, gpus=2, memory_bytes=8 << 30, name="this machine")


def test_only_the_harmless_part_of_an_environment_is_let_through() -> None:
    env = {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "GITHUB_TOKEN": "x",
        "PYTHONPATH": "/tmp",
        "LD_PRELOAD": "x.so",
        "CUDA_VISIBLE_DEVICES": "3",
    }
    assert scrubbed(env) == {"PATH": "/bin", "LC_ALL": "C.UTF-8"}
    assert scrubbed(env, devices=True)["CUDA_VISIBLE_DEVICES"] == "3"


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        ("", ()),
        ("-1", ()),
        ("none", ()),
        ("0", ("0",)),
        ("2, 3", ("2", "3")),
        ("GPU-8f,1", ("GPU-8f", "1")),
        ("MIG-c6d4-a,MIG-GPU-b8ea/1/0", ("MIG-c6d4-a", "MIG-GPU-b8ea/1/0")),
        ("2,-1,3", ("2",)),
        ("2,NoDevFiles", ("2",)),
        ("2,,3", ("2",)),
    ],
)
def test_gpus_are_those_that_the_environment_shows(visible: str, gpus: tuple[str, ...]) -> None:
    assert list_gpus({"CUDA_VISIBLE_DEVICES": visible}) == gpus
    assert list_gpus({"HIP_VISIBLE_DEVICES": visible}) == gpus


def test_without_a_setting_the_driver_is_asked(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho 'GPU 1: B (UUID: GPU-2)'\n")
    program.chmod(0o755)
    assert list_gpus({"PATH": str(tmp_path)}) == ("0", "1")
    # Source: NVIDIA Multi-Instance GPU User Guide; what nvidia-smi says of a GPU that fell off the bus.
    (tmp_path / "said").write_text(
        "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)\n"
        "  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)\n"
        "  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)\n"
        "Unable to determine the device handle for gpu 0000:41:00.0: Unknown Error\n"
        "GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-8f932f93-d33d-2b2c-524d-9e3d8d2b8a77)\n"
    )
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/said\nexit 15\n")
    instances = ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb")
    assert list_gpus({"PATH": str(tmp_path)}) == (*instances, "2")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert list_gpus({"PATH": str(tmp_path)}) == ()
    assert list_gpus({"PATH": str(tmp_path / "none")}) == ()


def test_the_machine_has_what_the_kernel_says() -> None:
    assert 0 < count_cpus() <= len(os.sched_getaffinity(0))
    assert 64 << 20 < memory_total_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (Resources(cpus=5), "5 CPUs (there are 4)"),
        (Resources(gpus=3), "3 GPUs (there are 2)"),
        (Resources(memory_bytes=9 << 30), "9 GiB of memory (there are 8 GiB)"),
        (Resources(cpus=5, gpus=3), "5 CPUs (there are 4) and 3 GPUs (there are 2)"),
        (Resources(gpus=1.5), "1.5 GPUs"),
        (Resources(cpus=2, workers=3), "6 CPUs (there are 4) for its 3 workers"),
        (Resources(cpus=0, gpus=1, workers=3), "3 GPUs (there are 2) for its 3 workers"),
        (Resources(cpus=0, gpus=0.25, workers=3), "3 GPUs (there are 2) for its 3 workers"),
        (Resources(cpus=0, memory_bytes=5 << 30, workers=2), "10 GiB of memory (there are 8 GiB)"),
    ],
)
def test_what_could_never_run_is_refused_by_name(need: Resources, words: str) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        check_needs([Resources(), need], THERE)
    assert words in caught.value.message


def test_where_no_gpu_is_seen_the_next_step_is_to_look_at_them() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        check_needs([Resources(cpus=1, gpus=1)], replace(THERE, gpus=0))
    assert "asks for 1 GPU (there are 0)" in caught.value.message
    assert "`fiat gpus`" in caught.value.hint


def test_what_fits_exactly_is_allowed() -> None:
    check_needs([Resources(cpus=4, gpus=2, memory_bytes=8 << 30), Resources(cpus=0, gpus=0.5)], THERE)
    check_needs([Resources(cpus=2, gpus=1, memory_bytes=4 << 30, workers=2)], THERE)


def test_without_gpus_every_way_to_see_one_is_shut() -> None:
    assert visible_gpus(()) == NO_GPU
    assert visible_gpus(("1", "2")) == {
        "CUDA_VISIBLE_DEVICES": "1,2",
        "HIP_VISIBLE_DEVICES": "1,2",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }

from fiat.builtin.view_gpus import GpuRow, GpuShare, GpuSight, GpuWish, gpus_sheet
from fiat.builtin.view_sheet import plain_text

GIB = 2**30
RUN = "20261126-061547-8c1d2f"


def shown(sight: GpuSight) -> list[str]:
    return plain_text(gpus_sheet(sight)).splitlines()


def test_each_gpu_has_a_row_and_each_further_step_on_it_one_more() -> None:
    gpus = (
        GpuRow(
            "0", "GPU-a", "H100", int(63.2 * GIB), 80 * GIB, 0.97, (GpuShare(RUN, "train", 1.0, 4521, 7),)
        ),
        GpuRow(
            "1",
            "GPU-b",
            "H100",
            3 * GIB,
            80 * GIB,
            0.12,
            (GpuShare(RUN, "tune", 0.25, 312, 7), GpuShare(RUN, "tune", 1 / 3, 12, 7)),
        ),
        GpuRow("2", "GPU-c", "H100", 0, 80 * GIB, 0.0),
    )
    wishes = (GpuWish(RUN, "train", 4, 1.0, 10, 33, 7), GpuWish(RUN, "score", 1, 0.5, 0, 3.2, 8))
    assert shown(GpuSight(gpus, wishes)) == [
        "GPU  NAME                MEMORY  LOAD  SHARE  RUN                     STEP      SINCE",
        "0    H100  63.2 GiB of 80.0 GiB  97 %  100 %  20261126-061547-8c1d2f  train  1 h 15 m",
        "1    H100   3.0 GiB of 80.0 GiB  12 %   25 %  20261126-061547-8c1d2f  tune   5 m 12 s",
        "                                        33 %  20261126-061547-8c1d2f  tune       12 s",
        "2    H100       0 B of 80.0 GiB   0 %   free",
        "",
        "WAITS  FOR      RUN                     STEP   PRIORITY  SINCE",
        "    1  4 GPUs   20261126-061547-8c1d2f  train        10   33 s",
        "    2  0.5 GPU  20261126-061547-8c1d2f  score         0  3.2 s",
    ]


def test_a_gpu_that_others_fill_is_not_called_free() -> None:
    (_, row, _) = shown(GpuSight((GpuRow("0", "GPU-a", "H100", 40 * GIB, 80 * GIB, 1.0),), ()))
    assert row.endswith("others")


def test_without_a_driver_the_ledger_is_still_shown() -> None:
    lines = shown(
        GpuSight((GpuRow("0", "0", held=(GpuShare(RUN, "train", 1.0, 1, 2),)),), (), "no driver; do this")
    )
    assert lines[0] == "no driver; do this"
    assert lines[-1].split() == ["0", "100", "%", RUN, "train", "1.0", "s"]


def test_a_machine_on_which_nothing_happens_says_so() -> None:
    assert shown(GpuSight((), (), "")) == ["no step of this user has a GPU or waits for one"]


def test_a_gang_of_fractions_is_told_as_such() -> None:
    assert "0.5 of each of 2 GPUs" in shown(GpuSight((), (GpuWish(RUN, "train", 2, 0.5, 0, 1, 7),)))[1]


def test_a_step_with_a_hostile_name_stays_on_its_line() -> None:
    share = GpuShare("r", "a\x1b[31m\nb", 1.0, 1, 2)
    lines = shown(GpuSight((GpuRow("0", "0", held=(share,)),), ()))
    assert len(lines) == 2
    assert "\x1b" not in lines[1]

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import step

from fiat.builtin.report_progress import MOST_COURSES, MOST_METRICS, MOST_NAMES, Progress, StepProgress
from fiat.builtin.report_study import MOST_TRIALS, StudyProgress
from fiat.builtin.study_line import TrialLine
from fiat.plan.model import Plan, Step


def told(*lines: str) -> StepProgress:
    """A running step that printed these."""
    progress = Progress(lambda: 0.0)
    known = progress.step(step("train", "running"))
    for line in lines:
        progress.line("train", line)
    return known


def test_numbers_stay_in_their_place_however_often_they_move() -> None:
    known = told("FIAT_METRIC loss=2 step=1", "FIAT_METRIC accuracy=0.5 step=1", "FIAT_METRIC loss=1 step=2")
    assert known.numbers() == "loss=1 accuracy=0.5000"
    assert [name for name, _ in known.drawn()] == ["loss"]


def test_of_many_numbers_the_first_are_said_and_stay_in_their_place() -> None:
    names = [f"m{k}" for k in range(50)]
    known = told(*(f"FIAT_METRIC {name}=0 step=0" for name in names))
    for at in range(1, 4):
        for name in names:  # whatever of them has come so far when somebody looks
            known.take(name, at, at)
            assert [name for name, _ in known.drawn()] in ([], names[: len(known.drawn())])
            assert [word.partition("=")[0] for word in known.numbers().split()][:6] == names[:6]
    assert known.numbers() == "m0=3 m1=3 m2=3 m3=3 m4=3 m5=3 and 44 more"
    assert len(known.drawn()) == MOST_METRICS
    assert known.standing(drawn=True) == ["step 3", "44 more metrics"]


def test_metrics_of_an_earlier_phase_make_room_for_those_that_move() -> None:
    lines = [f"FIAT_METRIC early{k}=1 step=1" for k in range(6)]
    lines += [f"FIAT_METRIC late{k}={at} step={at}" for at in range(600) for k in range(2)]
    assert told(*lines).numbers() == "early0=1 early1=1 early2=1 early3=1 late0=599 late1=599 and 2 more"


def test_what_a_step_came_to_are_its_final_values_first() -> None:
    lines = [f"FIAT_METRIC m{k}={at} step={at}" for at in range(2) for k in range(20)]
    known = told(*lines, "FIAT_METRIC accuracy=0.9", "FIAT_METRIC samples_per_s=1234")
    assert known.outcome() == ["accuracy=0.9000 m0=1 m1=1 m2=1 m3=1 m4=1 and 15 more", "1,234 samples/s"]


def test_names_without_end_take_no_memory_without_end() -> None:
    known = told(*(f"FIAT_METRIC m{k}=1 step=1" for k in range(3 * MOST_NAMES)))
    assert len(known.courses) == MOST_COURSES
    assert len(known.metrics) == len(known.moved) == MOST_NAMES


def test_trials_without_end_take_no_memory_without_end() -> None:
    study = StudyProgress(9)
    for number in range(MOST_TRIALS + 9):
        study.take(TrialLine(number, 9, "done"))
    assert len(study.states) == MOST_TRIALS


def test_what_the_machine_does_is_no_number_of_the_model() -> None:
    known = told("FIAT_METRIC samples_per_s=99.5 step=1", "FIAT_METRIC gpu_load_ratio=0.5 step=1")
    assert known.numbers() == ""
    assert known.drawn() == []
    assert known.pace() == ["99.50 samples/s", "GPU 50 %"]


def test_what_was_measured_in_the_end_counts_more_than_what_was_seen_meanwhile() -> None:
    known = told("FIAT_USAGE gpu_memory_bytes=1073741824 gpu_load_ratio=0.1")
    known.result = replace(step("train"), resources={"gpu_memory_bytes": 2 << 30, "gpu_load_ratio": 0.9})
    assert known.pace() == ["GPU 2.0 GiB 90 %"]


def test_another_attempt_begins_with_nothing() -> None:
    progress = Progress(lambda: 0.0)
    progress.step(step("train", "running"))
    progress.line("train", "FIAT_METRIC loss=2 step=1")
    progress.line("train", "[fiat] goes on from checkpoint 3")
    known = progress.step(replace(step("train", "running"), attempt=2))
    assert known.numbers() == ""
    assert known.resumed == ""
    assert known.courses == {}


def test_a_search_says_how_many_trials_there_will_be_before_the_first_has_ended() -> None:
    progress = Progress(lambda: 0.0)
    progress.plan(Plan("t", ".", "", (Step("tune", "call", params={"study": {"trials": 12}}),)))
    known = progress.step(step("tune", "running"))
    assert known.standing() == ["0 of 12 trials"]
    progress.line("tune", "FIAT_TRIAL number=1 of=9 state=done value=0.5 best=0.5")
    assert known.standing() == ["1 of 9 trials, best 0.5000 (trial 1)"]


def test_the_same_trial_told_twice_counts_once() -> None:
    line = "FIAT_TRIAL number=1 of=3 state=failed"
    known = told(line, line, "FIAT_TRIAL number=2 of=3 state=stopped value=0.5 best=nan")
    assert known.study is not None
    assert known.study.words() == "2 of 3 trials, 1 failed, 1 stopped early"

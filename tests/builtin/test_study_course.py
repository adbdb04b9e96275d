"""The course of a study, without Ray: what is told of trials, and what an attempt finds of the one before."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.study_course import Course
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Ledger, Trial
from fiat.builtin.study_log import mark_beginning
from fiat.ports.compute import Job

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import Stage

SPACE = {"x": {"choice": [1, 2, 3, 4, 5, 6]}}


class Hand:
    """Begins and ends trials as Tune would.

    Attributes:
        now: the clock, in seconds.
        wall: seconds since 1970: later than any file is from.
    """

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self.now = 0.0
        self.wall = 1e10

    def job(self, **study: Any) -> Job:
        return self.stage.job("", SPACE, **{"sampler": "grid", "trials": 3, **study})

    def course(self, job: Job | None = None) -> Course:
        return Course(job or self.job(), lambda: self.now, lambda: self.wall)


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path)


def report(state: str = "done", values: Any = ((None, 0.5),), **more: Any) -> dict[str, Any]:
    said = {"seconds": 1.5, "observed": {}, "resumed": "", "peak_memory_bytes": 10, "gpus": [], "usage": {}}
    return {**said, "state": state, "reason": "", "mend": "", "values": values, "metrics": ["score"], **more}


def begin(course: Course) -> Trial:
    trial = course.next()
    assert trial is not None
    return trial


def test_there_are_as_many_trials_as_asked(hand: Hand) -> None:
    course = hand.course()
    numbers = [begin(course).number for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert course.next() is None
    assert not course.has_more()


def test_a_trial_is_remembered_when_it_begins_and_when_it_ends(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    assert [one.state for one in hand.stage.trials()] == ["running"]
    course.end(trial.digest, report(values=((1, 0.25), (2, 0.5)), observed={"read": ["m.py"]}))
    (kept,) = hand.stage.trials()
    assert kept == replace(
        trial, state="done", values=((1, 0.25), (2, 0.5)), seconds=1.5, observed={"read": ["m.py"]}
    )


def test_values_of_a_running_trial_are_written_down_once_a_second(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    seen = []
    for step, now in enumerate((0.2, 0.9, 1.1, 1.5, 2.2)):
        hand.now = now
        course.take(trial.digest, {"values": [(step, 0.1 * step)]})
        seen.append(len(hand.stage.trials()[0].values))
    assert seen == [0, 0, 3, 3, 5]


def test_the_next_attempt_begins_with_what_did_not_end_and_repeats_nothing(hand: Hand) -> None:
    first = hand.course()
    done, cut = begin(first), begin(first)
    first.end(done.digest, report())
    first.take(cut.digest, {"values": [(1, 0.1)]})
    second = hand.course()
    assert second.n_earlier == 1
    assert [begin(second).params for _ in range(2)] == [cut.params, {"x": 3}]
    assert second.next() is None


def test_more_trials_run_only_the_missing_ones_and_fewer_run_none(hand: Hand) -> None:
    first = hand.course()
    for _ in range(3):
        first.end(begin(first).digest, report())
    more = hand.course(hand.job(trials=5))
    assert [begin(more).number for _ in range(2)] == [4, 5]
    assert more.next() is None
    assert hand.course(hand.job(trials=2)).next() is None


def test_a_search_that_has_no_more_combinations_ends(hand: Hand) -> None:
    course = hand.course(hand.job(trials=50, sampler="random"))
    for _ in range(6):
        course.end(begin(course).digest, report())
    assert course.next() is None
    assert course.n_all == 6


def test_a_trial_that_fails_says_why_and_counts(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    (hand.stage.folder / "ledger" / f"{trial.digest}.log").write_text("one\ntwo\nValueError: no\n")
    course.end(trial.digest, report("failed", (), reason="exit code 1"))
    assert hand.stage.trials()[0].reason == "exit code 1"
    log = hand.stage.log()
    assert "trial 1 failed (exit code 1); x=1\n" in log
    assert "  trial 1 | ValueError: no\n" in log
    assert "FIAT_TRIAL number=1 of=3 state=failed value=nan best=nan\n" in log
    good = begin(course)
    course.end(good.digest, report(values=((None, 0.75),)))
    assert "FIAT_TRIAL number=2 of=3 state=done value=0.75 best=0.75\n" in hand.stage.log()
    assert hand.course().n_earlier == 2


def test_trials_that_all_failed_run_again(hand: Hand) -> None:
    course = hand.course()
    for _ in range(3):
        course.end(begin(course).digest, report("failed", (), reason="exit code 1"))
    again = hand.course()
    assert again.n_earlier == 0
    assert sorted(str(begin(again).params) for _ in range(3)) == ["{'x': 1}", "{'x': 2}", "{'x': 3}"]


def test_a_trial_that_never_says_the_metric_failed_and_says_what_it_did_log(hand: Hand) -> None:
    course = hand.course()
    course.end(begin(course).digest, report(values=(), metrics=["loss", "scroe"]))
    (trial,) = hand.stage.trials()
    assert trial.state == "failed"
    assert trial.reason == "it did not log score, which the search is after; it logged loss, scroe"


def test_a_stopped_trial_keeps_its_values_and_does_not_run_again(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    course.take(trial.digest, {"values": [(1, 0.1)]})
    hand.now = 3.0
    course.stop(trial.digest)
    assert hand.stage.trials() == [replace(trial, state="stopped", values=((1, 0.1),), seconds=3.0)]
    assert hand.course().n_earlier == 1


def test_a_stopped_trial_ran_as_long_as_its_child_and_not_as_long_as_it_waited(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    hand.now = 90.0
    course.take(trial.digest, {"values": [(1, 0.1)], "begins": True, "seconds": 2.5})
    course.stop(trial.digest)
    assert hand.stage.trials()[0].seconds == 2.5


def test_a_machine_that_can_run_none_ends_the_study_and_blames_no_trial(hand: Hand) -> None:
    course = hand.course()
    course.end(begin(course).digest, report("failed", (), reason="no sandbox", mend="install bubblewrap"))
    assert (course.machine.reason, course.machine.mend) == ("no sandbox", "install bubblewrap")
    assert course.next() is None
    assert [trial.state for trial in hand.stage.trials()] == ["running"]


def test_a_trial_that_goes_on_keeps_its_curve_from_before(hand: Hand) -> None:
    first = hand.course()
    trial = begin(first)
    first.take(trial.digest, {"values": [(1, 0.1), (2, 0.2), (3, 0.3)]})
    hand.now = 5.0
    first.take(trial.digest, {"values": [(4, 0.4)]})
    second = hand.course()
    again = begin(second)
    assert again.params == trial.params
    second.take(again.digest, {"values": [(3, 0.35)]})
    second.end(again.digest, report(values=((3, 0.35), (4, 0.45)), resumed="step 2"))
    (kept,) = hand.stage.trials()
    assert kept.values == ((1, 0.1), (2, 0.2), (3, 0.35), (4, 0.45))
    assert kept.resumed == "step 2"


def test_checkpoints_of_a_trial_are_gone_when_it_is_done(hand: Hand, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoints"
    course = hand.course(replace(hand.job(), checkpoints=kept))
    done, failed = begin(course), begin(course)
    for trial in (done, failed):
        (kept / trial.digest).mkdir(parents=True)
        (kept / trial.digest / "1.state").touch()
    course.end(done.digest, report())
    course.end(failed.digest, report("failed", (), reason="killed by signal 9"))
    assert [path.name for path in kept.iterdir()] == [failed.digest]


def test_what_all_trials_used_is_told_together(hand: Hand) -> None:
    course = hand.course()
    course.end(begin(course).digest, report(gpus=["1"], usage={"gpu_load_ratio": 0.5}, peak_memory_bytes=7))
    course.end(begin(course).digest, report(gpus=["0", "1"], usage={"gpu_load_ratio": 0.25}))
    machine = course.machine
    assert (machine.peak_memory_bytes, machine.gpus, machine.usage) == (
        10,
        {"0", "1"},
        {"gpu_load_ratio": 0.5},
    )


def test_a_full_grid_is_no_longer_than_its_combinations(hand: Hand) -> None:
    assert hand.course(hand.job(trials=50)).n_all == 6


def test_what_earlier_attempts_remember_may_be_damaged(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    course.end(trial.digest, report())
    (hand.stage.folder / "ledger" / f"{trial.digest}.json").write_text('{"numb')
    assert Ledger(hand.stage.folder / "ledger").trials() == []
    assert begin(hand.course()).params == trial.params


@pytest.mark.parametrize("last", [float("nan"), float("inf")])
def test_a_trial_whose_last_value_is_no_number_failed_and_says_so(hand: Hand, last: float) -> None:
    course = hand.course()
    course.end(begin(course).digest, report(values=((1, 0.5), (2, last))))
    (trial,) = hand.stage.trials()
    assert trial.state == "failed"
    assert trial.reason == f"its last score is {last}, and no trial can be chosen by that"


def test_a_child_that_begins_again_goes_on_from_its_checkpoint_or_anew(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    course.take(trial.digest, {"values": [(1, 0.1), (2, 0.2), (3, 0.3)]})
    course.take(trial.digest, {"values": [(3, 0.35)], "begins": True})
    course.end(trial.digest, report(values=((3, 0.35), (4, 0.4))))
    assert hand.stage.trials()[0].values == ((1, 0.1), (2, 0.2), (3, 0.35), (4, 0.4))
    other = begin(course)
    course.take(other.digest, {"values": [(1, 0.1), (2, 0.2)]})
    course.end(other.digest, report(values=((1, 0.5),), begins=True))
    assert hand.stage.trials()[1].values == ((1, 0.5),)


def test_steps_that_begin_anew_each_epoch_are_all_counted(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    for epoch in range(3):
        for step in range(4):
            said = {"values": [(step, 0.1)], "begins": epoch == step == 0}
            assert course.place_of(trial.digest, said) == 4 * epoch + step + 1
            course.take(trial.digest, said)


def test_a_long_curve_is_thinned_out_and_counted(hand: Hand) -> None:
    course = hand.course()
    trial = begin(course)
    course.end(trial.digest, report(values=[(step, 0.1) for step in range(500)], n_reports=90_000))
    (kept,) = hand.stage.trials()
    assert (len(kept.values), kept.n_reports) == (500, 90_000)


def with_files(hand: Hand, text: str) -> Job:
    (hand.stage.folder / "conf.json").write_text(text)
    return hand.job(trials=4)


def test_trials_that_read_what_has_changed_since_run_anew(hand: Hand, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoints"
    first = hand.course(replace(with_files(hand, "1"), checkpoints=kept))
    trials = [begin(first) for _ in range(3)]
    seen = {"read": ["conf.json"]}
    first.end(trials[0].digest, report(observed=seen))
    first.end(trials[1].digest, report(observed={"read": []}))
    first.take(trials[2].digest, {"values": [(1, 0.1)]})
    first.stop(trials[2].digest)
    assert hand.course(with_files(hand, "1")).n_earlier == 3
    (kept / trials[2].digest).mkdir(parents=True)
    second = hand.course(replace(with_files(hand, "2"), checkpoints=kept))
    assert second.n_earlier == 0
    assert [begin(second).params for _ in range(4)] == [*(trial.params for trial in trials), {"x": 4}]
    assert not (kept / trials[2].digest).exists()
    assert "files that earlier trials read have changed since: 3 trials run anew\n" in hand.stage.log()


def test_a_trial_may_not_count_that_a_file_changed_under(hand: Hand) -> None:
    hand.wall = 1.0
    first = hand.course(with_files(hand, "1"))
    first.end(begin(first).digest, report(observed={"read": ["conf.json"]}))
    assert hand.course(hand.job()).n_earlier == 0


def test_a_search_whose_code_is_edited_ends_and_counts_no_trial_of_the_other_code(hand: Hand) -> None:
    code = hand.stage.folder / "train.py"
    code.write_text("1")
    job = hand.job()
    assert job.study is not None
    known = {"train.py": hashlib.md5(b"1", usedforsecurity=False).hexdigest()}
    job = replace(job, study=replace(job.study, code=known))
    course = hand.course(job)
    good, cut = begin(course), begin(course)
    course.end(good.digest, report())
    code.write_text("2")
    course.end(cut.digest, report())
    assert course.edited == "train.py"
    assert course.next() is None
    assert [trial.state for trial in hand.stage.trials()] == ["done", "running"]
    assert hand.course(job).next() is None
    code.write_text("1")
    assert begin(hand.course(job)).params == cut.params


def test_a_trial_that_had_come_to_its_end_when_all_was_killed_has_its_value(
    hand: Hand, tmp_path: Path
) -> None:
    job = replace(hand.job(), checkpoints=tmp_path / "checkpoints")
    trial = begin(hand.course(job))
    mark_beginning(log := trial_place(job, trial.digest).log_path, "first")
    with log.open("a") as file:
        file.write(
            "FIAT_METRIC score=0.25 step=1\nFIAT_METRIC other=3 step=2\nFIAT_METRIC score=0.75 step=2\n"
        )
    again = hand.course(job)
    again.end(begin(again).digest, report(values=(), begins=True, resumed="went on behind step 2"))
    (kept,) = hand.stage.trials()
    assert (kept.state, kept.values) == ("done", ((1, 0.25), (2, 0.75)))


def test_without_checkpoints_what_an_earlier_child_said_is_not_what_this_one_did(hand: Hand) -> None:
    trial = begin(hand.course())
    (hand.stage.folder / "ledger" / f"{trial.digest}.log").write_text("FIAT_METRIC score=0.25 step=1\n")
    again = hand.course()
    again.end(begin(again).digest, report(values=(), begins=True))
    assert hand.stage.trials()[0].state == "failed"

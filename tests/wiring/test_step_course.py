"""What a page says of a step from what it prints."""

from fiat.run.model import StepResult
from fiat.run.view import CourseLine
from fiat.wiring.step_course import step_course

RUNNING = StepResult("train", "call", "running")


def metrics(*values: float) -> str:
    return "".join(f"FIAT_METRIC loss={value} step={at}\n" for at, value in enumerate(values))


def test_a_step_that_prints_no_numbers_has_no_course() -> None:
    assert step_course(RUNNING, "") is None
    assert step_course(RUNNING, "epoch 1\n" * 100) is None


def test_where_a_training_is_and_how_it_came_there() -> None:
    said = "[fiat] goes on from checkpoint 3\nFIAT_USAGE gpu_memory_bytes=1073741824 gpu_load_ratio=0.5\n"
    found = step_course(RUNNING, said + metrics(4, 3, 2, 1))
    assert found is not None
    assert found.words == ("step 3", "GPU 1.0 GiB 50 %")
    assert found.resumed == "goes on from checkpoint 3"
    assert found.lines == (CourseLine("loss", "1", "█▆▃▁"),)


def test_only_the_last_attempt_counts() -> None:
    found = step_course(RUNNING, metrics(9, 9, 9) + "--- the worker died; trying again\n" + metrics(2, 1))
    assert found is not None
    assert found.lines == (CourseLine("loss", "1", "█▁"),)


def test_a_search_is_drawn_by_trial() -> None:
    lines = "".join(
        f"FIAT_TRIAL number={n} of=4 state=done value={n / 10} best={n / 10}\n" for n in (1, 2, 3)
    )
    found = step_course(RUNNING, lines)
    assert found is not None
    assert found.words == ("3 of 4 trials, best 0.3000 (trial 3)",)
    assert found.lines == (CourseLine("by trial", "0.3000", "▁▅█"),)


def test_a_step_that_ran_says_what_it_used() -> None:
    used = {"gpu_memory_bytes": 1 << 30, "resumed": "went on from checkpoint 3"}
    found = step_course(StepResult("train", "call", "ran", resources=used), metrics(2, 1))
    assert found is not None
    assert found.words == ("loss=1", "GPU 1.0 GiB")
    assert found.resumed == "went on from checkpoint 3"


def test_hostile_output_stays_harmless_text() -> None:
    found = step_course(RUNNING, "[fiat] goes on \x1b[2J\x07\u202e\n")
    assert found is not None
    assert found.resumed == "goes on ␇<U+202E>"


def test_the_end_of_a_long_log_is_not_the_whole_course() -> None:
    found = step_course(RUNNING, "0.5 step=7\n" + metrics(3, 2, 1), is_whole=False)
    assert found is not None
    assert not found.is_whole
    assert found.lines == (CourseLine("loss", "1", "█▅▁"),)
    again = step_course(RUNNING, "0.5 step=7\n--- lost; trying again\n" + metrics(3, 2, 1), is_whole=False)
    assert again is not None
    assert again.is_whole

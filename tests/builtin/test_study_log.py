from pathlib import Path

from fiat.builtin.study_log import mark_beginning, said_before


def test_a_log_tells_what_was_said_over_all_children(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    mark_beginning(path, "run.tune.1")
    with path.open("a") as file:
        file.write("loading\nFIAT_METRIC score=0.1 step=1\nFIAT_METRIC loss=3 step=1\n")
        file.write("FIAT_METRIC score=0.2 step=2\nFIAT_METRIC score=0.3 step=3\n")
    mark_beginning(path, "run.tune.2")
    with path.open("a") as file:
        file.write("FIAT_METRIC score=0.35 step=3\nFIAT_METRIC score=0.4 step=4\nFIAT_METRIC sco")
    assert said_before(path, "score").values == ((1, 0.1), (2, 0.2), (3, 0.35), (4, 0.4))


def test_a_child_that_begins_anew_says_all_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("FIAT_METRIC score=0.1 step=1\nFIAT_METRIC score=0.2 step=2\n")
    mark_beginning(path, "run.tune.2")
    assert said_before(path, "score").n_reports == 2
    path.open("a").write("FIAT_METRIC score=0.5 step=1\n")
    assert said_before(path, "score").values == ((1, 0.5),)


def test_where_there_is_no_log_nothing_was_said(tmp_path: Path) -> None:
    assert said_before(tmp_path / "none.log", "score").values == ()

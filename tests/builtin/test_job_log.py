from pathlib import Path

import pytest

from fiat.builtin.job_log import JobLog
from fiat.redaction import Redactor

SECRET = "hush-0123456789abcdef"


def write(path: Path, *chunks: bytes, redactor: Redactor | None = None, **limits: int) -> JobLog:
    log = JobLog(str(path), redactor=redactor, **limits)
    for chunk in chunks:
        log.take(chunk)
    log.close()
    return log


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([b"a\nb\n"], "a\nb\n"),
        ([b"no end"], "no end\n"),
        ([b"split ac", b"ross\nchunks"], "split across\nchunks\n"),
        ([b"dos\r", b"\nline\r\n"], "dos\nline\n"),
        ([b"10%\r20%\r", b"30%\n"], "10%\n20%\n30%\n"),
        ([b"\n\n"], "\n\n"),
        ([b"\x1b[1;31mred\x1b[0m\n"], "red\n"),
        ([b"\x1b]0;title\x07x\x1b]8;;http://a\x1b\\y\n"], "xy\n"),
        ([b"a\x00b\x08c\x7f\td\n"], "a?b?c?\td\n"),
        ([b"\xff\xfeok \xc2\x9b31m\n"], "\ufffd\ufffdok ?31m\n"),
        (["gr\u00fc\u00dfe \u2603\n".encode()], "gr\u00fc\u00dfe \u2603\n"),
    ],
)
def test_lines_are_kept_and_control_bytes_are_not(tmp_path: Path, chunks: list[bytes], text: str) -> None:
    write(tmp_path / "log", *chunks)
    assert (tmp_path / "log").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_long_line_is_cut_once_however_it_arrives(tmp_path: Path, size: int) -> None:
    data = b"x" * 500 + b"\nnext\r\n" + b"y" * 100 + b"\r" + b"z" * 400
    write(tmp_path / "log", *(data[at : at + size] for at in range(0, len(data), size)), line_bytes=100)
    note = " [fiat: line cut after 100 bytes]\n"
    assert (tmp_path / "log").read_text() == "x" * 100 + note + "next\n" + "y" * 100 + "\n" + "z" * 100 + note


def test_a_full_log_says_so_and_metrics_still_count(tmp_path: Path) -> None:
    log = write(tmp_path / "log", b"0123456789\n" * 20, b"FIAT_METRIC a=2\n", log_bytes=50)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["0123456789"] * 4 + ["[fiat] the log is full (50 bytes): the rest is dropped"]
    assert log.metrics == [("a", 2.0, None)]


def test_metrics_are_read_only_from_whole_well_formed_lines(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        b"FIAT_MET",
        b"RIC a=1 step=2\nsay FIAT_METRIC b=1\nFIAT_METRIC c=x\nFIAT_METRIC d=1e3",
    )
    assert log.metrics == [("a", 1.0, 2), ("d", 1000.0, None)]


def test_the_last_value_counts_behind_however_many_others(tmp_path: Path) -> None:
    lines = (b"FIAT_METRIC m%d=%d step=%d\n" % (at % 50, at, at // 50) for at in range(300_000))
    log = write(tmp_path / "log", b"".join(lines), b"FIAT_METRIC accuracy=0.9\n")
    assert log.metrics[-1] == ("accuracy", 0.9, None)
    assert ("m49", 299_999.0, 5_999) in log.metrics
    assert len(log.metrics) < 200_100


def test_the_first_loss_that_is_no_number_is_remembered_as_it_was_logged(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log", b"FIAT_METRIC loss=1 step=1\nFIAT_METRIC loss=inf step=7\nFIAT_METRIC loss=nan\n"
    )
    assert log.lost_metric == ("loss", float("inf"), 7)
    assert "at step 7" in log.lost_loss


def test_a_log_appends(tmp_path: Path) -> None:
    write(tmp_path / "log", b"one\n")
    write(tmp_path / "log", b"two\n")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("size", [1, 5, 16, 4096])
def test_a_secret_never_reaches_the_disk_however_it_arrives(tmp_path: Path, size: int) -> None:
    coloured = SECRET[:7] + "\x1b[31m" + SECRET[7:]
    data = f"one {SECRET} two\r\n{coloured}\n{SECRET.encode().hex()}\nlast {SECRET}".encode()
    path = tmp_path / "log"
    log = JobLog(str(path), redactor=Redactor([SECRET]))
    for at in range(0, len(data), size):
        log.take(data[at : at + size])
        assert SECRET[:12] not in path.read_text()
    log.close()
    assert path.read_text() == "one *** two\n***\n***\nlast ***\n"


def test_a_line_is_not_cut_within_a_secret(tmp_path: Path) -> None:
    redactor = Redactor([SECRET])
    for before in range(80, 101):
        line = b"x" * before + SECRET.encode() + b"y" * 100
        for tail in (b"\nnext\n", b""):
            path = tmp_path / "log"
            write(path, line[: before + 10], line[before + 10 :] + tail, redactor=redactor, line_bytes=100)
            kept = path.read_text().partition(" [fiat: ")[0]
            assert kept == ("x" * before + "***" + "y" * 100)[: len(kept)]
            assert len(kept) > 75
            path.unlink()


def test_names_of_metrics_and_our_own_notes_are_masked_and_what_was_printed_is_counted(
    tmp_path: Path,
) -> None:
    redactor = Redactor([SECRET])
    path = tmp_path / "log"
    log = JobLog(str(path), log_bytes=40, redactor=redactor)
    log.take(f"FIAT_METRIC of_{SECRET}=1\n".encode())
    log.take(b"z" * 100 + b"\n")
    log.note(f"it said {SECRET}")
    log.close()
    assert log.metrics == [("of_***", 1.0, None)]
    assert log.taken_bytes == 12 + 3 + len(SECRET) + 3 + 101
    assert path.read_text().splitlines()[-1] == "[fiat] it said ***"

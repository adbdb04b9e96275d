import pytest

from fiat.builtin.job_death import exit_sentence, oom_kills, size_text


@pytest.mark.parametrize(
    ("status", "sentence", "code"),
    [
        (0, "", 0),
        (3 << 8, "exited with code 3", 3),
        (15, "killed by signal 15 (SIGTERM)", None),
        (11, "killed by signal 11 (SIGSEGV): a crash in native code", None),
        (
            139 << 8,
            "exited with code 139, which a shell gives when signal 11 (SIGSEGV) killed its command",
            139,
        ),
        (255 << 8, "exited with code 255", 255),
    ],
)
def test_an_end_is_said_in_words(status: int, sentence: str, code: int | None) -> None:
    assert exit_sentence(status, oom_kills()) == (sentence, code)


def test_the_out_of_memory_killer_is_named_when_its_counter_grew() -> None:
    group, machine = oom_kills()
    if group is not None:
        assert exit_sentence(9, (group - 1, machine))[0] == (
            "killed by signal 9 (SIGKILL); the kernel's out-of-memory killer did it"
        )
        assert "out-of-memory killer did it" in exit_sentence(1 << 8, (group - 1, machine))[0]
    if machine is not None:
        assert "probably by the kernel's" in exit_sentence(9, (None, machine - 1))[0]
        assert exit_sentence(9, (None, machine))[0] == "killed by signal 9 (SIGKILL)"


def test_without_counters_it_is_only_possible() -> None:
    assert "possibly by the kernel's out-of-memory killer" in exit_sentence(9, (None, None))[0]


def test_sizes_are_short() -> None:
    assert [size_text(size) for size in (12, 1 << 20, 1288490189)] == ["12 bytes", "1 MiB", "1.2 GiB"]

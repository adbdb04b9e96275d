import json
from pathlib import Path

import pytest

from fiat.builtin.ray_travel_paths import Moves, moved_job, told_result
from fiat.ports.compute import Command, Job, JobResult, Resources, Sandbox
from fiat.ports.step import StepContext, StepOutcome

MOVES = Moves({"/repo": "/n/root", "/repo/.fiat/work/r/train.1": "/n/w", "/größe": "/n/g"})


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("/repo/train.py", "/n/root/train.py"),
        ("/repo/.fiat/work/r/train.1/in/data", "/n/w/in/data"),
        ("/repo/.fiat/work/r/train.12/in", "/n/root/.fiat/work/r/train.12/in"),
        ("/repo/.fiat/work/r/train.1.box", "/n/root/.fiat/work/r/train.1.box"),
        ("cp '/repo/a b' /repo", "cp '/n/root/a b' /n/root"),
        ("it lies in /repo.", "it lies in /n/root."),
        ("/usr/bin:/repo/bin", "/usr/bin:/n/root/bin"),
        ("--in=/repo/x", "--in=/n/root/x"),
        ("file:///repo/x", "file:///n/root/x"),
        ("/other/repo/x", "/other/repo/x"),
        ("/repository", "/repository"),
        ("/repo-2", "/repo-2"),
    ],
)
def test_a_folder_is_found_where_it_stands_for_itself(there: str, here: str) -> None:
    assert MOVES.text(there) == here


def test_json_within_a_text_is_read_since_it_writes_letters_as_escapes() -> None:
    text = json.dumps({"data": "/größe/x", "level": [3, None, "/repo"]})
    assert "größe" not in text
    assert json.loads(MOVES.value(text)) == {"data": "/n/g/x", "level": [3, None, "/n/root"]}
    assert MOVES.value("{data.images} in /repo") == "{data.images} in /n/root"


def test_the_way_back_undoes_the_way_there() -> None:
    for text in ("/repo/a", "/repo/.fiat/work/r/train.1/out", "/größe"):
        assert MOVES.back().text(MOVES.text(text)) == text


def job(**settings: object) -> Job:
    work = Path("/repo/.fiat/work/r/train.1")
    return Job(
        "r.train.1", "train", Resources(), Path("/repo/.fiat/logs/train"), work, owner_pid=7, **settings
    )  # type: ignore[arg-type]  # given by tests


def test_a_command_is_moved_with_its_sandbox_and_its_interpreter() -> None:
    work = Path("/repo/.fiat/work/r/train.1")
    sandbox = Sandbox(
        "bubblewrap",
        read_only=(Path("/repo"), Path("/usr/share/words")),
        inputs=(work / "in",),
        writable=(work, work / "out"),
        hidden=(Path("/repo/.git"),),
    )
    command = Command(
        ("/venv/bin/python", "-m", "fiat.builtin.child", f"{work}/request.json"),
        Path("/repo"),
        {"PATH": "/venv/bin:/usr/bin", "HOME": str(work), "FIAT_OUTPUTS": json.dumps({"m": f"{work}/out/m"})},
        work / "result.json",
        sandbox,
        ("secret",),
    )
    moved = moved_job(
        job(command=command, checkpoints=Path("/größe")),
        MOVES,
        log_path=Path("/n/log"),
        python=("/venv/bin/python", "/opt/bin/python3"),
    )
    assert (moved.id, moved.work_dir, moved.log_path) == ("r.train.1", Path("/n/w"), Path("/n/log"))
    assert (moved.owner_pid, moved.checkpoints) == (0, Path("/n/g"))
    assert moved.command is not None
    assert moved.command.argv == ("/opt/bin/python3", "-m", "fiat.builtin.child", "/n/w/request.json")
    assert moved.command.env["PATH"] == "/opt/bin:/usr/bin"
    assert moved.command.env["HOME"] == "/n/w"
    assert json.loads(moved.command.env["FIAT_OUTPUTS"]) == {"m": "/n/w/out/m"}
    assert (moved.command.cwd, moved.command.result_path) == (Path("/n/root"), Path("/n/w/result.json"))
    assert moved.command.secrets == ("secret",)
    box = moved.command.sandbox
    assert box is not None
    assert box.read_only == (Path("/n/root"), Path("/usr/share/words"))
    assert (box.inputs, box.hidden) == ((Path("/n/w/in"),), (Path("/n/root/.git"),))
    assert box.writable == (Path("/n/w"), Path("/n/w/out"))


def test_a_trusted_step_is_moved_with_all_that_it_names() -> None:
    work = Path("/repo/.fiat/work/r/train.1")
    task = StepContext(
        "package",
        {"card": "/repo/card.md", "n": 3},
        {"model": work / "in" / "model"},
        {"package": work / "out" / "package"},
        Path("/repo"),
        work,
        {"granted": ["/repo/data"]},
    )
    moved = moved_job(job(task=task), MOVES, log_path=Path("/n/log"), python=("a", "b")).task
    assert moved == StepContext(
        "package",
        {"card": "/n/root/card.md", "n": 3},
        {"model": Path("/n/w/in/model")},
        {"package": Path("/n/w/out/package")},
        Path("/n/root"),
        Path("/n/w"),
        {"granted": ["/n/root/data"]},
    )


def test_what_a_job_says_names_the_paths_of_its_owner() -> None:
    result = JobResult(
        "failed",
        "no file /n/w/in/x",
        result={"error": {"file": "/n/root/train.py", "line": 3}},
        outcome=StepOutcome(facts={"at": ["/n/root/x"]}, warnings=("/n/root/y is odd",)),
        resumed="from /n/g/1",
    )
    told = told_result(result, MOVES.back())
    assert told.reason == "no file /repo/.fiat/work/r/train.1/in/x"
    assert told.result == {"error": {"file": "/repo/train.py", "line": 3}}
    assert told.outcome == StepOutcome(facts={"at": ["/repo/x"]}, warnings=("/repo/y is odd",))
    assert told.resumed == "from /größe/1"

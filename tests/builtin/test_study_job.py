import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.study_job import trial_job, trial_place
from fiat.builtin.study_ledger import digest_of
from fiat.ports.compute import Command, Job, Resources, Sandbox, Study

PARAMS = {"lr": 0.1}
DIGEST = digest_of(PARAMS)


def study_of(work: Path, ledger: Path) -> Study:
    return Study(
        {}, "score", "max", 1, 1, "none", "random", 0, None, ledger, work / "out/best", work / "out/trials"
    )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A study of a function, in a sandbox, with checkpoints."""
    work, kept = tmp_path / "work", tmp_path / "checkpoints/key"
    for folder in (work / "in", work / "out", work / "tmp", kept, tmp_path / "ledger"):
        folder.mkdir(parents=True)
    request = {
        "role": "trial",
        "params": {"lr": 1, "width": 8, "data": str(work / "in/data.d")},
        "seed": 7,
        "inputs": {"data.d": str(work / "in/data.d")},
        "outputs": {"model": str(work / "out/model")},
        "result": str(work / "result.json"),
        "checkpoint": {"keep": 1, "folder": str(kept)},
    }
    (work / "request.json").write_text(json.dumps(request))
    env = {"HOME": str(work), "TMPDIR": str(work / "tmp"), "PATH": "/bin", "TOKEN": "secret"}
    sandbox = Sandbox(
        "bubblewrap", inputs=(work / "in",), writable=(work, work / "out", kept), hidden=(tmp_path,)
    )
    argv = ("python", "-m", "fiat.builtin.child", str(work / "request.json"))
    return Job(
        id="r.tune.1",
        step="tune",
        resources=Resources(),
        log_path=tmp_path / "tune.log",
        work_dir=work,
        timeout_s=9.0,
        command=Command(argv, tmp_path, env, work / "result.json", sandbox, ("secret",)),
        study=study_of(work, tmp_path / "ledger"),
        checkpoints=kept,
        stop_on_nan=True,
    )


def document(trial: Job) -> Any:
    assert trial.command is not None
    return json.loads(Path(trial.command.argv[-1]).read_text())


def test_a_trial_of_a_function_has_a_folder_of_its_own_and_its_parameters(job: Job, tmp_path: Path) -> None:
    trial = trial_job(job, PARAMS)
    own, work = tmp_path / "work/trials" / DIGEST, tmp_path / "work"
    assert document(trial) == {
        "role": "trial",
        "params": {"lr": 0.1, "width": 8, "data": str(work / "in/data.d")},
        "searched": ["lr"],
        "seed": 7,
        "inputs": {"data.d": str(work / "in/data.d")},
        "outputs": {"model": str(own / "out/model")},
        "result": str(own / "result.json"),
        "checkpoint": {"keep": 1, "folder": str(tmp_path / "checkpoints/key" / DIGEST)},
    }
    command = trial.command
    assert command is not None
    assert command.argv == ("python", "-m", "fiat.builtin.child", str(own / "request.json"))
    assert command.env == {"HOME": str(own), "TMPDIR": str(own / "tmp"), "PATH": "/bin", "TOKEN": "secret"}
    assert (command.result_path, command.secrets) == (own / "result.json", ("secret",))
    assert (own / "out").is_dir()
    assert (own / "tmp").is_dir()


def test_its_sandbox_may_write_its_own_folders_and_read_the_same_inputs(job: Job, tmp_path: Path) -> None:
    command = trial_job(job, PARAMS).command
    assert command is not None
    assert command.sandbox is not None
    own = tmp_path / "work/trials" / DIGEST
    assert command.sandbox.writable == (own, own / "out", tmp_path / "checkpoints/key" / DIGEST)
    assert command.sandbox.inputs == (tmp_path / "work/in",)


def test_what_else_is_said_of_the_study_holds_for_its_trials(job: Job, tmp_path: Path) -> None:
    trial = trial_job(job, PARAMS)
    assert (trial.id, trial.study) == (f"r.tune.1.{DIGEST}", None)
    assert (trial.timeout_s, trial.stop_on_nan, trial.step) == (9.0, True, "tune")
    assert trial.log_path == tmp_path / "ledger" / f"{DIGEST}.log"
    assert trial.checkpoints == tmp_path / "checkpoints/key" / DIGEST
    assert trial.checkpoints.is_dir()
    place = trial_place(job, DIGEST)
    assert (place.id, place.work_dir) == (trial.id, trial.work_dir)


def test_a_trial_of_a_command_is_told_its_places_and_parameters_by_variables(
    job: Job, tmp_path: Path
) -> None:
    work, kept = tmp_path / "work", tmp_path / "checkpoints/key"
    env = {
        "FIAT_PARAMS": json.dumps({"lr": 1, "width": 8}),
        "FIAT_INPUTS": json.dumps({"data.d": str(work / "in/data.d")}),
        "FIAT_OUTPUTS": json.dumps({"model": str(work / "out/model")}),
        "FIAT_CHECKPOINTS": str(kept),
    }
    text = f"train {work}/in/data.d '{work}/out/model'"
    trial = trial_job(replace(job, command=Command(("/bin/sh", "-ec", text), tmp_path, env)), PARAMS)
    own = work / "trials" / DIGEST
    assert trial.command is not None
    assert trial.command.argv[2] == f"train {work}/in/data.d '{own}/out/model'"
    told = trial.command.env
    assert json.loads(told["FIAT_PARAMS"]) == {"lr": 0.1, "width": 8}
    assert json.loads(told["FIAT_INPUTS"]) == {"data.d": str(work / "in/data.d")}
    assert json.loads(told["FIAT_OUTPUTS"]) == {"model": str(own / "out/model")}
    assert told["FIAT_CHECKPOINTS"] == str(kept / DIGEST)


def test_outputs_are_a_trial_s_own_whatever_the_letters_of_their_paths(tmp_path: Path) -> None:
    work = tmp_path / "Größe"
    outputs = json.dumps({"model": str(work / "out/model")})
    assert str(work) not in outputs, "json writes other letters as escapes"
    study = Job(
        id="r.tune.1",
        step="tune",
        resources=Resources(),
        log_path=tmp_path / "tune.log",
        work_dir=work,
        command=Command(("/bin/sh", "-ec", "train"), tmp_path, {"FIAT_OUTPUTS": outputs}),
        study=study_of(work, tmp_path / "ledger"),
    )
    trial = trial_job(study, PARAMS)
    assert trial.command is not None
    assert json.loads(trial.command.env["FIAT_OUTPUTS"]) == {"model": str(trial.work_dir / "out/model")}


def test_a_search_for_the_seed_seeds_the_trials(job: Job) -> None:
    assert document(trial_job(job, {"seed": 11}))["seed"] == 11


def test_trials_side_by_side_share_nothing_that_they_write(job: Job) -> None:
    one, two = trial_job(job, {"lr": 1}), trial_job(job, {"lr": 2})
    assert one.work_dir != two.work_dir
    assert one.checkpoints != two.checkpoints
    assert one.log_path != two.log_path
    assert document(one)["outputs"] != document(two)["outputs"]
    assert json.loads((job.work_dir / "request.json").read_text())["params"]["lr"] == 1

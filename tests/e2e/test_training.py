"""The fashion example at the size of a machine: several workers, a search that is killed, on one warm Ray."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ROOT, ExampleCheckout, lay_fashion, make_checkout

from fiat.builtin.study_ledger import Ledger, Trial
from fiat.errors import EXIT_INTERRUPTED
from fiat.store.store import open_store
from fiat.testing.compute_jobs import wait_for
from fiat.wiring.desk import utc_now

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FASHION = ROOT.parent / "shared" / "data" / "fashion-mnist"
ROWS = 1500
BATCH_SIZE = 36
"""Four workers can share it evenly, and the last batch of an epoch, which they can't, is none whose loss is logged."""
WAIT_S = 120
SPEC, TUNED = "specs/fashion", "specs/fashion/tune.yaml"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExampleCheckout]:
    """A checkout with a warm Ray of four cores, however many the machine has: trials and workers want a place each."""
    made = make_checkout(tmp_path_factory.mktemp("training") / "checkout", "fashion")
    up = made.fiat("up", "--cpus", "4")
    assert up.code == 0, up.err
    yield made
    made.fiat("down")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides for few images, the real ones where they are, and no gates for what is learned of so few."""
    images = FASHION if FASHION.is_dir() else lay_fashion(tmp_path_factory.mktemp("images") / "fashion")
    source = (f"data.images.source.path={images}", f"+data.images.sample.rows={ROWS}")
    return (*source, "gates=[]", "~deploy", f"params.batch_size={BATCH_SIZE}", "train.resources.cpus=0.5")


def curve(checkout: ExampleCheckout, run: str, name: str) -> dict[int, float]:
    """What the training of a run logged under a name, by step."""
    with open_store(checkout.folder / ".fiat", now=utc_now) as store:
        metrics = [metric for step, metric in store.metrics.curve(run) if step == "train"]
    return {metric.step or 0: metric.value for metric in metrics if metric.name == name}


def learned(
    checkout: ExampleCheckout, few: tuple[str, ...], workers: int, *, whole: bool = False
) -> dict[int, float]:
    """The loss by step of two epochs with so many workers; unless it is a whole run it is stopped when that is known."""
    words = ("run", SPEC, *few, "params.epochs=2", f"train.resources.workers={workers}")
    if whole:
        done = checkout.fiat(*words, "--json")
        assert done.code == 0, done.err + done.out
        states = {step["name"]: step["state"] for step in done.document["steps"]}
        assert states["train"] == states["export"] == "ran"
        return curve(checkout, done.document["run"], "loss")
    before = newest(checkout)
    run = started(checkout, *words)
    wait_for(lambda: run.poll() is not None or trained(checkout, before), "the training ended", WAIT_S)
    assert run.poll() is None, "it ended before its model was exported"
    run.send_signal(signal.SIGINT)
    assert run.wait(WAIT_S) == EXIT_INTERRUPTED
    return curve(checkout, newest(checkout), "loss")


def newest(checkout: ExampleCheckout) -> str:
    """The newest run."""
    with open_store(checkout.folder / ".fiat", now=utc_now) as store:
        return store.runs.newest(limit=1)[0].id


def trained(checkout: ExampleCheckout, before: str) -> bool:
    """Whether a run that is newer than this one has the result of its training."""
    name = newest(checkout)
    with open_store(checkout.folder / ".fiat", now=utc_now) as store:
        steps = store.runs.find(name).steps if name != before else ()
    return any(step.name == "train" and step.state == "ran" for step in steps)


def started(checkout: ExampleCheckout, *words: str) -> "subprocess.Popen[bytes]":
    """The program, on its way in a process group of its own."""
    return subprocess.Popen(
        [str(checkout.program), *words],
        cwd=checkout.folder,
        env={name: value for name, value in checkout.env.items() if not name.startswith(("FIAT_", "RAY_"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_one_two_and_four_workers_learn_alike(studio: ExampleCheckout, few: tuple[str, ...]) -> None:
    alone = learned(studio, few, 1, whole=True)
    assert list(alone) == [0, 20, 40, 60]
    assert alone[max(alone)] < 0.7 * alone[0], "it learned"
    for workers in (2, 4):
        together = learned(studio, few, workers)
        assert together[0] == pytest.approx(alone[0], rel=1e-5)
        assert together == pytest.approx(alone, rel=0.02)


def trials(checkout: ExampleCheckout) -> list[Trial]:
    """Of the only study."""
    folders = list((checkout.folder / ".fiat" / "studies").glob("*"))
    assert len(folders) <= 1
    return Ledger(folders[0]).trials() if folders else []


def killed_after(checkout: ExampleCheckout, n_ended: int, *words: str) -> list[Trial]:
    """Start a run, kill its process group when so many trials have ended; gives those."""
    run = started(checkout, "run", *words)
    until = time.monotonic() + WAIT_S
    while len(ended := [trial for trial in trials(checkout) if trial.state != "running"]) < n_ended:
        assert time.monotonic() < until, "the trials did not come"
        assert run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return ended


def best_of(found: dict[str, Any]) -> dict[str, Any]:
    """The trial with the best value among those that were trained to the end."""
    done = [trial for trial in found["trials"] if trial["state"] == "done"]
    best: dict[str, Any] = max(done, key=lambda trial: float(trial["value"]))
    return best


def test_a_search_of_twelve_trials_goes_on_where_it_was_killed_and_the_training_takes_the_best(
    studio: ExampleCheckout, few: tuple[str, ...]
) -> None:
    words = (TUNED, *(word for word in few if "batch_size" not in word), "params.epochs=1")
    before = killed_after(studio, 2, *words)
    done = studio.fiat("run", *words, "--json", timeout_s=500)
    assert done.code == 0, done.err + done.out

    after = {trial.number: trial for trial in trials(studio)}
    assert [number for number, trial in after.items() if trial.state in ("done", "stopped")] == [
        *range(1, 13)
    ]
    assert [after[trial.number] for trial in before] == before, "what had ended was not tried again"

    shown = studio.fiat("tune", "show", done.document["run"], "--json").document
    best = best_of(shown["record"])
    assert set(best["params"]) == {"lr", "batch_size"}
    assert all(5e-4 <= float(str(trial.params["lr"])) <= 2e-2 for trial in after.values())
    plan = studio.fiat("plan", *words, "--json").document
    said = next(step for step in plan["steps"] if step["step"] == "train")
    assert said["action"] == "reuse"
    assert f"{best['params']['lr']:.4g}" in " ".join(said["reasons"])

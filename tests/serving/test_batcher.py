import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import make_graph_package
from wire_stage import outside

from fiat.serving.batcher import Batcher, Outputs
from fiat.serving.limits import Refused
from fiat.serving.session import RunFault, Session
from fiat.testing.sample_packages import make_package


def open_session(folder: Path) -> Session:
    session = Session((folder / "model.onnx").read_bytes(), threads=1)
    session.warm_up(None)
    return session


@pytest.fixture
def triple(tmp_path: Path) -> Session:
    return open_session(make_package(tmp_path, 3).folder)


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def rows(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array([[value, 0, 0] for value in values], np.float32)}


async def ask(batcher: Batcher, feed: dict[str, np.ndarray], timeout_s: float = 20.0) -> Outputs:
    n_rows = len(next(iter(feed.values())))
    return await batcher.run(feed, n_rows, asyncio.get_running_loop().time() + timeout_s)


def test_requests_that_wait_are_run_together_and_each_gets_its_own_rows(triple: Session) -> None:
    runs: list[int] = []

    async def work() -> list[Outputs]:
        batcher = Batcher(triple, batch_rows=64, name="t", count_run=lambda: runs.append(1))
        return await asyncio.gather(*(ask(batcher, rows(*range(n, 2 * n))) for n in range(1, 9)))

    answers = run(work)
    for n, answer in zip(range(1, 9), answers, strict=True):
        assert answer["y"][:, 0].tolist() == [3.0 * value for value in range(n, 2 * n)]
    assert len(runs) < 8


def test_a_run_holds_no_more_rows_than_the_limit(triple: Session) -> None:
    sizes: list[int] = []
    original = triple.run

    def spy(feed: Any, n_rows: int, options: Any = None) -> Outputs:
        sizes.append(n_rows)
        return original(feed, n_rows, options)

    async def work(batch_rows: int) -> None:
        batcher = Batcher(triple, batch_rows=batch_rows, name="t")
        await asyncio.gather(*(ask(batcher, rows(1, 2)) for _ in range(20)))

    triple.run = spy  # type: ignore[method-assign]
    run(lambda: work(5))
    assert max(sizes) == 4
    sizes.clear()
    run(lambda: work(1))
    assert set(sizes) == {2}


def picky_package(folder: Path) -> Path:
    """Looks numbers up in a table of four: another index fails the run that it is in."""
    package = make_graph_package(
        folder,
        "picky",
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        inputs=[("x", TensorProto.INT64, ["n", 1])],
        outputs=[("y", TensorProto.FLOAT, ["n", 1])],
        constants={"table": np.array([10, 20, 30, 40], np.float32)},
    )
    return package.folder


def test_a_bad_row_fails_its_own_request_only(tmp_path: Path) -> None:
    session = open_session(picky_package(tmp_path))
    assert session.joinable

    async def work() -> list[Outputs | BaseException]:
        batcher = Batcher(session, batch_rows=64, name="t")
        feeds = [{"x": np.array([[value]], np.int64)} for value in (0, 1, 99, 3)]
        return await asyncio.gather(*(ask(batcher, feed) for feed in feeds), return_exceptions=True)

    answers = run(work)
    assert [float(answer["y"][0, 0]) for place, answer in enumerate(answers) if place != 2] == [10, 20, 40]
    assert isinstance(answers[2], RunFault)
    assert answers[2].by_values


def test_rows_of_other_shapes_are_not_mixed(tmp_path: Path) -> None:
    package = make_graph_package(
        tmp_path,
        "sums",
        [helper.make_node("ReduceSum", ["x", "axis"], ["y"])],
        inputs=[("x", TensorProto.FLOAT, ["n", "width"])],
        outputs=[("y", TensorProto.FLOAT, ["n", 1])],
        constants={"axis": np.array([1], np.int64)},
    )
    session = open_session(package.folder)

    async def work() -> list[Outputs]:
        batcher = Batcher(session, batch_rows=64, name="t")
        feeds = [{"x": np.ones((1, width), np.float32)} for width in (2, 5, 5, 3)]
        return await asyncio.gather(*(ask(batcher, feed) for feed in feeds))

    assert [float(answer["y"][0, 0]) for answer in run(work)] == [2, 5, 5, 3]


def test_rows_that_look_at_one_another_are_never_joined(tmp_path: Path) -> None:
    package = make_graph_package(
        tmp_path,
        "centred",
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        inputs=[("x", TensorProto.FLOAT, ["n", 2])],
        outputs=[("y", TensorProto.FLOAT, ["n", 2])],
    )
    session = open_session(package.folder)
    assert not session.joinable

    async def work() -> list[Outputs]:
        batcher = Batcher(session, batch_rows=64, name="t")
        feeds = [{"x": np.full((1, 2), value, np.float32)} for value in range(6)]
        return await asyncio.gather(*(ask(batcher, feed) for feed in feeds))

    assert [answer["y"].tolist() for answer in run(work)] == [[[0, 0]]] * 6


def slow_package(folder: Path) -> Path:
    """Multiplies large matrices for about a second."""
    big = np.eye(1200, dtype=np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{place}", "w"], [f"m{place + 1}"]) for place in range(3)]
    nodes.append(helper.make_node("Identity", ["m3"], ["y"]))
    package = make_graph_package(
        folder,
        "slow",
        nodes,
        inputs=[("x", TensorProto.FLOAT, ["n", 1200])],
        outputs=[("y", TensorProto.FLOAT, ["n", 1200])],
        constants={"w": big},
    )
    return package.folder


def test_a_request_that_takes_too_long_is_refused_and_its_run_is_ended(tmp_path: Path) -> None:
    session = open_session(slow_package(tmp_path))
    feed = {"x": np.ones((12_000, 1200), np.float32)}

    async def work() -> float:
        batcher = Batcher(session, batch_rows=64, name="t")
        started = time.perf_counter()
        with pytest.raises(Refused) as caught:
            await ask(batcher, feed, timeout_s=0.05)
        assert caught.value.status == 503
        answer = await ask(batcher, {"x": np.ones((1, 1200), np.float32)}, timeout_s=60)
        assert answer["y"].shape == (1, 1200)
        return time.perf_counter() - started

    started = time.perf_counter()
    session.run(feed, len(feed["x"]))
    alone_s = time.perf_counter() - started
    assert run(work) < max(0.5, alone_s)


def test_a_request_that_waits_too_long_never_runs(tmp_path: Path) -> None:
    session = open_session(slow_package(tmp_path))

    async def work() -> None:
        batcher = Batcher(session, batch_rows=1, name="t")
        first = asyncio.create_task(ask(batcher, {"x": np.ones((4000, 1200), np.float32)}))
        await asyncio.sleep(0)
        with pytest.raises(Refused):
            await ask(batcher, {"x": np.ones((1, 1200), np.float32)}, timeout_s=0.01)
        assert (await first)["y"].shape == (4000, 1200)

    run(work)


def test_each_who_waits_is_refused_at_its_own_time_in_whatever_order_they_came(tmp_path: Path) -> None:
    session = open_session(slow_package(tmp_path))

    async def work() -> list[float]:
        batcher = Batcher(session, batch_rows=1, name="t")
        first = asyncio.create_task(ask(batcher, {"x": np.ones((6000, 1200), np.float32)}, 60.0))
        await asyncio.sleep(0)
        began, row = time.perf_counter(), {"x": np.ones((1, 1200), np.float32)}

        async def refused_after(timeout_s: float) -> float:
            with pytest.raises(Refused):
                await ask(batcher, row, timeout_s)
            return time.perf_counter() - began

        found = await asyncio.gather(*(refused_after(timeout_s) for timeout_s in (0.06, 0.02, 0.1)))
        assert not first.done()
        assert (await first)["y"].shape == (6000, 1200)
        return found

    late, soon, later = run(work)
    assert soon >= 0.02
    assert late >= 0.06
    assert later >= 0.1
    assert soon <= late <= later


def test_one_answer_that_cannot_be_sent_keeps_no_other_back(triple: Session) -> None:
    def fail() -> None:
        raise OSError("the connection broke")

    async def work() -> float:
        batcher = Batcher(triple, batch_rows=64, name="t")
        answer = batcher.run(rows(1), 1, asyncio.get_running_loop().time() + 20)
        await outside(lambda: setattr(answer.send(None), "wake", fail))
        return float((await ask(batcher, rows(2)))["y"][0, 0])

    assert run(work) == 6.0


def test_one_refusal_that_cannot_be_sent_keeps_no_other_back(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("the connection broke")

    async def work() -> None:
        batcher = Batcher(open_session(slow_package(tmp_path)), batch_rows=1, name="t")
        first = asyncio.create_task(ask(batcher, {"x": np.ones((4000, 1200), np.float32)}))
        await asyncio.sleep(0)
        deadline, row = asyncio.get_running_loop().time() + 0.02, {"x": np.ones((1, 1200), np.float32)}
        answer = batcher.run(row, 1, deadline)
        await outside(lambda: setattr(answer.send(None), "wake", fail))
        with pytest.raises(Refused):
            await asyncio.wait_for(batcher.run(row, 1, deadline), 10)
        await first

    run(work)


def test_a_thread_that_cannot_be_started_is_tried_again(
    triple: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def work() -> float:
        batcher = Batcher(triple, batch_rows=64, name="t")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await ask(batcher, rows(1))
        return float((await ask(batcher, rows(2), 5.0))["y"][0, 0])

    assert run(work) == 6.0


def test_a_cheap_model_runs_in_place_while_nobody_waits(triple: Session) -> None:
    async def work() -> None:
        batcher = Batcher(triple, batch_rows=64, name="t")
        assert batcher.runs_inline(1)
        assert batcher.run_inline(rows(2), 1)["y"][0, 0] == 6
        waiting = asyncio.create_task(ask(batcher, rows(1)))
        await asyncio.sleep(0)
        assert not batcher.runs_inline(1) or waiting.done()
        await waiting
        triple.cost.scale = 1e6
        assert not batcher.runs_inline(1)

    run(work)


def test_who_waits_when_a_version_goes_is_still_answered(triple: Session) -> None:
    async def work() -> list[Outputs]:
        batcher = Batcher(triple, batch_rows=1, name="t")
        asked = [asyncio.create_task(ask(batcher, rows(value))) for value in range(10)]
        await asyncio.sleep(0)
        batcher.close()
        return list(await asyncio.gather(*asked))

    assert [float(answer["y"][0, 0]) for answer in run(work)] == [3.0 * value for value in range(10)]


def test_who_still_comes_after_a_version_is_gone_is_answered_too(triple: Session) -> None:
    async def work() -> list[float]:
        batcher = Batcher(triple, batch_rows=64, name="gone", count_run=lambda: None)
        await ask(batcher, rows(1))
        batcher.close()
        while any(thread.name == "gone" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
        return [float((await ask(batcher, rows(value), 5.0))["y"][0, 0]) for value in (2, 4)]

    assert run(work) == [6.0, 12.0]


def test_nothing_holds_a_version_that_is_gone_until_its_last_time_out(triple: Session) -> None:
    async def work() -> Batcher | None:
        batcher = Batcher(triple, batch_rows=64, name="forgotten")
        await ask(batcher, rows(1), 1000.0)
        batcher.close()
        while any(thread.name == "forgotten" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
        found = weakref.ref(batcher)
        del batcher
        return found()

    assert run(work) is None


def test_the_cost_follows_quiet_runs_not_busy_moments(triple: Session) -> None:
    cost = triple.cost
    cost.fixed_s, cost.row_s, cost.scale = 1e-5, 1e-6, 1.0
    for _ in range(20):
        cost.learn(1, 5e-3)
    assert cost.of(1) < 2e-5
    for _ in range(5000):
        cost.learn(1, 1e-3)
    assert cost.of(1) > 5e-4

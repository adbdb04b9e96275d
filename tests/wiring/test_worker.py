from pathlib import Path

from fiat.wiring.worker import let_go_unheard
from tests.engine.queue_stage import TELLING, add_run, open_queue


def test_a_worker_lets_go_of_a_claim_whose_answer_was_lost_and_of_nobody_elses(tmp_path: Path) -> None:
    with open_queue(tmp_path) as store:
        add_run(store, "r1", spec="one", commit="a" * 40)
        add_run(store, "r2", spec="two", commit="b" * 40)
        lost, other = store.queue.claim("here:1:1"), store.queue.claim("here:2:2")
        assert lost is not None
        assert other is not None
        let_go_unheard(store, "here:1:1", 5, TELLING)
        again = store.queue.claim("here:1:1")
        assert again is not None
        assert (again.id, again.attempt) == (lost.id, 2)
        assert store.queue.beat(other.id, other.fence) == ""


def test_a_claim_that_is_never_heard_is_not_tried_for_ever(tmp_path: Path) -> None:
    with open_queue(tmp_path) as store:
        run = add_run(store)
        for _ in range(3):
            assert store.queue.claim("here:1:1") is not None
            let_go_unheard(store, "here:1:1", 3, TELLING)
        ended = store.queue.find(run.id)
        assert ended is not None
        assert (ended.state, ended.verdict) == ("done", "error")

"""What alarms set off, as a pure decision over everything that is remembered."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.monitor.alarms import Action, AlarmPlan, Done, decide, next_episode
from fiat.monitor.model import ColumnDrift, Episode, Window

MOVED = ColumnDrift("amount", 0.4, 0.0, 0.01, 1e-9, 0.1, alarms=True)
PLAN = AlarmPlan(webhook=True, retrain=True, cool_down_s=100.0, max_retrains=2)


def windows(*alarming: bool, digest: str = "aaaaaaaa", first: int = 1, commit: str = "c1") -> list[Window]:
    found: list[Window] = []
    episode: Episode | None = None
    for serial, alarms in enumerate(alarming, first):
        episode = next_episode(episode, alarms=alarms, serial=serial)
        columns = (MOVED,) if alarms else (replace(MOVED, alarms=False),)
        found.append(
            Window(serial, "drift", digest, "1", commit, 0.0, 1.0, 1000, 1000, columns, episode=episode)
        )
    return found


def perform(
    found: list[Window], plan: AlarmPlan = PLAN, *, now_s: float = 0.0, done: list[Done] | None = None,
    serving: str = "aaaaaaaa",
) -> list[Action]:  # fmt: skip
    """Decide, and remember that it was done."""
    done = [] if done is None else done
    actions = decide(plan, found, done, serving, now_s)
    done += [Done(item.key, item.kind, item.commit, now_s) for item in actions]
    return list(actions)


def told(actions: list[Action]) -> list[tuple[str, str]]:
    return [(item.kind, item.event) for item in actions]


def test_an_alarm_is_told_once_for_as_long_as_it_holds() -> None:
    done: list[Done] = []
    plan = AlarmPlan(webhook=True)
    history = windows(False, True)
    assert told(perform(history, plan, done=done)) == [("webhook", "alarm"), ("status", "alarm")]
    assert perform(history, plan, done=done) == []
    assert perform(windows(False, True, True, False, True), plan, done=done) == []


def test_its_end_is_told_after_two_windows_without_it() -> None:
    done: list[Done] = []
    plan = AlarmPlan(webhook=True)
    perform(windows(True), plan, done=done)
    assert perform(windows(True, False), plan, done=done) == []
    over = perform(windows(True, False, False), plan, done=done)
    assert told(over) == [("webhook", "cleared"), ("status", "cleared")]
    assert perform(windows(True, False, False, False), plan, done=done) == []
    again = perform(windows(True, False, False, False, True), plan, done=done)
    assert told(again) == [("webhook", "alarm"), ("status", "alarm")]


def test_who_was_not_told_of_an_alarm_is_not_told_of_its_end() -> None:
    assert perform(windows(True, False, False), AlarmPlan(webhook=True)) == []


def test_an_alarm_is_over_when_another_model_serves() -> None:
    done: list[Done] = []
    perform(windows(True), done=done)
    over = perform(windows(True), done=done, serving="bbbbbbbb")
    assert told(over) == [("webhook", "cleared"), ("status", "cleared")]
    assert "another model serves" in over[0].sentence


def test_a_model_is_trained_again_after_the_cool_down_and_up_to_the_cap() -> None:
    done: list[Done] = []
    history = windows(True)
    retrained = []
    for now_s in range(0, 1000, 20):
        retrained += [now_s for item in perform(history, now_s=now_s, done=done) if item.kind == "retrain"]
    assert retrained == [0, 100]


def test_a_new_commit_has_a_count_of_its_own_but_the_cool_down_holds_for_all() -> None:
    done: list[Done] = []
    for now_s in (0, 100, 200):
        perform(windows(True), now_s=now_s, done=done)
    history = windows(True) + windows(True, digest="bbbbbbbb", first=2, commit="c2")
    early = perform(history, now_s=150.0, done=done, serving="bbbbbbbb")
    assert "retrain" not in [item.kind for item in early]
    late = perform(history, now_s=260.0, done=done, serving="bbbbbbbb")
    assert [item.commit for item in late if item.kind == "retrain"] == ["c2"]


def test_a_retraining_whose_model_drifts_too_does_not_go_on_for_ever() -> None:
    done: list[Done] = []
    history: list[Window] = []
    retrained = 0
    for turn in range(20):
        digest = f"{turn:08d}"
        history += windows(True, digest=digest, first=turn + 1)
        actions = perform(history, now_s=1000.0 * turn, done=done, serving=digest)
        retrained += sum(item.kind == "retrain" for item in actions)
    assert retrained == 2


def test_drift_and_quality_together_ask_for_one_retraining() -> None:
    both = windows(True)
    both.append(replace(both[0], serial=2, kind="quality", episode=Episode(2)))
    assert [item.kind for item in perform(both)].count("retrain") == 1


def test_warnings_alone_retrain_nothing() -> None:
    assert told(perform(windows(True), AlarmPlan())) == [("status", "alarm")]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=25), st.data())
def test_who_is_killed_anywhere_does_nothing_twice(alarming: list[bool], data: st.DataObject) -> None:
    done: list[Done] = []
    performed: list[str] = []
    for end in range(1, len(alarming) + 1):
        history = windows(*alarming[:end])
        for action in decide(PLAN, history, done, "aaaaaaaa", now_s=30.0 * end):
            done.append(Done(action.key, action.kind, action.commit, 30.0 * end))
            performed.append(action.key)
            if data.draw(st.booleans()):
                break  # killed: what follows is decided again the next time
    assert len(performed) == len(set(performed))
    assert sum(key.startswith("retrain") for key in performed) <= PLAN.max_retrains

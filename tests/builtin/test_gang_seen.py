"""What several workers read, as what their step depends on."""

from fiat.builtin.gang_seen import joint_seen


def test_what_any_worker_read_counts() -> None:
    first = {"resumed": "x", "observed": {"read": ["a.py", "0.csv"], "absent": ["b"], "listed": ["rows"]}}
    second = {"observed": {"read": ["a.py", "1.csv"], "absent": [], "listed": ["."]}}
    assert joint_seen([first, second]) == {
        "resumed": "x",
        "observed": {"read": ["0.csv", "1.csv", "a.py"], "absent": ["b"], "listed": [".", "rows"]},
    }


def test_what_one_worker_made_for_the_others_does_not_count() -> None:
    first = {"observed": {"read": ["a.py"]}, "made": ["cache.npy"]}
    second = {"observed": {"read": ["a.py", "cache.npy"]}, "made": []}
    assert joint_seen([first, second]) == {"observed": {"read": ["a.py"]}}


def test_a_result_that_user_code_spoilt_changes_nothing() -> None:
    for spoilt in ({"observed": 3, "made": {}}, {"observed": {"read": [1, None]}, "made": "abc"}, {}):
        assert joint_seen([{"observed": {"read": ["a"]}}, spoilt]) == {"observed": {"read": ["a"]}}
    assert joint_seen([{}, {}]) == {}

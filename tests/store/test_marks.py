from collections.abc import Callable

from fiat.store.store import Store


def test_a_mark_is_kept_until_it_is_set_anew_or_dropped(reopen: Callable[[], Store]) -> None:
    assert reopen().marks.get("heads acme/models") is None
    reopen().marks.set("heads acme/models", "a")
    reopen().marks.set("heads acme/models", "b")
    reopen().marks.set("heads acme/models", "b")
    assert reopen().marks.get("heads acme/models") == "b"
    assert reopen().marks.get("heads acme/model") is None
    reopen().marks.drop("heads acme/models")
    reopen().marks.drop("heads acme/models")
    assert reopen().marks.get("heads acme/models") is None


def test_keys_of_any_length_are_told_apart(store: Store) -> None:
    keys = ["é" * 5000 + end for end in ("a", "b")]
    for key in keys:
        store.marks.set(key, key[-1] * 100_000)
    assert [(store.marks.get(key) or "")[:1] for key in keys] == ["a", "b"]

"""What several workers were seen to read, as what their step depends on."""

from collections.abc import Mapping, Sequence

OBSERVED, MADE = "observed", "made"


def joint_seen(results: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The first worker's result with what any of them read in it.

    What one of them made and another one read is nothing that the step depends on.

    Args:
        results: what each worker's child wrote (see `fiat.builtin.child`), the first one's first. User code may have
            written anything there.
    """
    joint = {name: value for name, value in results[0].items() if name != MADE}
    made = {name for result in results for name in _texts(result.get(MADE))}
    kinds: dict[str, set[str]] = {}
    for result in results:
        observed = result.get(OBSERVED)
        for kind, names in observed.items() if isinstance(observed, Mapping) else ():
            kinds.setdefault(str(kind), set()).update(_texts(names))
    if kinds:
        joint[OBSERVED] = {
            kind: sorted(names - made if kind == "read" else names) for kind, names in kinds.items()
        }
    return joint


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []

from collections.abc import Callable

import pytest

from fiat.spec.load import LoadedSpec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

HEAD = "fiat: 1\nname: x\ndata: {raw: {source: {path: x}}}\n"
TRAIN = HEAD + "train: {call: 'm:f', with: {lr: 0.1, width: 8, kind: a}}\n"


def tune(search: str, more: str = "") -> str:
    return f"{TRAIN}tune: {{search: {{{search}}}, objective: {{maximize: accuracy}}{more}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "train: {call: 'm:f', resources: {workers: 2, gpus: 0.5}}\n",
            (
                "train.resources.gpus: workers that share their batches can't share a GPU "
                "(give each a whole one: `gpus: 1`)"
            ),
        ),
        (
            HEAD + "steps: {a: {run: x, resources: {workers: 2, gpus: 0.5}}}\n",
            (
                "steps.a.resources.gpus: workers that share their batches can't share a GPU "
                "(give each a whole one: `gpus: 1`)"
            ),
        ),
        (
            HEAD + "train: {call: 'm:f', warm_start: baseline}\n",
            ("train.warm_start: the spec names no baseline to start from (add `baseline: {from: main}`)"),
        ),
        (
            tune("widths: [1, 2]"),
            "tune.search.widths: `train` has no parameter `widths` (did you mean `width`?)",
        ),
        (
            tune("lr: {log: [1.0e-3, 1], when: {kid: a}}, kind: [a, b]"),
            "tune.search.lr.when.kid: `kid` is not searched (did you mean `kind`?)",
        ),
        (
            tune("lr: {log: [1.0e-3, 1], when: {lr: 1}}"),
            "tune.search.lr.when.lr: `lr` is not searched",
        ),
        (
            tune("lr: {log: [1.0e-3, 1], when: {kind: c}}, kind: [a, b]"),
            "tune.search.lr.when.kind: `kind` is never c (it is one of: a, b)",
        ),
        (
            tune("lr: {log: [1.0e-3, 1], when: {kind: [1, true]}}, kind: [1, 2]"),
            "tune.search.lr.when.kind: `kind` is never True (it is one of: 1, 2)",
        ),
        (
            tune("lr: {log: [1.0e-3, 1], when: {width: 9}}, width: {int: [1, 8]}"),
            "tune.search.lr.when.width: `width` is never 9 (it is a whole number from 1 to 8)",
        ),
        (
            tune("kind: {choice: [a, b], when: {lr: 0.5}}, lr: {uniform: [0, 1]}"),
            (
                "tune.search.kind.when.lr: `lr` is never 0.5 "
                "(a range hardly ever meets one value; search it by a list)"
            ),
        ),
        (
            tune("kind: {choice: [a, b], when: {width: 1}}, width: {int: [1, 2], when: {kind: a}}", ""),
            "tune.search.kind.when: `kind` depends on itself",
        ),
        (
            tune("lr: {log: [1.0e-3, 1]}, kind: [a, b]", ", sampler: grid"),
            "tune.search.lr: a grid needs lists of values (write a list, or another `sampler`)",
        ),
        (
            tune("width: {int: [1, 8]}, kind: [a, b]", ", sampler: grid, trials: 15"),
            (
                "tune.trials: the grid has 16 combinations, more than 15 trials "
                "(leave `trials` out to try all, search fewer values, or at `random`)"
            ),
        ),
        (
            tune("width: {int: [1, 8], when: {kind: a}}, kind: [a, b]", ", sampler: grid, trials: 8"),
            (
                "tune.trials: the grid has 9 combinations, more than 8 trials "
                "(leave `trials` out to try all, search fewer values, or at `random`)"
            ),
        ),
        (
            HEAD + "tune: {search: {lr: [1, 2]}, objective: {maximize: accuracy}}\n",
            "tune: `tune` needs `train`, which makes the model",
        ),
    ],
)
def test_a_contradiction_is_named_where_it_stands(complain: Complain, text: str, message: str) -> None:
    told = [line.split(": ", 1) for line in complain(text)]
    key = message.split(": ")[0]
    assert [said for _, said in told if said.startswith(f"{key}:")] == [message]
    place = next(place for place, said in told if said == message)
    assert place.startswith(f"spec.yaml:{len(text.splitlines())}:")


@pytest.mark.parametrize(
    "text",
    [
        tune("lr: {log: [1.0e-3, 1], when: {kind: [a, c]}}, kind: [a, b, c]"),
        tune("lr: {log: [1.0e-3, 1], when: {width: 1.0}}, width: [1, 2]"),
        tune("dropout: {uniform: [0, 1]}"),
        tune("width: {int: [1, 8]}, kind: [a, b]", ", sampler: grid"),
        tune("width: {int: [1, 8]}, kind: [a, b]", ", sampler: grid, trials: 16"),
        HEAD + "train: {call: 'm:f', resources: {workers: 2, gpus: 1}}\n",
        HEAD + "train: {call: 'm:f', warm_start: baseline}\nbaseline: {from: main}\n",
    ],
)
def test_what_goes_together_is_taken(load: Load, text: str) -> None:
    assert load(text).spec.name == "x"

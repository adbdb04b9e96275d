import re
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import INPUTS, sample_run, step

from fiat.builtin.svg_graph import step_graph
from fiat.builtin.svg_layout import BOX_HEIGHT, lay_out_graph


def test_steps_stand_after_their_inputs() -> None:
    layout = lay_out_graph(list(INPUTS), INPUTS)
    assert layout.layers == (("data.scans",), ("train",), ("export",), ("evaluate",), ("gates",))


def test_an_edge_that_a_longer_way_says_is_left_out() -> None:
    layout = lay_out_graph(list(INPUTS), INPUTS)
    assert [(source, target) for source, target, _ in layout.edges] == [
        ("data.scans", "train"),
        ("train", "export"),
        ("export", "evaluate"),
        ("evaluate", "gates"),
    ]


def test_boxes_and_lanes_of_a_column_do_not_touch() -> None:
    names = [f"s{number}" for number in range(30)]
    inputs = {name: [names[at // 3], names[at // 2]] for at, name in enumerate(names) if at}
    layout = lay_out_graph(names, inputs)
    for layer in layout.layers:
        middles = sorted(layout.middles[name] for name in layer)
        assert all(b - a >= BOX_HEIGHT for a, b in pairwise(middles))
    assert min(layout.middles.values()) >= 0
    assert max(layout.middles.values()) <= layout.height


def test_an_edge_over_several_columns_has_a_lane_in_each() -> None:
    layout = lay_out_graph(["a", "b", "c", "d", "x"], {"b": ["a"], "c": ["b"], "d": ["c", "x"]})
    lanes = {(source, target): len(lanes) for source, target, lanes in layout.edges}
    assert lanes == {("a", "b"): 0, ("b", "c"): 0, ("c", "d"): 0, ("x", "d"): 2}


def test_the_graph_is_well_formed_and_says_state_time_and_reason() -> None:
    drawn = step_graph(sample_run().steps, INPUTS)
    root = ElementTree.fromstring(drawn)
    titles = [item.text for item in root.iter("title")]
    assert "train: ran, 40 s (params: lr 0.003 -> 0.01)" in titles
    assert "data.scans: reused (nothing changed)" in titles
    assert len(re.findall('class="edge"', drawn)) == 4


def test_a_chain_of_three_hundred_steps_is_drawn() -> None:
    steps = [step(f"s{number}") for number in range(300)]
    inputs = {f"s{number}": (f"s{number - 1}",) for number in range(1, 300)}
    assert step_graph(steps, inputs).count('class="edge"') == 299


def test_unknown_inputs_are_left_out() -> None:
    assert step_graph([step("a")], {"a": ("nowhere",)}).count('class="edge"') == 0

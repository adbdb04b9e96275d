"""Training data held against what clients really sent: nothing yet, no skew, skew, and nothing done twice."""

import random
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from fiat.builtin.service_stop import stop
from fiat.monitor.log_files import log_files
from fiat.serving.place import Place

sys.path.insert(0, str(Path(__file__).parent))
from checkout import Done, ExampleCheckout, make_checkout

pytestmark = pytest.mark.slow
SPEC = """\
fiat: 1
name: small
data:
  people:
    source: {path: people.csv}
    label: rich
    drop: [id]
    split: {train: 3, test: 1, key: id}
    checks:
      - skew: {against: serving, max: 0.1}
transform:
  - {columns: [age], apply: [{impute: median}, standardize]}
  - {columns: [city], apply: [lower, strip, one_hot]}
train: {call: "model:train"}
evaluate: {metrics: [accuracy]}
monitor: {log: {redact: []}}
deploy:
  production: {to: service}
"""
MODEL = """\
from sklearn.linear_model import LogisticRegression


def train(data):
    return LogisticRegression().fit(data.train.features, data.train.codes)
"""
N_REQUESTS = 300
CITIES = ("Rome", "Oslo", "Lima", "")


def person(chance: random.Random) -> tuple[int | None, str]:
    """An age, missing now and then, and a city."""
    age, city = chance.randrange(20, 60), chance.choice(CITIES)
    return (None if chance.random() < 0.05 else age), city


def people(seed: int, *, older: int = 0) -> str:
    chance = random.Random(seed)
    lines = ["id,age,city,rich"]
    for number in range(2000):
        age, city = person(chance)
        rich = "yes" if (age or 0) > 40 else "no"
        lines.append(f"{seed}-{number},{'' if age is None else age + older},{city},{rich}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[ExampleCheckout]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name, text in (("spec.yaml", SPEC), ("model.py", MODEL), ("people.csv", people(1))):
        (folder / name).write_text(text)
    yield make_checkout(folder)
    stop(place_of(folder).folder)


def place_of(folder: Path) -> Place:
    return Place(folder / ".fiat" / "services" / "production" / "small")


def run(checkout: ExampleCheckout, code: int = 0) -> Done:
    done = checkout.fiat("run", "spec.yaml", "--json", "--compute", "local")
    assert done.code == code, done.out + done.err
    return done


def states(done: Done) -> dict[str, str]:
    return {step["name"]: step["state"] for step in done.document["steps"]}


def done_again(done: Done) -> set[str]:
    return {name for name, state in states(done).items() if state != "reused"}


def gate(done: Done) -> Any:
    (found,) = done.document["gates"]
    return found


def written(place: Place) -> int:
    return sum(pq.read_metadata(file.path).num_rows for file in log_files(place.predictions))


def send(place: Place, n_requests: int) -> None:
    """Ask the service as its clients do, and wait until all is written down."""
    before = written(place)
    port = orjson.loads(place.server.read_bytes())["port"]
    chance = random.Random(7)
    for number in range(n_requests):
        age, city = person(chance)
        inputs = [
            {"name": "age", "shape": [1, 1], "datatype": "FP64", "data": [age]},
            {"name": "city", "shape": [1, 1], "datatype": "BYTES", "data": [city]},
        ]
        body = orjson.dumps({"id": f"r{number}", "inputs": inputs})
        url = f"http://127.0.0.1:{port}/v2/models/small/infer"
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            assert answer.status == 200
    deadline = time.monotonic() + 30
    while written(place) < before + n_requests:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_data_are_held_against_what_clients_sent_to_the_service(checkout: ExampleCheckout) -> None:
    first = run(checkout)
    assert gate(first)["state"] == "pass"
    assert "nothing was served yet" in gate(first)["reason"]
    assert set(states(run(checkout)).values()) == {"reused"}

    place = place_of(checkout.folder)
    send(place, N_REQUESTS)
    served = run(checkout)
    assert states(served)["check.people"] == "ran"
    assert (gate(served)["state"], "served" in gate(served)["reason"]) == ("pass", False)
    # Another reference makes no other model.
    assert served.document["model"] == first.document["model"]
    assert done_again(served) == {"check.people", "package"}  # the same package, as its digest says
    assert set(states(run(checkout)).values()) == {"reused"}

    send(place, N_REQUESTS)
    assert done_again(run(checkout)) == {"check.people"}

    (checkout.folder / "people.csv").write_text(people(2, older=15))
    skewed = run(checkout, code=1)
    assert gate(skewed)["state"] == "fail"
    assert "age" in gate(skewed)["reason"]
    assert "from serving" in gate(skewed)["reason"]
    assert gate(skewed)["key"] == "data.people.checks[0].skew"
    assert states(skewed)["train"] == "skipped"
    again = run(checkout, code=1)
    assert states(again)["check.people"] == "reused"

    shown = checkout.fiat("data", "check", "spec.yaml", "--json")
    assert shown.code == 1
    assert "skew" in shown.out

"""`fiat monitor` and `fiat labels` on the folder of a service, as people use them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.cli.main import main
from fiat.monitor.memory import Memory
from fiat.serving.place import Place
from fiat.wiring.monitor import watch_service
from tests.monitor.watch_stage import logged, reference, release, two_columns, write_log

DRAW = np.random.default_rng(2)
SETTINGS = {
    "drift": {"max": 0.1, "window": 100},
    "quality": {"metric": "accuracy", "min": 0.9, "min_labels": 50},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "taxi")
    release(place, reference(two_columns(DRAW, 5000)))
    write_log(place, logged(two_columns(DRAW, 200), prediction=pa.array(["cat"] * 200)))
    Memory(place.watch).folder.mkdir()
    Memory(place.watch).keep_settings(SETTINGS)
    return place


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    return capsys.readouterr().out


def test_a_service_without_an_alarm_is_shown_and_exits_well(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown(capsys, "monitor", "taxi")
    assert "taxi: 2 windows of requests, no alarm" in said
    assert "amount" in said
    assert "Rome" in said


def test_an_alarm_is_shown_on_the_terminal_and_the_page_and_exits_with_1(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(place, logged(two_columns(DRAW, 100, shift=2.0), first=200), number=1)
    said = shown(capsys, "monitor", "taxi", "--html", "page.html", code=1)
    assert "✗ drift since 2026-03-01 10:03 UTC: in 100 requests to version 1 moved: amount by" in said
    page = Path("page.html").read_text("utf-8")
    assert "1 alarm" in page
    assert "moved: amount by" in page
    assert "<script" not in page
    document = json.loads(shown(capsys, "monitor", "taxi", "--json", code=1))
    assert [window["serial"] for window in document["windows"]] == [1, 2, 3]
    assert document["windows"][2]["columns"][0]["name"] == "amount"
    assert document["windows"][2]["columns"][0]["alarms"] is True


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_labels_come_from_files_and_make_quality(
    place: Place, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    rows = [{"request_id": f"r{n}", "label": "cat" if n % 4 else "dog"} for n in range(80)]
    file = Path(f"labels.{form}")
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([*rows, {"request_id": "r1", "label": None}]), file)
    elif form == "csv":
        file.write_text(
            "request_id,label\n" + "".join(f"{row['request_id']},{row['label']}\n" for row in rows) + "r1,\n"
        )
    else:
        lines = [*rows, {"request_id": "r1", "label": None}]
        file.write_text("".join(json.dumps(row) + "\n" for row in lines))
    said = shown(capsys, "labels", str(file), "taxi")
    assert said.startswith("80 labels to ")
    assert "1 rows without a label" in said
    said = shown(capsys, "monitor", "taxi", code=1)
    assert "accuracy of version 1 is 0.75" in said


def test_labels_that_look_like_numbers_are_what_they_are_written_as(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels.csv").write_text("request_id,label,row\n0017,07,2\n")
    shown(capsys, "labels", "labels.csv", "taxi")
    (file,) = place.labels.glob("*.parquet")
    (row,) = pq.read_table(file).to_pylist()
    assert (row["request_id"], row["label"], row["row"], row["number"]) == ("0017", "07", 2, 7.0)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("labels.csv", "id,label\n1,2\n", "there is no column request_id"),
        ("labels.txt", "", "is no file of labels"),
        ("gone.csv", None, "there is no such file"),
    ],
)
def test_a_file_that_holds_no_labels_is_refused_with_what_was_expected(
    place: Place, capsys: pytest.CaptureFixture[str], name: str, text: str | None, told: str
) -> None:
    if text is not None:
        Path(name).write_text(text)
    assert main(["labels", name, "taxi"]) == 2
    assert told in capsys.readouterr().err
    assert not place.labels.exists()


def test_a_place_that_is_no_service_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    Path("elsewhere").mkdir()
    assert main(["monitor", "elsewhere"]) == 2
    assert "elsewhere is no folder of a service" in capsys.readouterr().err
    assert main(["monitor", "nothing"]) == 3
    assert "no store" in capsys.readouterr().err


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict]]]:
    told: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(
                {"path": self.path, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))}
            )
            self.send_response(503 if len(told) > 3 else 200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}", told
    found.shutdown()
    found.server_close()


def test_labels_go_to_a_server_by_its_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: tuple[str, list[dict]]
) -> None:
    url, told = server
    file = tmp_path / "labels.csv"
    file.write_text("request_id,label\n" + "".join(f"r{n},cat\n" for n in range(2500)))
    assert "2,500 labels to http" in shown(capsys, "labels", str(file), url)
    assert [(item["path"], len(item["labels"])) for item in told] == [
        ("/fiat/labels", n) for n in (1000, 1000, 500)
    ]
    assert told[0]["labels"][7] == {"id": "r7", "row": 0, "label": "cat"}
    assert main(["labels", str(file), url]) == 3
    assert "answered 503 after 0 labels" in capsys.readouterr().err


def test_settings_of_a_watched_folder_hold_no_address(place: Place) -> None:
    watch_service(place, {**SETTINGS, "webhook": "https://example.org/secret"}, 1.0)
    kept = Memory(place.watch).settings()
    assert kept == SETTINGS
    assert all("secret" not in path.read_text("utf-8") for path in place.watch.iterdir())

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from markdown_reader import Read, read
from page_samples import sample_page, sample_run, step
from queue_samples import COMMIT, refused_run

from fiat.builtin.command_words import parse
from fiat.builtin.report_comment import (
    Topic,
    broken_body,
    ended_body,
    held_body,
    marker,
    plan_body,
    pull_comment,
    reply_comment,
    result_body,
)
from fiat.builtin.report_markdown import MOST_CHARS
from fiat.errors import SpecError, Where
from fiat.plan.model import Decision, Plan, Step
from fiat.ports.report import Told
from fiat.run.model import GateResult, Metric, Run, StepResult

URL = "https://fiat.example/runs/r1"
TOPIC = Topic("acme/models", "digits", COMMIT, 7, "main", "20261121-061500-4f2a1c", URL)
OUR_HTML = ("<details>\n<summary>", "<details open>\n<summary>", "</details>")


def told(run: Run | None = None, **more: object) -> Told:
    page = sample_page()
    values: dict[str, object] = {
        "run": run or sample_run(),
        "evaluation": page.evaluation,
        "baseline_metrics": page.baseline_metrics,
        "baseline_name": page.baseline,
        "plots": page.plots,
        "curves": page.curves,
        "data": page.data,
        "warnings": ("test has labels that train does not have: 9",),
    }
    return Told(**{**values, **more})  # type: ignore[arg-type]


def is_ours(found: Read) -> None:
    """Nothing of the text but what we put there: one address, our own folding, no images, one heading."""
    assert set(found.links) <= {URL}
    assert "image" not in found.tokens
    assert "blockquote_open" not in found.tokens
    assert "code_block" not in found.tokens
    assert found.tokens.count("heading_open") <= 1
    assert all(html.startswith(OUR_HTML) for html in found.html)
    assert sum(html.startswith("<details") for html in found.html) == sum(
        "</details>" in html for html in found.html
    )
    assert found.references == []


def test_the_verdict_comes_first_then_what_it_rests_on() -> None:
    found = read(result_body(TOPIC, told()))
    is_ours(found)
    assert found.text.startswith(
        "⚠️ digits passed with warnings gate fairness:check: the gap is 0.041 Commit 0b88f5562d1b"
    )
    assert found.links == [URL]
    order = [
        "accuracy ↑",
        "Baseline:",
        "✅ passed",
        "⚠️ test has labels",
        "By digit",
        "eval_loss",
        "Confusion",
        "data.scans:",
    ]
    places = [found.text.index(word) for word in order]
    assert places == sorted(places)
    assert found.text.endswith("To run it again, comment /fiat run digits.")
    assert [html.split("\n")[1] for html in found.html if "summary" in html] == [
        "<summary>Gates: 1 warned, 1 passed</summary>",
        "<summary>Slices: 4, the worst first</summary>",
        "<summary>Plots</summary>",
        "<summary>Data: 1 dataset</summary>",
        "<summary>Steps: 1 reused, 4 ran, 48 s of work</summary>",
    ]


def test_a_refusal_shows_its_gates_unfolded_and_deploys_nothing() -> None:
    body = result_body(TOPIC, told(refused_run()))
    found = read(body)
    is_ours(found)
    assert found.text.startswith("❌ digits is refused")
    assert found.html[0] == "<details open>\n<summary>Gates: 2 refused, 1 warned</summary>\n"
    assert ["❌ refused", "accuracy >= 0.88", "accuracy 0.85 [0.81, 0.89] is below 0.88"] in found.rows
    assert "A merge as it is would deploy nothing." in found.text


def test_what_a_merge_would_deploy_and_change_is_told() -> None:
    run = replace(
        refused_run(),
        verdict="pass",
        config={
            "deploy": {
                "shelf": {"to": "directory"},
                "edge": {"to": "edge", "when": {"branch": "release"}},
                "here": {"to": "directory", "when": {"branch": "main"}},
            }
        },
    )
    changed = (
        ("gates[0].min", 0.95, 0.5),
        ("deploy.prod", None, {"to": "directory"}),
        ("triggers", {"a": 1}, None),
    )
    found = read(result_body(TOPIC, told(run, changed=changed)))
    is_ours(found)
    assert "After the merge it is deployed to shelf (directory), here (directory)." in found.text
    assert "judged by what stands on main" in found.text
    assert ["gates[0].min", "0.95", "0.5"] in found.rows
    assert ["deploy.prod", "–", '{"to": "directory"}'] in found.rows
    assert ["triggers", '{"a": 1}', "–"] in found.rows


def test_a_push_has_no_words_about_a_merge() -> None:
    found = read(result_body(replace(TOPIC, pull=0), told(refused_run(), changed=(("gates", 1, 2),))))
    assert "merge" not in found.text
    assert "/fiat" not in found.text


def test_rules_that_refuse_and_the_sandbox_are_told() -> None:
    topic = replace(TOPIC, refused=("target `prod` is not granted to this repository",), sandboxed=False)
    for body in (result_body(topic, told()), plan_body(topic, PLAN, (), {})):
        text = read(body).text
        assert "⛔ target prod is not granted to this repository" in text
        assert "⛔ target `prod` is not" in body
        assert "sandbox off" in text


def test_a_target_that_is_not_granted_is_told_once_and_nothing_else_is_promised() -> None:
    rule = "target prod is not granted"
    run = replace(sample_run(), reason=rule, config={"deploy": {"prod": {"to": "directory"}}})
    body = result_body(replace(TOPIC, refused=(rule,)), told(run))
    assert body.count(rule) == 1
    assert "A merge as it is would deploy nothing." in body


def test_a_broken_run_shows_its_steps_and_the_end_of_what_they_printed() -> None:
    run = replace(
        sample_run(),
        verdict="error",
        reason="step train failed: ValueError",
        steps=(step("train", "failed", "ValueError"), step("export", "skipped", "train failed")),
        metrics=(),
        gates=(),
    )
    topic = replace(
        TOPIC, logs={"train": ["\x1b[31mValueError: @octocat\x1b[0m", "```", "</details>", "/merge"]}
    )
    found = read(result_body(topic, Told(run)))
    is_ours(found)
    assert found.text.startswith("⛔ digits failed step train failed: ValueError")
    assert found.blocks == ["│ ValueError: @octocat\n│ ```\n│ </details>\n│ /merge\n"]
    assert ["✗ train", "failed", "2.0 s", "ValueError"] in found.rows


def test_an_empty_run_has_no_empty_sections() -> None:
    run = replace(sample_run(), verdict=None, reason="", steps=(), metrics=(), gates=(), config={})
    found = read(result_body(Topic("r", "digits", ""), Told(run)))
    is_ours(found)
    assert found.text == "⛔ digits did not finish 55 s"


PLAN = Plan("digits", ".", "", (Step("data.scans", "data"), Step("train", "call")))


def test_the_plan_is_a_comment_of_its_own_kind() -> None:
    decisions = (
        Decision("data.scans", "reuse", ("nothing changed",)),
        Decision("train", "run", ("params: lr 1 -> 2",)),
    )
    found = read(plan_body(TOPIC, PLAN, decisions, {"train": [60.0]}))
    is_ours(found)
    assert found.text.startswith("⏳ digits runs Commit 0b88f5562d1b · run 20261121-061500-4f2a1c")
    assert "By earlier runs that takes about 1 m 00 s." in found.text
    assert ["train", "▶ run", "1 m 00 s", "params: lr 1 -> 2"] in found.rows


def test_strangers_code_waits_with_the_words_that_start_it() -> None:
    found = read(held_body(TOPIC))
    is_ours(found)
    assert found.blocks == [f"/fiat approve {COMMIT}\n"]
    command = parse(found.blocks[0])
    assert command is not None
    assert command.commit == COMMIT


def test_faults_of_a_spec_are_listed_with_their_places() -> None:
    errors = [
        SpecError("expected a number", hint="write 0.1", where=Where("a|b/spec.yaml", 12, 3, "params.lr"))
    ]
    errors += [SpecError(f"fault {number}") for number in range(99)]
    found = read(broken_body(TOPIC, errors))
    is_ours(found)
    assert found.text.startswith("❌ digits can't run The spec has 100 faults.")
    assert ["a|b/spec.yaml:12:3", "params.lr", "expected a number; write 0.1"] in found.rows
    assert "70 more not shown." in found.text


def test_a_comment_is_found_again_by_its_first_line_whatever_the_names() -> None:
    hostile = "x --> <script>"
    assert (
        marker("acme/models", "digits") != marker("acme/models", "wine") != marker("other/models", "digits")
    )
    assert marker("a\nb", "c") != marker("a", "b c")
    for name in (hostile, "\ud83d", "a\nb"):
        found = read(marker(name, name))
        assert len(found.html) == 1
        assert found.html[0].startswith("<!-- fiat:")
        assert len(marker(name, name)) == len("<!-- fiat: -->") + 24
    comment = pull_comment(TOPIC, "body")
    assert (comment.pull, comment.marker, comment.body) == (7, marker("acme/models", "digits"), "body")
    assert reply_comment(TOPIC, "No.").marker != comment.marker


def test_an_answer_to_a_command_says_what_else_can_be_asked_for() -> None:
    found = read(reply_comment(TOPIC, "@octocat </details> is no name of a spec. Nothing was done.").body)
    is_ours(found)
    assert found.text.startswith("@octocat </details> is no name of a spec. Nothing was done. /fiat run or")
    assert found.codes[0] == "@octocat </details>"
    assert "/fiat approve COMMIT" in found.codes


def hostile_told(text: str) -> Told:
    metrics = (
        Metric(text, 0.5, low=0.4, high=0.6),
        Metric("accuracy", math.nan),
        Metric(text, 0.4, slice=f"{text}={text}", low=0.3, high=0.5, n_rows=3),
        Metric("plain", 0.4, slice=text),
    )
    curve = {"label": text, "fpr": [0, 1], "tpr": [0, 1], "auc": 0.5}
    run = replace(
        sample_run(),
        spec=text,
        reason=text,
        verdict="pass",
        steps=(step(text, reason=text), step(text, "failed", text)),
        metrics=metrics,
        gates=(GateResult(text, "fail", text, 1.0, 2.0, text), GateResult(text, "pass", text)),
        config={"gates": [{"metric": text, "slice": text}], "deploy": {text: {"to": text}}},
    )
    return Told(
        run,
        evaluation={"n_rows": 3, "split": text},
        baseline_metrics=(Metric(text, 0.1),),
        baseline_name=text,
        plots={
            "confusion": {"labels": [text, "b"], "counts": [[1, 2], [3, 4]]},
            "roc": {"curves": [curve]},
            "scores": {"edges": [0, 1], "counts": {text: [1]}},
        },
        curves=((text, Metric(text, 1.0, 0)), (text, Metric(text, 2.0, 1))),
        data={text: {"rows": {text: 3}}},
        warnings=(text,),
        changed=((text, text, {text: text}),),
    )


HOSTILE = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(
        st.sampled_from(
            [
                *(
                    "@octocat",
                    "#12",
                    "</details>",
                    "<summary>",
                    "-->",
                    "`",
                    "```",
                    "|",
                    "\n",
                    "\n\n",
                    "\\",
                    " ",
                    "[x](y)",
                ),
                *(
                    "![x](y)",
                    "https://evil.example",
                    "/merge",
                    "/fiat run",
                    "# h",
                    "> q",
                    "- ",
                    "1. ",
                    "***",
                    "\u202e",
                ),
                *(
                    "$x$",
                    ":tada:",
                    "a@b.c",
                    "\x1b[31m",
                    "&lt;",
                    "<!--",
                    "=== ",
                    "word",
                    "\ud83d",
                    "    ",
                    "GH-1",
                ),
            ]
        ),
        max_size=8,
    ).map("".join),
)


@settings(max_examples=150)
@given(HOSTILE)
def test_whatever_people_named_and_printed_is_only_text(text: str) -> None:
    topic = Topic(text, text, text, 7, text, text, URL, False, (text,), {text: [text, text]})
    plan = Plan(text, ".", "", (Step(text, text),))
    errors = [SpecError(text, hint=text, where=Where(text, 1, 1, text))]
    bodies = [
        result_body(topic, hostile_told(text)),
        plan_body(topic, plan, (Decision(text, "run", (text, text)),), {text: [1.0]}),
        held_body(topic),
        broken_body(topic, errors),
        ended_body(topic, text),
        reply_comment(topic, text).body,
    ]
    for body in bodies:
        is_ours(read(body))
        body.encode("utf-8")
        assert parse(body) is None
        assert not any(
            line.startswith("/") for line in body.splitlines() if not line.startswith("/fiat approve ")
        )


def huge(name: str) -> Told:
    """A run of the largest kind, with names as long and as awkward as they come."""
    metrics = [Metric(f"{name}{number}", 0.5, low=0.4, high=0.6, n_rows=9) for number in range(1000)]
    metrics += [
        Metric(
            f"{name}{of}",
            number / 500,
            slice=f"column{number % 6}={name}{number}",
            low=0.0,
            high=1.0,
            n_rows=9,
        )
        for number in range(500)
        for of in range(3)
    ]
    steps = tuple(StepResult(f"{name}{number}", "call", "failed", name * 20) for number in range(500))
    labels = [f"{name}{number}" for number in range(10)]
    return Told(
        replace(
            sample_run(),
            verdict="fail",
            reason=name * 50,
            steps=steps,
            metrics=tuple(metrics),
            gates=tuple(GateResult(f"{name}{number}", "fail", name * 50) for number in range(500)),
        ),
        baseline_metrics=tuple(Metric(f"{name}{number}", 0.4, low=0.3, high=0.45) for number in range(1000)),
        baseline_name=name * 50,
        plots={"confusion": {"labels": labels, "counts": [[1] * 10] * 10}},
        curves=tuple(
            (name, Metric(f"{name}{number}", float(at), at)) for number in range(50) for at in range(9)
        ),
        data={f"{name}{number}": {"rows": {name: 3}} for number in range(500)},
        warnings=(name * 50,) * 500,
        changed=tuple((f"{name}{number}", name * 50, name * 50) for number in range(500)),
    )


@pytest.mark.parametrize("name", ["metric", "a`|" * 30], ids=["usual", "awkward"])
def test_the_largest_run_stays_below_the_limit_and_says_what_is_left_out(name: str) -> None:
    lines = {name: [name * 50] * 500}
    body = result_body(replace(TOPIC, refused=(name * 50,) * 500, logs=lines), huge(name))
    assert len(body) <= MOST_CHARS
    found = read(body)
    assert set(found.links) == {URL}
    assert sum(html.startswith("<details") for html in found.html) == sum(
        "</details>" in html for html in found.html
    )
    assert found.text.startswith("❌ digits is refused")
    if name == "metric":
        is_ours(found)
        for said in (
            "970 more metrics in the report",
            "460 more gates in the report",
            "the first 5 of 84 slices",
            "Slices by 2 more columns are in the report",
            "42 more curves in the report",
            "440 more steps in the report",
            "485 more datasets",
            "485 more warnings in the report",
            "470 more changes not shown",
        ):
            assert said in found.text
    else:
        assert "Left out, because the text would be too long" in found.text


def test_the_largest_plan_and_spec_stay_below_the_limit() -> None:
    name = "a`|" * 30
    steps = tuple(Step(f"{name}{number}", "call") for number in range(2000))
    decisions = tuple(Decision(item.name, "run", (name * 20,)) for item in steps)
    topic = replace(TOPIC, refused=(name * 50,) * 500)
    plan = plan_body(topic, Plan("x", ".", "", steps), decisions, {})
    faults = broken_body(topic, [SpecError(name * 50, hint=name * 50, where=Where(name, 1, 1, name))] * 999)
    assert max(len(plan), len(faults)) <= MOST_CHARS
    assert "1,940 more steps not shown" in read(plan).text or "Left out" in read(plan).text
    assert "969 more not shown" in read(faults).text or "Left out" in read(faults).text


def test_where_comments_are_not_read_the_page_is_named() -> None:
    topic = replace(TOPIC, commands=False)
    for body in (held_body(topic), ended_body(topic, "the disk is full")):
        assert "/fiat " not in body
        assert f"[the page of the run]({URL})" in body


def test_what_somebody_cancelled_did_not_fail() -> None:
    run = replace(sample_run(), verdict="error", reason="cancelled by ada")
    assert result_body(TOPIC, Told(run)).startswith("### ⛔ `digits` was cancelled")

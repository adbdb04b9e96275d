import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.run.delivery import Commented, PullChanged, Pushed, Rerequested
from fiat.run.report import Annotation, Check, Deployed, PullComment, Report
from fiat.store.report_codec import pack_happenings, pack_report, unpack_happenings, unpack_report

ANNOTATED = Check(
    "a" * 40,
    "fiat/pr/digits",
    "failure",
    "accuracy 0.81 < 0.9",
    "https://x/1",
    "main",
    "77",
    "# no\n",
    (
        Annotation("spec.yaml", 3, "failure", "no such key", "spec"),
        Annotation("b", 1, "notice", "\0\ud800 \u202e"),
    ),
    cancelled=True,
)


def checks() -> st.SearchStrategy[Report]:
    return st.one_of(
        st.builds(
            Check,
            annotations=st.lists(st.builds(Annotation, line=st.integers(1, 9999)), max_size=3).map(tuple),
        ),
        st.builds(PullComment),
        st.builds(Deployed),
    )


@given(checks())
def test_every_report_comes_back_as_it_was(report: Report) -> None:
    assert unpack_report(pack_report(report)) == report
    assert pack_report(report).isascii()


def test_a_report_with_annotations_and_odd_text_comes_back() -> None:
    assert unpack_report(pack_report(ANNOTATED)) == ANNOTATED


@given(
    st.lists(
        st.one_of(st.builds(Pushed), st.builds(PullChanged), st.builds(Commented), st.builds(Rerequested)),
        max_size=4,
    ).map(tuple)
)
def test_every_happening_comes_back_as_it_was(happenings: tuple[Pushed, ...]) -> None:
    assert unpack_happenings(pack_happenings(happenings)) == happenings


def test_a_field_that_a_later_version_added_is_left_out() -> None:
    later = {**json.loads(pack_report(ANNOTATED)), "colour": "red"}
    later["annotations"][0]["end_line"] = 4
    assert unpack_report(json.dumps(later)) == ANNOTATED


@pytest.mark.parametrize(
    "text", ['{"kind": "telegram"}', "{}", '{"kind": "pushed", "ref": "", "commit": ""}']
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        unpack_report(text)

"""Check runs of a GitHub App: made once, found again after a lost reply, annotated fifty at a time.

Source: https://docs.github.com/en/rest/checks/runs
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from fiat.builtin.forge_github_http import GithubHttp
from fiat.builtin.forge_refusal import Refused, field_of
from fiat.builtin.forge_text import clean, cut_markdown, one_line, url_path
from fiat.errors import Waiting
from fiat.run.report import Annotation, Check

NOTES_A_REQUEST = 50
SUMMARY_LIMIT = 65_535
TITLE_LIMIT = 255
_MESSAGE_BYTES = 60_000
# GitHub marks a check that is not complete after 14 days as stale; a day before that a new one takes its place.
_OLDEST_S = 13 * 86_400
_MARK = "fiat:"


@dataclass(frozen=True)
class _Known:
    """What is remembered of a check run: the channel's memory, as JSON.

    Attributes:
        id: the check run's.
        final: it was completed.
        since_s: when it was made, our clock.
        n_notes: annotations that it has.
        notes: digest of those that were sent last.
    """

    id: int
    final: bool
    since_s: int
    n_notes: int
    notes: str


def send_check(http: GithubHttp, check: Check, memory: str, now_s: float) -> str:
    """Create or update a check run.

    Returns:
        The channel's new memory.

    Raises:
        Refused: GitHub takes no check runs from this credential, or not this one.
        Waiting: as `ForgeHttp.call`.
    """
    known = _recall(memory)
    over = (
        known is not None and check.state == "pending" and (known.final or now_s - known.since_s > _OLDEST_S)
    )
    if known is not None and not over:
        try:
            return _update(http, check, known)
        except Refused as refusal:
            if refusal.status != 404:
                raise
    # Its name and this id find it again; after a re-run or a deletion the earlier one is another.
    external = _external_id(check, known.id if known else 0)
    found = _find(http, check, external)
    if found is not None:
        return _update(http, check, _Known(found, False, int(now_s), 0, ""))
    first = check.annotations[:NOTES_A_REQUEST]
    made = http.call(
        "POST",
        f"{http.root}/check-runs",
        {"name": check.context, "head_sha": check.commit, "external_id": external, **_fields(check, first)},
    ).data
    if not isinstance(field_of(made, "id"), int):
        raise Waiting("GitHub's answer does not tell the new check run's id")
    _send_rest(http, check, made["id"], check.annotations[NOTES_A_REQUEST:])
    final = check.state != "pending"
    return _remember(
        _Known(made["id"], final, int(now_s), len(check.annotations), _digest(check.annotations))
    )


def _update(http: GithubHttp, check: Check, known: _Known) -> str:
    notes, digest = check.annotations, _digest(check.annotations)
    n_before = known.n_notes
    if not notes or digest == known.notes:
        rest: Sequence[Annotation] = ()
        n_after = n_before
    else:
        # GitHub appends; how many of ours arrived before a reply was lost, it alone knows.
        count = field_of(http.call("GET", _path(http, known.id)).data, "output.annotations_count")
        n_there = count if isinstance(count, int) else n_before
        rest = notes[max(0, n_there - n_before) :]
        n_after = n_before + len(notes)
    http.call("PATCH", _path(http, known.id), _fields(check, rest[:NOTES_A_REQUEST]))
    _send_rest(http, check, known.id, rest[NOTES_A_REQUEST:])
    final = check.state != "pending"
    return _remember(_Known(known.id, final, known.since_s, n_after, digest if notes else known.notes))


def _send_rest(http: GithubHttp, check: Check, run_id: int, notes: Sequence[Annotation]) -> None:
    for start in range(0, len(notes), NOTES_A_REQUEST):
        http.call("PATCH", _path(http, run_id), _fields(check, notes[start : start + NOTES_A_REQUEST]))


def _path(http: GithubHttp, run_id: int) -> str:
    return f"{http.root}/check-runs/{run_id}"


def _find(http: GithubHttp, check: Check, external: str) -> int | None:
    path = http.root + url_path("/commits/{sha}/check-runs", {"sha": check.commit})
    query = urlencode({"check_name": check.context, "filter": "all", "per_page": 100})
    try:
        for page in http.pages(f"{path}?{query}"):
            for run in page:
                own = run.get("external_id") == external and http.is_us(run.get("app"))
                if own and isinstance(run.get("id"), int):
                    return int(run["id"])
    except Refused as refusal:
        if refusal.status not in (404, 422):  # a fresh commit: creating it says the same, if it is so
            raise
    return None


def _fields(check: Check, notes: Sequence[Annotation]) -> dict[str, Any]:
    title = one_line(check.description, TITLE_LIMIT) or one_line(check.context, TITLE_LIMIT)
    output: dict[str, Any] = {"title": title, "summary": cut_markdown(check.summary or title, SUMMARY_LIMIT)}
    if notes:
        output["annotations"] = [_note(note) for note in notes]
    fields: dict[str, Any] = {"output": output}
    if check.state == "pending":
        fields["status"] = "in_progress"
    else:
        fields |= {"status": "completed", "conclusion": _conclusion(check)}
    if check.url:
        fields["details_url"] = check.url
    return fields


def _conclusion(check: Check) -> str:
    if check.state == "success":
        return "success"
    return "cancelled" if check.state == "error" and check.cancelled else "failure"


def _note(note: Annotation) -> dict[str, Any]:
    line = max(1, note.line)
    shown = {
        "path": one_line(note.path, 4096) or ".",
        "start_line": line,
        "end_line": line,
        "annotation_level": note.level,
        "message": _bytes_of(clean(note.message) or "-"),
    }
    return shown | ({"title": title} if (title := one_line(note.title, TITLE_LIMIT)) else {})


def _bytes_of(text: str) -> str:
    return text.encode("utf-8")[:_MESSAGE_BYTES].decode("utf-8", "ignore")


def _external_id(check: Check, previous: int) -> str:
    told = json.dumps([check.commit, check.context, check.url]).encode()
    return f"{_MARK}{hashlib.sha256(told).hexdigest()[:24]}:{previous}"


def _digest(notes: Sequence[Annotation]) -> str:
    return (
        hashlib.sha256(json.dumps([asdict(note) for note in notes]).encode()).hexdigest()[:16]
        if notes
        else ""
    )


def _remember(known: _Known) -> str:
    return json.dumps(asdict(known))


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "id": lambda value: isinstance(value, int),
    "final": lambda value: isinstance(value, bool),
    "since_s": lambda value: isinstance(value, int),
    "n_notes": lambda value: isinstance(value, int),
    "notes": lambda value: isinstance(value, str),
}


def _recall(memory: str) -> _Known | None:
    """What was remembered; None for nothing, or for what another credential or version remembered."""
    try:
        data = json.loads(memory)
    except ValueError:
        return None
    if not isinstance(data, dict) or data.keys() != _KINDS.keys():
        return None
    return _Known(**data) if all(fits(data[name]) for name, fits in _KINDS.items()) else None

"""Commit statuses on GitLab: a state machine, and a way around for commits of forks.

Source: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
"""

import hashlib
from collections.abc import Callable
from urllib.parse import quote, urlencode

from fiat.builtin.forge_http import ForgeHttp, items_of
from fiat.builtin.forge_refusal import Refused
from fiat.builtin.forge_text import one_line, url_path
from fiat.run.report import Check, PullComment

TEXT_LIMIT = 255
_FINAL = {"success": "success", "failure": "failed", "error": "failed"}
_NOTED = "note:"
_GONE = 410
_CLOSED = (401, 403, _GONE)
_UNKNOWN = 404
_BEGUN = ("pending", "running")

WriteNote = Callable[[Check, PullComment, str], str]


def send_status(http: ForgeHttp, root: str, check: Check, memory: str, write_note: WriteNote) -> str:
    """Set a commit's status; for a fork's commit in its own project, else in ours, else as a note.

    Args:
        http: GitLab.
        root: path of our project.
        check: what to say.
        memory: the last word that was set, or `note:` and the id of the note.
        write_note: writes a comment on the merge request whose head the commit is, and returns its id.

    Returns:
        The channel's new memory.

    Raises:
        Refused: GitLab takes no status from this credential.
        Waiting: as `ForgeHttp.call`.
    """
    if memory.startswith(_NOTED):
        return _NOTED + write_note(check, _as_note(check), memory.removeprefix(_NOTED))
    word = _word(check, memory)
    if not check.head_repo_id:
        _set(http, root, check, word)
        return word
    fork = f"/projects/{quote(check.head_repo_id, safe='')}"
    # The fork must have the commit, be it later; that our project has it is luck.
    for project, closed in ((fork, _CLOSED), (root, (*_CLOSED, _UNKNOWN))):
        try:
            _set(http, project, check, word)
        except Refused as refusal:
            if refusal.status not in closed:
                raise
        else:
            return word
    return _NOTED + write_note(check, _as_note(check), "")


def _word(check: Check, memory: str) -> str:
    if check.state == "pending":
        # `pending` can't follow itself; the next step on is `running`.
        return "running" if memory in _BEGUN else "pending"
    return "canceled" if check.cancelled and check.state == "error" else _FINAL[check.state]


def _set(http: ForgeHttp, root: str, check: Check, word: str) -> None:
    name = _name(check.context)
    fields = {"state": word, "name": name, "description": one_line(check.description, TEXT_LIMIT)}
    if check.ref:
        fields["ref"] = check.ref
    if check.url and len(check.url) <= TEXT_LIMIT:
        fields["target_url"] = check.url
    sha = {"sha": check.commit}
    try:
        http.call("POST", root + url_path("/statuses/{sha}", sha), fields)
    except Refused as refusal:
        if refusal.status == _UNKNOWN and "project" in refusal.said.lower():
            raise Refused(_GONE, refusal.said, refusal.asked) from refusal
        if refusal.status != 400:
            raise
        # A move that its state machine does not know is no failure when the state is there already.
        query = urlencode({"name": name, **({"ref": check.ref} if check.ref else {})})
        path = root + url_path("/repository/commits/{sha}/statuses", sha)
        there = [item.get("status") for item in items_of(http.call("GET", f"{path}?{query}").data)]
        wanted = _BEGUN if word in _BEGUN else (word,)
        if not any(state in wanted for state in there):
            raise


def _name(context: str) -> str:
    """The context; a longer one than GitLab takes keeps its top and stays unique."""
    if len(context) <= TEXT_LIMIT:
        return context
    return context[: TEXT_LIMIT - 17] + "-" + hashlib.sha256(context.encode()).hexdigest()[:16]


def _as_note(check: Check) -> PullComment:
    mark = hashlib.sha256(check.context.encode()).hexdigest()[:16]
    link = f" ([run](<{check.url}>))" if check.url.isascii() and check.url.isprintable() and check.url else ""
    context, words = (_inert(text) for text in (check.context, check.description))
    body = f"{context}: **{check.state}**, {words}{link}"
    return PullComment(0, f"<!-- fiat:status:{mark} -->", body)


def _inert(text: str) -> str:
    """A text as code, so that names of strangers stay text."""
    return "`" + one_line(text, TEXT_LIMIT).replace("`", "'") + "`"

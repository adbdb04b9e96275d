"""One comment on a pull request, found by its marker, written by us alone, and edited in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fiat.builtin.forge_http import ForgeHttp
from fiat.builtin.forge_refusal import Refused, field_of
from fiat.builtin.forge_text import cut_markdown
from fiat.errors import Waiting
from fiat.run.report import PullComment

_GONE = 404


@dataclass(frozen=True)
class CommentDesk:
    """How a forge takes comments.

    Attributes:
        listed: path of the comments of the pull request; writing a new one goes there too.
        one: path of a comment, with `{id}`.
        edit: method that edits one.
        limit: most characters of a body.
        ours: whether we wrote a comment; a stranger may have written our marker.
    """

    listed: str
    one: str
    edit: str
    limit: int
    ours: Callable[[Mapping[str, Any]], bool]


def keep_comment(http: ForgeHttp, desk: CommentDesk, report: PullComment, memory: str) -> str:
    """Write the comment, or edit the one that is there.

    Args:
        http: the forge.
        desk: its ways with comments.
        report: what to say.
        memory: id of the comment, empty when it is not known.

    Returns:
        The comment's id.

    Raises:
        Refused: the forge takes no comment.
        Waiting: as `ForgeHttp.call`.
    """
    top = report.marker + "\n"
    body = {"body": top + cut_markdown(report.body, desk.limit - len(top))}
    if memory.isdigit() and _edited(http, desk, memory, body):
        return memory
    found = _find(http, desk, report.marker)
    if found:
        # One that is listed and can't be edited is about to appear or to vanish; a second one would stay.
        if found == memory or not _edited(http, desk, found, body):
            raise Waiting(f"{http.title} lists comment {found}, and says that it is not there")
        return found
    made = field_of(http.call("POST", desk.listed.partition("?")[0], body).data, "id")
    if not isinstance(made, int):
        raise Waiting(f"{http.title}'s answer does not tell the new comment's id")
    return str(made)


def _edited(http: ForgeHttp, desk: CommentDesk, comment_id: str, body: Mapping[str, str]) -> bool:
    """False when somebody deleted the comment."""
    try:
        http.call(desk.edit, desk.one.format(id=comment_id), body)
    except Refused as refusal:
        if refusal.status != _GONE:
            raise
        return False
    return True


def _find(http: ForgeHttp, desk: CommentDesk, marker: str) -> str:
    for page in http.pages(desk.listed):
        for comment in page:
            text, comment_id = comment.get("body"), comment.get("id")
            marked = isinstance(text, str) and text.startswith(marker) and isinstance(comment_id, int)
            if marked and desk.ours(comment):
                return str(comment_id)
    return ""

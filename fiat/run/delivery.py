"""What a forge told us, read from a webhook: hints about git, never authority over what git says."""

from dataclasses import dataclass
from typing import Literal

PullAction = Literal["opened", "updated", "closed", "other"]


@dataclass(frozen=True)
class Pushed:
    """A branch or tag moved.

    Attributes:
        ref: full name such as `refs/heads/main`.
        commit: where it is now, 40 or 64 hex digits; empty when it was deleted.
        before: where it was; empty when it is new.
    """

    ref: str
    commit: str
    before: str = ""


@dataclass(frozen=True)
class PullChanged:
    """A pull request (merge request) was opened, got commits, was closed.

    Attributes:
        number: the forge's number within the repository; 0 for a merge queue that asks whether its head may be merged.
        action: what happened; `other` (labels, titles) needs no run.
        commit: its head.
        head_ref: branch of the head, display text.
        base_ref: full name of the branch that it wants to go to, such as `refs/heads/main`.
        fork: its head lies in another repository, or nowhere any more.
        head_repo_id: numeric id of that repository, empty when it is gone.
    """

    number: int
    action: PullAction
    commit: str
    head_ref: str
    base_ref: str
    fork: bool
    head_repo_id: str = ""


@dataclass(frozen=True)
class Commented:
    """Somebody wrote a comment on a pull request or a commit.

    Attributes:
        text: as written, hostile.
        pull: number of the pull request, 0 when it is on a commit.
        commit: the commit, empty when it is on a pull request.
        comment_id: the forge's id of the comment.
    """

    text: str
    pull: int
    commit: str
    comment_id: str


@dataclass(frozen=True)
class Rerequested:
    """Somebody pressed "run again" on a check, or another button of it.

    Attributes:
        commit: of the check.
        context: name of the check, empty for all of the commit.
        button: identifier of a button such as `rollback`; empty for "run again".
    """

    commit: str
    context: str
    button: str = ""


Happening = Pushed | PullChanged | Commented | Rerequested


@dataclass(frozen=True)
class Delivery:
    """One webhook call whose signature was right.

    Attributes:
        forge: name of the trigger plugin that read it, such as `github`.
        id: the forge's id of the delivery; the same again when it is sent again. It stands outside most signatures.
        body_key: digest over what the body says (repository id, event, ref or number, commits, action, comment id):
            the same for a replay under a new id and for one push told by two hooks.
        event: the forge's word for it, at most 100 characters.
        repo_id: numeric id of the repository as text; empty for events without one.
        repo_name: `owner/name`, display text.
        sender_id: numeric id of who did it; the only thing authority may come from.
        sender_name: display text.
        happenings: what it tells that we act on; empty for everything else.
    """

    forge: str
    id: str
    body_key: str
    event: str
    repo_id: str
    repo_name: str
    sender_id: str
    sender_name: str
    happenings: tuple[Happening, ...] = ()

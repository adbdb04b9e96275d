"""What a failed conversation with a remote means: try again later, or somebody must act."""

import re

from fiat.errors import FiatError, Stalled, Waiting
from fiat.git.hardened import Said

# Source: messages of git's http.c, remote-curl.c, connect.c and transport.c (2.39 to 2.50), of libcurl, and of OpenSSH.
_MUST_ACT = (
    (
        r"Authentication failed|could not read (?:Username|Password)|returned error: 40[13]|Permission denied",
        "the remote refuses our credential",
        "give a token or key that may read the repository",
    ),
    (
        r"[Rr]epository .*not found|returned error: 404|does not appear to be a git repository|not exported",
        "the remote has no such repository, or does not show it to us",
        "check its URL and what the credential may read",
    ),
    (
        r"Host key verification failed",
        "the remote's host key is not known",
        "put it into the known hosts file after checking it",
    ),
    (
        r"transport '.*' not allowed",
        "the remote's protocol is not spoken",
        "name it in the operator's settings if it must be",
    ),
    (
        r"unable to update url base from redirection|returned error: 30\d|redirect",
        "the remote sends us elsewhere, which is not followed",
        "write the repository's present URL",
    ),
    (
        r"SSL certificate|certificate verif|SSL: ",
        "the remote's certificate is not trusted",
        "name its authority's file in the settings",
    ),
    (
        r"fsck error|error in object|mismatched algorithms",
        "the repository holds objects that git calls unsound",
        "have its owner mend them",
    ),
)


def failed(what: str, said: Said) -> FiatError:
    """The error for a command that talked to a remote and failed.

    Args:
        what: the command's name.
        said: how it ended.
    """
    for pattern, sentence, hint in _MUST_ACT:
        if re.search(pattern, said.error):
            return Stalled(f"{sentence}: {said.error}", hint=hint)
    return Waiting(f"git {what} failed: {said.error or f'it ended with {said.code}'}")

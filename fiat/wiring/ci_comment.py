"""Write the comment of a CI job on its pull request, when the job's token may."""

import time
from collections.abc import Callable, Mapping
from typing import cast

from fiat.errors import FiatError, Waiting
from fiat.ports.forge import Credential, Forge, ForgeRepo
from fiat.run.report import PullComment
from fiat.wiring.ci_job import Job
from fiat.wiring.registry import load_plugin

TRIES = 3
LONGEST_PAUSE_S = 20.0


def send_comment(
    job: Job,
    comment: PullComment,
    environment: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Write the comment, or edit the one that is there.

    A comment is worth less than the verdict: what goes wrong is told, and fails nothing.

    Args:
        job: with its token.
        comment: what to write.
        environment: of the process, for proxies and an own certificate authority.
        sleep: waits so many seconds between tries.

    Returns:
        Why it is not written, one sentence for the summary; empty when it is.
    """
    if not job.token:
        return "No comment is written: the step was given no token (`github-token`)."
    repo = ForgeRepo(
        name=job.repository,
        id=job.repository_id,
        api=job.api,
        credential=Credential(token=job.token),
        # The address comes from the CI system itself, never from the spec.
        allow_private_hosts=True,
        ca_file=environment.get("SSL_CERT_FILE", ""),
        proxies={name: value for name, value in environment.items() if name.lower().endswith("_proxy")},
    )
    try:
        forge = cast(Forge, load_plugin("forge", job.forge)(repo))
        _patiently(forge, comment, sleep)
    except FiatError as error:
        if job.fork:
            return (
                "No comment is written: this pull request comes from a fork, so the job's token may only read. "
                "Everything is in this summary."
            )
        return (
            f"No comment is written: {error.message}. "
            "The job needs the permission `pull-requests: write` and a token that has it."
        )
    return ""


def _patiently(forge: Forge, comment: PullComment, sleep: Callable[[float], None]) -> None:
    for left in range(TRIES - 1, -1, -1):
        try:
            forge.send(comment, "")
        except Waiting as error:
            if not left or (error.retry_after_s or 0.0) > LONGEST_PAUSE_S:
                raise
            sleep(error.retry_after_s or 2.0)
        else:
            return

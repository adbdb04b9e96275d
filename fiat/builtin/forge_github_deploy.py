"""Deployments on GitHub: one a release and target, with the states that it goes through.

Source: https://docs.github.com/en/rest/deployments
"""

from typing import Any
from urllib.parse import urlencode

from fiat.builtin.forge_github_http import GithubHttp
from fiat.builtin.forge_refusal import Refused, field_of
from fiat.builtin.forge_text import one_line, without_astral
from fiat.errors import Waiting
from fiat.run.report import Deployed

DESCRIPTION_LIMIT = 140
_KEY = "fiat"


def send_deployed(http: GithubHttp, report: Deployed, memory: str) -> str:
    """Give a deployment its next state, and make the deployment first when there is none.

    Returns:
        The deployment's id, to be remembered.

    Raises:
        Refused: GitHub takes no deployments from this credential.
        Waiting: as `ForgeHttp.call`.
    """
    if memory.isdigit() and _state(http, report, memory):
        return memory
    found = _find(http, report) or _create(http, report)
    if not _state(http, report, found):
        raise Waiting(f"GitHub does not know deployment {found} yet")
    return found


def _state(http: GithubHttp, report: Deployed, deployment_id: str) -> bool:
    """False when the deployment is not there."""
    fields = {"state": report.state, "description": _line(report.description), "auto_inactive": True}
    if report.url:
        fields["log_url"] = report.url
    try:
        http.call("POST", f"{http.root}/deployments/{deployment_id}/statuses", fields)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return False
    return True


def _find(http: GithubHttp, report: Deployed) -> str:
    """The deployment that an earlier call made whose reply was lost."""
    query = urlencode({"sha": report.commit, "environment": report.environment, "per_page": 100})
    for page in http.pages(f"{http.root}/deployments?{query}"):
        for deployment in page:
            if field_of(deployment, f"payload.{_KEY}") == report.key and isinstance(
                deployment.get("id"), int
            ):
                return str(deployment["id"])
    return ""


def _create(http: GithubHttp, report: Deployed) -> str:
    wanted: dict[str, Any] = {
        "ref": report.commit,
        "auto_merge": False,  # a rollback deploys an older commit as it is
        "required_contexts": [],  # the gates were ours, and this commit's checks may still be on their way
        "environment": report.environment,
        "description": _line(report.description),
        "payload": {_KEY: report.key},
        "transient_environment": False,
    }
    made = field_of(http.call("POST", f"{http.root}/deployments", wanted).data, "id")
    if not isinstance(made, int):
        raise Waiting("GitHub's answer does not tell the new deployment's id")
    return str(made)


def _line(text: str) -> str:
    return one_line(without_astral(text), DESCRIPTION_LIMIT)

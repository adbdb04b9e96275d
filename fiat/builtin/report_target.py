"""What a commit is told of the place that its model went to: each step of a rollout, what differs from git, and its end."""

from collections.abc import Sequence

from fiat.builtin.report_check import Manner, run_url
from fiat.builtin.report_check_words import line
from fiat.ports.deploy import MOVING, TargetState
from fiat.run.deployment import Deployment
from fiat.run.report import Check, CheckState, Deployed, DeployState, Report


def target_reports(
    manner: Manner, deployment: Deployment, state: TargetState, drift: Sequence[str] = ()
) -> tuple[Report, ...]:
    """The check `fiat/deploy/<spec>/<target>` of the commit, and how the deployment stands.

    Args:
        manner: how to speak.
        deployment: what was wanted, as it ended or goes on.
        state: what the target says.
        drift: how the target differs from what it should have.
    """
    check, deployed, said = _stand(deployment, state, drift)
    text = line(said, sandboxed=manner.sandboxed)
    url = run_url(manner, deployment.run)
    name = f"{deployment.spec}/{deployment.target}"
    return (
        Check(deployment.commit, f"{manner.context}/deploy/{name}", check, text, url),
        Deployed(deployment.commit, name, deployed, text, url, f"{deployment.run} {deployment.target}"),
    )


def _stand(
    deployment: Deployment, state: TargetState, drift: Sequence[str]
) -> tuple[CheckState, DeployState, str]:
    if deployment.state == "refused":
        held = "this commit is held, `fiat unhold` lifts that"
        return "failure", "failure", f"went back to the earlier model: {deployment.reason}; {held}"
    if drift:
        return "error", "error", f"differs from git: {'; '.join(drift)}"
    if state.phase in MOVING:
        return "pending", "in_progress", state.sentence or state.phase
    return "success", "success", state.sentence or "serves this commit's model"

"""The rollout's state machine: pure, one step a call, asked again and again by whoever keeps a service.

A stage is looked at when the new version has had `min_requests`, then each time it has had half as many again, and when
its time is over; a paused one also each time that half as much time again has gone by (labels arrive late). The k-th look
(from 0) may spend 1/((k+1)(k+2)) of what the stage may spend, which adds up to all of it however long the rollout lasts;
so the stated error rate holds over all looks, stages and checks. A look may refuse at
once; it lets pass only when the time is over.
"""

import math
from dataclasses import replace

from fiat.serving.rollout_checks import Window, judge, n_judged
from fiat.serving.rollout_plan import RolloutPlan, Stage, seconds_words
from fiat.serving.rollout_state import CheckResult, RolloutState, next_stage

_GROWTH = 1.5


def advance(plan: RolloutPlan, state: RolloutState, now_s: float, window: Window) -> RolloutState:
    """The state after a moment.

    Args:
        plan: that the rollout follows.
        state: of it; one that is over stays as it is.
        now_s: seconds since 1970; when the clock went back, the stage's time begins anew.
        window: counts of both versions since the stage began.

    Returns:
        The same state when nothing changed.
    """
    if state.over:
        return state
    if now_s < state.since_s:
        return replace(state, since_s=now_s, paused_s=None if state.paused_s is None else now_s)
    stage = plan.stages[state.stage]
    time_over = now_s - state.since_s >= stage.hold_s
    n = n_judged(stage, window)
    if n >= state.next_look or (time_over and not state.held) or _waited(state, now_s):
        state = _look(plan, state, now_s, window, time_over=time_over)
    if state.phase == "paused" and state.paused_s is not None and now_s - state.paused_s >= plan.patience_s:
        told = f"given up after a pause of {seconds_words(plan.patience_s)}: {state.reason}"
        return replace(state, phase="refused", reason=told)
    return state


def refuse(state: RolloutState, reason: str) -> RolloutState:
    """The state of a rollout that ends for a reason that no check saw."""
    return state if state.over else replace(state, phase="refused", reason=reason)


def _waited(state: RolloutState, now_s: float) -> bool:
    return state.paused_s is not None and now_s - state.since_s >= _GROWTH * max(
        1.0, state.looked_s - state.since_s
    )


def _look(
    plan: RolloutPlan, state: RolloutState, now_s: float, window: Window, *, time_over: bool
) -> RolloutState:
    stage = plan.stages[state.stage]
    n = n_judged(stage, window)
    alpha = plan.alpha / ((state.looks + 1) * (state.looks + 2))
    checks = judge(plan, stage, window, alpha)
    looked = replace(
        state,
        looks=state.looks + 1,
        looked_s=now_s,
        next_look=max(state.next_look, math.ceil(_GROWTH * n), 1),
        checks=checks,
        held=state.held or time_over,
    )
    if failed := [check.sentence() for check in checks if check.verdict == "fail"]:
        return replace(looked, phase="refused", reason="; ".join(failed))
    if not time_over:
        return looked
    doubt = _doubt(plan, stage, n, checks)
    if not doubt or plan.on_inconclusive == "promote":
        return next_stage(plan, looked, now_s)
    if plan.on_inconclusive == "abort":
        return replace(looked, phase="refused", reason=doubt)
    return replace(
        looked, phase="paused", reason=doubt, paused_s=now_s if state.paused_s is None else state.paused_s
    )


def _doubt(plan: RolloutPlan, stage: Stage, n: int, checks: tuple[CheckResult, ...]) -> str:
    """Why a stage whose time is over can't be passed yet; empty when it can.

    Where nothing is judged only time counts. At the end, all traffic has been there for its time and every stage before
    was passed: too few requests hold nothing up any more.
    """
    if not checks:
        return ""
    if stage.kind == "bake":
        open_ = [
            check for check in checks if check.verdict != "pass" and check.n_requests >= stage.min_requests
        ]
        return "; ".join(check.sentence() for check in open_ if check.estimate is not None)
    if n < stage.min_requests:
        return f"too few requests to tell: {n} of {stage.min_requests}"
    return "; ".join(check.sentence() for check in checks if check.verdict != "pass")

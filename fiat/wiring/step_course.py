"""Where a step is, read from what it prints: for pages, which see no reporter."""

from fiat.builtin.report_progress import Progress
from fiat.builtin.view_spark import WIDTH, course_line
from fiat.builtin.view_text import number
from fiat.run.model import StepResult
from fiat.run.view import CourseLine, StepCourse

COURSE_BYTES = 512 << 10
_AGAIN = "; trying again"


def step_course(step: StepResult, text: str, *, is_whole: bool = True) -> StepCourse | None:
    """How its metrics and its search go; None when it said nothing of either.

    Args:
        step: as recorded.
        text: the end of its log; only the last attempt in it counts.
        is_whole: it is the whole log.
    """
    lines = text.splitlines()
    again = [place for place, line in enumerate(lines) if line.startswith("--- ") and line.endswith(_AGAIN)]
    progress = Progress(lambda: 0.0)
    known = progress.step(step)
    for line in lines[again[-1] + 1 if again else 0 :]:
        progress.line(step.name, line)
    drawn = known.drawn()
    if known.study is not None and known.study.values.n_values > 1:
        drawn = [("by trial", known.study.values), *drawn]
    words = known.standing(drawn=bool(drawn)) if step.state == "running" else known.outcome()
    if not words and not drawn and not known.resumed:
        return None
    return StepCourse(
        tuple(words),
        known.resumed,
        tuple(
            CourseLine(name, number(course.last), course_line(course.values(), WIDTH))
            for name, course in drawn
        ),
        is_whole or bool(again),
    )

"""What the live table says of one step that runs: on its own line, and on lines below it."""

from rich.text import Text

from fiat.builtin.report_progress import StepProgress
from fiat.builtin.view_spark import WIDTH, Course, course_line
from fiat.builtin.view_text import number, visible

MOST_BELOW = 8
_LONGEST_NAME = 20
_LEAST_SPARK = 6


def doing(step: StepProgress, *, alone: bool) -> Text:
    """What a running step is at; why it runs before it says anything.

    Args:
        step: it.
        alone: not all of its lines stand below it, so that its numbers are said here.
    """
    parts: list[tuple[str, str]] = []
    if step.study is not None:
        parts.append((step.study.words(), ""))
    at = f"step {step.at:,}" if step.at is not None else ""
    if alone and (numbers := step.numbers()):
        parts += [(at, "dim"), (numbers, "")]
    elif not alone:
        parts += [(at, "dim"), (step.more(), "dim")]
    parts += [(words, "cyan") for words in step.pace()]
    if step.tail and step.tail[-1] and not (step.note and step.tail[-1].endswith(step.note)):
        parts.append((step.tail[-1].strip(), "dim"))
    parts = [part for part in parts if part[0]]
    if not parts and step.result is not None:
        parts.append((visible(step.result.reason), "dim"))
    return Text("  ").join(Text(*part) for part in parts)


def below(step: StepProgress, width: int) -> list[Text]:
    """The lines below a step: of a running one each metric with its course, of one that ended from what it went on.

    Args:
        step: it.
        width: columns there are.

    Returns:
        At most MOST_BELOW; none when there is no course yet, or no room to draw one.
    """
    note = [Text(visible(step.resumed), "dim")] if step.resumed else []
    if step.state != "running":
        return note
    courses = step.drawn()
    if step.study is not None and step.study.values.n_values > 1:
        courses = [("by trial", step.study.values), *courses]
    courses = courses[: MOST_BELOW - len(note)]
    if not courses:
        return []
    names = [_clipped(visible(name)) for name, _ in courses]
    values = [number(course.last) for _, course in courses]
    name_width, value_width = max(map(len, names)), max(map(len, values))
    room = width - name_width - value_width - 4
    if room < _LEAST_SPARK:
        return []
    lines = [
        _line(name.ljust(name_width), value.rjust(value_width), course, min(room, WIDTH))
        for name, value, (_, course) in zip(names, values, courses, strict=True)
    ]
    return lines + note


def _line(name: str, value: str, course: Course, width: int) -> Text:
    return Text.assemble((name, "dim"), "  ", value, "  ", (course_line(course.values(), width), "cyan"))


def _clipped(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"

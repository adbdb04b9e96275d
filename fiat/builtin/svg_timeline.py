"""Small bars in tables: when a step ran, and how large a share is."""

from datetime import datetime

from markupsafe import Markup

from fiat.builtin.svg_draw import drawing, element, line
from fiat.builtin.view_text import seconds
from fiat.run.model import StepResult

WIDTH = 180.0
HEIGHT = 16.0
SHARE_WIDTH = 120.0
_LEAST = 2.0


def time_bar(step: StepResult, start: datetime, total_s: float) -> Markup:
    """When a step ran between the run's start and its end, `total_s` seconds later; nothing if it did not start."""
    parts = [line(0, HEIGHT - 1, WIDTH, HEIGHT - 1, "grid")]
    if step.started_at is None or total_s <= 0:
        return drawing(WIDTH, HEIGHT, "did not run", parts)
    since = (step.started_at - start).total_seconds()
    took = (step.ended_at - step.started_at).total_seconds() if step.ended_at else step.seconds
    left = min(max(0.0, since / total_s), 1.0) * (WIDTH - _LEAST)
    width = min(max(_LEAST, took / total_s * WIDTH), WIDTH - left)
    told = f"from {seconds(since)} to {seconds(since + took)}"
    parts.append(
        element(
            "rect",
            element("title", told),
            x=left,
            y=3,
            width=width,
            height=8,
            rx=1,
            class_=f"time {step.state}",
        )
    )
    return drawing(WIDTH, HEIGHT, told, parts)


def share_bar(share: float) -> Markup:
    """A share of the largest, 0 to 1."""
    bar = element(
        "rect", x=0, y=4, width=max(_LEAST, share * SHARE_WIDTH), height=8, rx=1, class_="bar tone1"
    )
    return drawing(SHARE_WIDTH, HEIGHT, f"{share:.0%} of the largest", [bar])

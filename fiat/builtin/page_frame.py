"""What all pages share: templates whose text is harmless, and the style sheets that stand within a page."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from fiat.builtin.view_text import visible

TEMPLATES = Path(__file__).parent / "templates"


def page_template(name: str) -> Template:
    """A template of this package; whatever it is given is escaped, and control characters in it are made visible."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    return environment.get_template(name)


def page_style(*names: str) -> Markup:
    """Style sheets of this package, one after the other."""
    # They are files of this package: nothing in them comes from users.
    return Markup("\n".join((TEMPLATES / name).read_text("utf-8") for name in names))  # noqa: S704 - see above


def _harmless(value: object) -> object:
    """Text of users with its control characters made visible; what is markup is ours and stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

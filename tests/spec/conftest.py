"""A spec in a checkout of its own: load it, or hear what is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from fiat.errors import SpecErrors
from fiat.spec.load import LoadedSpec, load_spec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write `text` as `spec.yaml` with `files` beside it, and load it."""

    def _load(text: str, overrides: Sequence[str] = (), files: Mapping[str, str] | None = None) -> LoadedSpec:
        for name, content in {"spec.yaml": text, **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        builtins = {"commit": "abc1234", "ref": "main"}
        return load_spec(tmp_path / "spec.yaml", root=tmp_path, overrides=overrides, builtins=builtins)

    return _load


@pytest.fixture
def complain(load: Load) -> Complain:
    """Like `load`, for specs that are refused: every error as it is printed, in order."""

    def _complain(*arguments: object, **named: object) -> list[str]:
        with pytest.raises(SpecErrors) as caught:
            load(*arguments, **named)
        return [str(error) for error in caught.value.errors]

    return _complain

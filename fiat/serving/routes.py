"""Paths of the server: what each one asks for.

Source: the Open Inference Protocol (`inference_rest.md`), Triton's extensions to it (`model_repository`, `statistics`,
`model_configuration`), and MLflow's scoring server.
"""

from dataclasses import dataclass
from urllib.parse import unquote

GET, POST = ("GET", "HEAD"), ("POST",)
_PLAIN: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {
    ("v2",): ("server", GET),
    ("v2", "health", "live"): ("live", GET),
    ("v2", "health", "ready"): ("ready", GET),
    ("v2", "models", "stats"): ("stats", GET),
    ("v2", "repository", "index"): ("index", POST),
    ("ping",): ("ping", GET),
    ("health",): ("ping", GET),
    ("version",): ("version", GET),
    ("invocations",): ("invocations", POST),
    ("metrics",): ("metrics", GET),
    ("fiat", "labels"): ("labels", POST),
}
_MODEL: dict[str, tuple[str, tuple[str, ...]]] = {
    "": ("model", GET),
    "ready": ("model_ready", GET),
    "infer": ("infer", POST),
    "stats": ("stats", GET),
    "config": ("config", GET),
}


@dataclass(frozen=True)
class Route:
    """What a path asks for.

    Attributes:
        kind: such as `infer`; `server`, `live`, `ready`, `stats`, `index`, `ping`, `version`, `invocations`, `metrics`,
            `labels`, `model`, `model_ready`, `config`, or `load` for loading and unloading.
        methods: that it takes.
        model: name; empty for all.
        version: empty when the path names none.
    """

    kind: str
    methods: tuple[str, ...]
    model: str = ""
    version: str = ""


def find_route(raw_path: bytes) -> Route | None:
    """What a path asks for; None when nothing is there.

    Args:
        raw_path: as it stands in the request: names may be quoted, and then hold slashes.
    """
    words = raw_path.decode("latin-1").strip("/").split("/")
    try:
        parts = tuple(unquote(word, errors="strict") for word in words)
    except UnicodeDecodeError:
        return None
    if parts in _PLAIN:
        return Route(*_PLAIN[parts])
    if parts[:2] == ("v2", "models") and len(parts) > 2:
        return _of_model(parts[2], parts[3:])
    if parts[:3] == ("v2", "repository", "models") and len(parts) == 5 and parts[4] in ("load", "unload"):
        return Route("load", POST, parts[3])
    return None


def _of_model(model: str, rest: tuple[str, ...]) -> Route | None:
    version = ""
    if rest[:1] == ("versions",) and len(rest) > 1:
        version, rest = rest[1], rest[2:]
    if not model or len(rest) > 1:
        return None
    found = _MODEL.get(rest[0] if rest else "")
    return Route(*found, model, version) if found else None

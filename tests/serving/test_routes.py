import pytest

from fiat.serving.routes import find_route


@pytest.mark.parametrize(
    ("path", "kind", "model", "version"),
    [
        (b"/v2", "server", "", ""),
        (b"/v2/", "server", "", ""),
        (b"/v2/health/live", "live", "", ""),
        (b"/v2/models/a", "model", "a", ""),
        (b"/v2/models/a/versions/3", "model", "a", "3"),
        (b"/v2/models/a/infer", "infer", "a", ""),
        (b"/v2/models/a/versions/3/infer", "infer", "a", "3"),
        (b"/v2/models/a%2Fb/ready", "model_ready", "a/b", ""),
        (b"/v2/models/versions", "model", "versions", ""),
        (b"/v2/models/stats", "stats", "", ""),
        (b"/v2/models/stats/infer", "infer", "stats", ""),
        (b"/v2/repository/index", "index", "", ""),
        (b"/v2/repository/models/a/unload", "load", "a", ""),
        (b"/invocations", "invocations", "", ""),
        (b"/metrics", "metrics", "", ""),
    ],
)
def test_a_path_says_what_it_asks_for(path: bytes, kind: str, model: str, version: str) -> None:
    route = find_route(path)
    assert route is not None
    assert (route.kind, route.model, route.version) == (kind, model, version)


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/v1/models/a",
        b"/v2/models",
        b"/v2/models//infer",
        b"/v2/models/a/infer/b",
        b"/v2/models/%ff/infer",
        b"/v2/models/a/versions/1/versions/2",
        b"/v2/repository/models/a/move",
        b"/v2/../metrics",
        b"/\xff",
    ],
)
def test_other_paths_ask_for_nothing(path: bytes) -> None:
    assert find_route(path) is None

"""What is told without predicting anything: health, metadata, index, statistics, configuration, metrics."""

from collections.abc import Callable, Sequence

import msgspec

from fiat.serving.counts import Counts, WorkerCounts, total
from fiat.serving.fleet import Fleet
from fiat.serving.limits import Refused
from fiat.serving.loaded import LoadedVersion
from fiat.serving.metrics_text import CONTENT_TYPE, metrics_text
from fiat.serving.model_pages import config_page, index_page, model_page, server_page, stats_page
from fiat.serving.refusal import BadRequest
from fiat.serving.release import ServerLimits
from fiat.serving.routes import Route
from fiat.serving.served import ModelState, Running, ServedModel

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
Told = tuple[int, bytes, bytes]
"""Status, content type, body."""


class _Index(msgspec.Struct):
    ready: bool = False


class Informer:
    """Tells what is there.

    Args:
        fleet: the models.
        limits: of the server.
        version: of Fiat.
        workers: what every worker of the server tells, this one among them.
    """

    def __init__(
        self,
        fleet: Fleet,
        limits: ServerLimits,
        version: str,
        workers: Callable[[], Sequence[WorkerCounts]],
    ) -> None:
        self._fleet, self._limits, self._version, self._workers = fleet, limits, version, workers

    def answer(self, route: Route, body: bytes, *, is_draining: bool) -> Told:
        """Answer a request.

        Args:
            route: any but those that predict.
            body: of the request.
            is_draining: the server is about to end.

        Raises:
            Refused: there is no such model, or it can't be done.
            BadRequest: the body is wrong.
        """
        ready = self._fleet.is_ready and not is_draining
        if route.kind == "live":
            return _json({"live": True})
        if route.kind == "ready":
            return _json({"ready": ready}, 200 if ready else 503)
        if route.kind == "ping":
            return (200, TEXT, b"\n") if ready else _json({"error": "no model is ready"}, 404)
        if route.kind == "version":
            return 200, TEXT, self._version.encode()
        if route.kind == "server":
            return _json(server_page(self._version))
        if route.kind == "metrics":
            return 200, CONTENT_TYPE, metrics_text(self._workers()).encode()
        if route.kind == "index":
            return self._index(body)
        if route.kind == "load":
            raise Refused(
                403, "models are loaded and unloaded by what git says: deploy or roll back with `fiat`"
            )
        return self._of_model(route)

    def served(self, route: Route) -> ServedModel:
        """The model of a path, its version checked.

        Raises:
            Refused: there is none, or it is not ready.
        """
        state = self._fleet.models.get(route.model)
        if state is None:
            known = ", ".join(sorted(self._fleet.models)) or "none"
            raise Refused(404, f"there is no model {route.model[:200]!r} here; there is {known}")
        model = state.served
        if model is None:
            raise _not_ready(state)
        if route.version and route.version not in model.versions:
            known = ", ".join(model.versions)
            raise Refused(404, f"model {state.name!r} has no version {route.version[:200]!r}; it has {known}")
        return model

    def only_model(self) -> ServedModel:
        """The model of paths that name none.

        Raises:
            Refused: there are several, or it is not ready.
        """
        if len(self._fleet.models) != 1:
            raise Refused(404, "this path is for servers with exactly one model: use /v2/models/NAME/infer")
        (state,) = self._fleet.models.values()
        if state.served is None:
            raise _not_ready(state)
        return state.served

    def _of_model(self, route: Route) -> Told:
        if route.kind == "stats":
            return self._stats(route)
        state = self._fleet.models.get(route.model)
        if route.kind == "model_ready" and state is not None and state.served is None:
            return _json({"name": route.model, "ready": False}, 503)
        model = self.served(route)
        running = model.versions[route.version] if route.version else model.stable
        if route.kind == "model_ready":
            return _json({"name": model.name, "ready": True})
        if route.kind == "config":
            return _json(config_page(running.loaded, self._limits.batch_rows))
        return _json(model_page(running.loaded, tuple(model.versions)))

    def _index(self, body: bytes) -> Told:
        try:
            only_ready = msgspec.json.decode(body, type=_Index).ready if body.strip() else False
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadRequest(f"the body is no index request: {error}") from error
        return _json(index_page(self._fleet.models, only_ready=only_ready))

    def _stats(self, route: Route) -> Told:
        if route.model:
            models = [self.served(route)]
        elif "stats" in self._fleet.models:  # the path of a model that is called so
            return self._of_model(Route("model", route.methods, "stats"))
        else:
            models = [state.served for state in self._fleet.models.values() if state.served]
        workers = self._workers()
        found = []
        for model in models:
            for name, running in model.versions.items():
                if route.version in ("", name):
                    found.append(_counted(workers, model.name, running))
        return _json(stats_page(found))


def _counted(
    workers: Sequence[WorkerCounts], model: str, running: Running
) -> tuple[LoadedVersion, Counts, float, float]:
    loaded, tally = running.loaded, running.loaded.tally
    counts = total(workers, model, loaded.version.digest)
    return loaded, counts, tally.seconds, loaded.session.run_s


def _not_ready(state: ModelState) -> Refused:
    reasons = "; ".join(item.reason for item in state.refused)
    words = reasons or "it is being loaded"
    return Refused(503, f"model {state.name!r} is not ready: {words}", ((b"retry-after", b"1"),))


def _json(value: object, status: int = 200) -> Told:
    return status, JSON, msgspec.json.encode(value)

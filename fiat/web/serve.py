"""Run a runner with its web server until it is told to end."""

import signal
from collections.abc import Iterator, Mapping

from fiat.web.app import create_app
from fiat.web.listener import make_server
from fiat.web.settings import WebSettings
from fiat.wiring.desk import utc_now
from fiat.wiring.runner import Runner
from fiat.wiring.runner_listen import bind, session_key
from fiat.wiring.runner_parts import make_parts
from fiat.wiring.runner_settings import RunnerSettings


def serve(settings: RunnerSettings, environment: Mapping[str, str]) -> None:
    """Listen, and do everything that a runner does; returns after SIGINT or SIGTERM.

    Args:
        settings: of the runner.
        environment: for workers and Ray.

    Raises:
        SpecError: doors would be open to anybody.
        EnvironmentFault: the address is taken, the store can't be opened, no sandbox, no Ray.
    """
    listener = bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    settings = settings.at(settings.url or f"http://{shown}:{port}")
    web = WebSettings(
        url=settings.url,
        key=session_key(settings.store),
        host=settings.host,
        allowed_hosts=settings.allowed_hosts,
        public_read=settings.public_read,
        public_metrics=settings.public_metrics,
        insecure=settings.insecure,
        max_body_bytes=settings.max_body_bytes,
    )
    parts = make_parts(settings)
    runner = Runner(parts, environment)
    server = make_server(create_app(runner.door, web, utc_now))
    # uvicorn ends its loop and then raises the signal once more: it must find us, not the system's default.
    signal.signal(signal.SIGTERM, _leave)
    try:
        runner.start()
        for line in _greeting(settings, f"http://{shown}:{port}"):
            parts.log(line)
        server.run(sockets=[listener])
    except (KeyboardInterrupt, _Leave):
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        parts.log("ending")
        runner.stop()
        listener.close()


class _Leave(BaseException):
    """The process was told to end."""


def _leave(*_: object) -> None:
    raise _Leave


def _greeting(settings: RunnerSettings, address: str) -> Iterator[str]:
    """What a person who starts it wants to see first."""
    for repository in settings.repositories:
        policy = repository.policy
        branches, hooks = ", ".join(policy.branches), "on" if repository.webhooks else "off"
        yield f"watching {policy.name}: {branches}; git every {settings.reconcile_s:g} s; webhooks {hooks}"
    yield f"listening on {address}" + (f", links lead to {settings.url}" if settings.url != address else "")

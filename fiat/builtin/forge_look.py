"""What `fiat doctor` is told of a link to a forge, as far as it is the same for all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from fiat.builtin.forge_http import ForgeHttp
from fiat.builtin.forge_refusal import Refused, field_of, in_words
from fiat.builtin.forge_text import one_line
from fiat.builtin.forge_wait import date_s
from fiat.builtin.http_address import is_public
from fiat.errors import FiatError, Stalled
from fiat.ports.forge import Finding, ForgeRepo

_CLOCK_NOTE_S = 30
_CLOCK_BAD_S = 300
_LOW_RATIO = 0.1
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def tried(name: str, title: str, look: Callable[[], Finding | Iterable[Finding]]) -> list[Finding]:
    """The findings of one look; a fault on the way is a finding too."""
    try:
        with in_words(title):
            found = look()
            return [found] if isinstance(found, Finding) else list(found)
    except Stalled as error:
        return [Finding(name, "bad", error.message, error.hint or "see what the forge says")]
    except FiatError as error:
        return [Finding(name, "bad", error.message, error.hint or "try again in a minute")]


def look_at_repo(data: Any, repo: ForgeRepo, title: str, name_key: str = "full_name") -> Finding:
    """Whether the repository is the one that the operator meant, by its id."""
    found_id, found_name = str(field_of(data, "id") or ""), one_line(str(field_of(data, name_key) or ""), 200)
    if repo.id and found_id != repo.id:
        return Finding(
            "repository",
            "bad",
            f"{repo.name} on {title} has id {found_id}, the settings pin {repo.id}: it is another repository now",
            "find out who renamed or deleted what, then set `id`",
        )
    if found_name.lower() != repo.name.lower():
        found = f"{repo.name} is called {found_name} now"
        return Finding("repository", "note", found, f"set `name` to {found_name}, and its `url`")
    if not repo.id:
        return Finding(
            "repository", "note", f"{repo.name} is not pinned by its id", f'set `id` to "{found_id}"'
        )
    return Finding("repository", "good", f"{repo.name} has id {found_id}")


def look_at_hooks(http: ForgeHttp, path: str, repo: ForgeRepo, words: "HookWords") -> Finding:
    """Whether a webhook leads to us."""
    try:
        hooks = [hook for page in http.pages(path) for hook in page]
    except Refused as refusal:
        if refusal.status not in (401, 403, 404):
            raise
        found = f"this credential may not list webhooks on {http.title}"
        return Finding("webhook", "note", found, "deliveries that arrive show that one is set")
    if not repo.hook_url:
        return Finding("webhook", "note", f"there are {len(hooks)} webhooks; where ours arrive is not set")
    ours = [hook for hook in hooks if words.url(hook).rstrip("/") == repo.hook_url.rstrip("/")]
    if not ours:
        found = f"no webhook of {repo.name} leads to {repo.hook_url}"
        return Finding("webhook", "bad", found, "add one; until then commits are found by polling")
    problems = [problem for hook in ours if (problem := words.problem(hook))]
    if len(problems) == len(ours):
        return Finding(
            "webhook", "bad", f"the webhook to {repo.hook_url} {problems[0]}", "mend it on the forge"
        )
    return Finding("webhook", "good", f"a webhook leads to {repo.hook_url}")


class HookWords:
    """How a forge words its webhooks: GitHub's and Gitea's way.

    Args:
        wanted: events that we need; a hook for everything says `*`.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = wanted

    def url(self, hook: Mapping[str, Any]) -> str:
        """Where it leads."""
        return str(field_of(hook, "config.url") or "")

    def problem(self, hook: Mapping[str, Any]) -> str:
        """What is wrong with it, as the end of a sentence; empty for nothing."""
        if hook.get("active") is False:
            return "is switched off"
        if str(field_of(hook, "config.content_type")) != "json":
            return "does not send JSON (set the content type application/json)"
        events = hook.get("events")
        if isinstance(events, list) and "*" not in events:
            missing = [name for name in self._wanted if name not in events]
            if missing:
                return f"does not tell of {', '.join(missing)}"
        code = field_of(hook, "last_response.code")
        if isinstance(code, int) and code >= 400:
            return f"was answered with {code} last"
        return ""


def look_at_quota(http: ForgeHttp) -> list[Finding]:
    """How many requests are left; nothing for forges that don't say."""
    if http.remaining is None or not http.limit:
        return []
    low = http.remaining < http.limit * _LOW_RATIO
    found = f"{http.remaining} of {http.limit} requests are left"
    return [
        Finding(
            "quota",
            "note" if low else "good",
            found,
            "another program may use this credential" if low else "",
        )
    ]


def look_at_clock(http: ForgeHttp, now_s: float) -> list[Finding]:
    """How far our clock is from the forge's."""
    there_s = date_s(http.headers)
    if there_s is None:
        return []
    off_s = abs(now_s - there_s)
    if off_s < _CLOCK_NOTE_S:
        return [Finding("clock", "good", f"it agrees with {http.title}'s within {off_s:.0f} s")]
    found = f"this machine's clock is {off_s:.0f} s away from {http.title}'s"
    return [Finding("clock", "bad" if off_s >= _CLOCK_BAD_S else "note", found, "let a time service set it")]


def is_private_url(url: str) -> bool:
    """Whether a URL leads to a host that is surely not public: by its address or its name."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host.replace(".", "").isdigit() or ":" in host:
        return not is_public(host)
    return "." not in host or host.endswith(_LOCAL_NAMES)

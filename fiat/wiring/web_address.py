"""Where people see a watched repository, its commits and pull requests: pages of the forge."""

from urllib.parse import quote, urlsplit

from fiat.wiring.runner_settings import WatchedRepo


def repo_address(repository: WatchedRepo | None) -> str:
    """Its page; empty for none, and when it is fetched otherwise than over the web."""
    if repository is None or urlsplit(repository.url).scheme not in ("https", "http"):
        return ""
    parts = urlsplit(repository.url)
    return f"{parts.scheme}://{parts.netloc}{quote(parts.path.removesuffix('.git'))}"


def commit_address(repository: WatchedRepo | None, commit: str) -> str:
    """The page of a commit; empty when there is none."""
    web = repo_address(repository)
    return f"{web}/commit/{commit}" if web and commit else ""


def pull_address(repository: WatchedRepo | None, pull: int) -> str:
    """The page of a pull request; empty when there is none."""
    web = repo_address(repository)
    forge = repository.policy.forge if repository is not None else ""
    word = {"gitlab": "-/merge_requests", "github": "pull"}.get(forge, "pulls")
    return f"{web}/{word}/{pull}" if web and pull else ""

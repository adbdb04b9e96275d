"""GitHub's API: its headers and answers through gidgethub, its credentials as token or as App.

Source: https://docs.github.com/en/rest; https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import gidgethub
import jwt
from gidgethub import sansio

from fiat.builtin.forge_http import ForgeHttp, MakeClient, Reply, repo_root
from fiat.builtin.forge_refusal import Refused, field_of
from fiat.builtin.forge_text import url_path
from fiat.builtin.forge_wait import date_s
from fiat.errors import Stalled, Waiting
from fiat.ports.forge import ForgeRepo

_ACCEPT = sansio.accept_format()
_UNSEEN = re.compile(r"no (commit|ref) found", re.IGNORECASE)
_BEFORE_S = 300.0
_CLOCKS_AGREE_S = 30.0
_LIFE_S = 540


class GithubHttp(ForgeHttp):
    """Requests to GitHub about one repository.

    Args:
        repo: which.
        make_client: gives the HTTP client for a policy.
        clock: seconds since 1970.
    """

    def __init__(self, repo: ForgeRepo, make_client: MakeClient, clock: Callable[[], float]) -> None:
        super().__init__(repo, "GitHub", make_client, clock, self._shown)
        self.root = repo_root(repo.name)
        self.app_id = repo.credential.app_id
        self._repo, self._now = repo, clock
        self._token, self._until_s, self._installation, self._off_s = "", 0.0, "", 0.0

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        show: Mapping[str, str] | None = None,
    ) -> Reply:
        """As `ForgeHttp.call`; an installation token that is refused is renewed once."""
        try:
            return super().call(method, path, body, show=show)
        except Refused as refusal:
            if refusal.status != 401 or not self.app_id or show is not None:
                raise
        self._token = ""
        return super().call(method, path, body)

    def call_as_app(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """As `call`, with the App itself as credential.

        GitHub refuses an App whose clock is more than a minute away from its own; it says what its own is.
        """
        try:
            return super().call(method, path, body, show=self._signed())
        except Refused as refusal:
            here_s = date_s(self.headers)
            off_s = 0.0 if here_s is None else here_s - self._now()
            if refusal.status != 401 or abs(off_s - self._off_s) < _CLOCKS_AGREE_S:
                raise
        self._off_s = off_s
        return super().call(method, path, body, show=self._signed())

    def is_us(self, app: object) -> bool:
        """Whether an App that GitHub names is ours; the operator may have given its number or its client id."""
        return self.app_id != "" and self.app_id in (str(field_of(app, "id")), field_of(app, "client_id"))

    def _signed(self) -> Mapping[str, str]:
        # A minute back, for clocks that differ; GitHub refuses more than ten minutes ahead.
        now_s = int(self._now() + self._off_s)
        claims = {"iat": now_s - 60, "exp": now_s + _LIFE_S, "iss": self.app_id}
        try:
            token = jwt.encode(claims, self._repo.credential.app_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Stalled(
                f"the private key of GitHub App {self.app_id} can't be used",
                hint="give the PEM file that GitHub made for the App",
            ) from None
        return _titled(sansio.create_headers("fiat", accept=_ACCEPT, jwt=token))

    def _shown(self) -> Mapping[str, str]:
        token = self._app_token() if self.app_id else self._repo.credential.token
        return _titled(sansio.create_headers("fiat", accept=_ACCEPT, oauth_token=token or None))

    def git_token(self) -> str:
        """What git shows as its password: installation tokens last an hour and are made anew in time."""
        return self._app_token() if self.app_id else self._repo.credential.token

    def _app_token(self) -> str:
        if self._token and self._now() < self._until_s:
            return self._token
        self._installation = self._installation or self._find_installation()
        path = url_path("/app/installations/{id}/access_tokens", {"id": self._installation})
        only = (
            {"repository_ids": [int(self._repo.id)]}
            if self._repo.id.isdigit()
            else {"repositories": [self._repo.name.partition("/")[2]]}
        )
        made = self.call_as_app("POST", path, only)
        token, ends = field_of(made.data, "token"), field_of(made.data, "expires_at")
        if not isinstance(token, str) or not isinstance(ends, str):
            raise Waiting("GitHub's answer holds no installation token")
        # By GitHub's own clock, so that ours may be wrong; a token that is refused early is renewed by `call`.
        here_s = date_s(made.headers)
        life_s = datetime.fromisoformat(ends).timestamp() - (self._now() if here_s is None else here_s)
        self._token, self._until_s = token, self._now() + life_s - _BEFORE_S
        return token

    def _find_installation(self) -> str:
        try:
            found = self.call_as_app("GET", f"{self.root}/installation")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            raise Stalled(
                f"GitHub App {self.app_id} is not installed for {self._repo.name}",
                hint="install it for this repository",
            ) from refusal
        if not isinstance(field_of(found.data, "id"), int):
            raise Waiting("GitHub's answer holds no installation")
        return str(found.data["id"])

    def _read(self, status: int, headers: Mapping[str, str], content: bytes, asked: str) -> Reply:
        try:
            data, _, following = sansio.decipher_response(status, headers, content)
        except gidgethub.HTTPException as error:
            if status < 400:
                raise Waiting(f"GitHub answers {status} to {asked}") from error
            said = str(error)
            raise Refused(status, said, asked, later=bool(_UNSEEN.search(said))) from error
        return Reply(status, headers, data, following or "")


def _titled(headers: Mapping[str, str]) -> dict[str, str]:
    named = {name.title(): value for name, value in headers.items()}
    return {**named, "X-Github-Api-Version": "2022-11-28"}

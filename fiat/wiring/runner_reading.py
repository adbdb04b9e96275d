"""Read a runner's settings file: secrets from where it says they are, every fault at once."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from fiat.data.dvc_carry import Carrier
from fiat.engine.policy import RepoPolicy, RunPolicy, folder_of, matches
from fiat.errors import SpecError, SpecErrors
from fiat.ports.forge import Credential, ForgeRepo
from fiat.spec.operator_load import LoadedOperator, load_operator
from fiat.spec.operator_section import Operator
from fiat.spec.repository_section import ForgeCredential, Repository, SecretPlace
from fiat.spec.section import duration_s, size_bytes
from fiat.wiring.carrying import make_carrier
from fiat.wiring.runner_settings import RunnerSettings, Token, WatchedRepo

SHORTEST_SECRET = 16
_WILDCARD = re.compile(r"[*?\[]")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_API: Mapping[str, str] = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1", "forgejo": "/api/v1"}


def read_runner_settings(
    path: Path, environment: Mapping[str, str], *, insecure: bool = False
) -> RunnerSettings:
    """Read a settings file and the secrets that it names.

    Args:
        path: the file; relative paths in it are relative to its folder.
        environment: where `env:` secrets are.
        insecure: unsigned webhooks are allowed, on loopback only.

    Raises:
        SpecErrors: everything that is wrong: the file, a secret that is not there or too short, no webhook secret.
    """
    loaded = load_operator(path)
    return _Reading(loaded, environment, insecure=insecure).read()


class _Reading:
    """One reading of a settings file; gathers every fault before it raises."""

    def __init__(self, loaded: LoadedOperator, environment: Mapping[str, str], *, insecure: bool) -> None:
        self._loaded = loaded
        self._environment = environment
        self._insecure = insecure
        self._folder = loaded.path.absolute().parent
        self._errors: list[SpecError] = []

    def read(self) -> RunnerSettings:
        given: Operator = self._loaded.settings
        if self._insecure and given.listen.host not in _LOOPBACK:
            self._fault(
                "--insecure-dev works on loopback only", "listen.host", "set listen.host to 127.0.0.1"
            )
        store = self._path(given.store)
        secrets = self._secrets(given)
        repositories = tuple(
            self._repository(repository, f"repositories[{index}]", store, secrets)
            for index, repository in enumerate(given.repositories)
        )
        self._check_tokens(given)
        tokens = tuple(
            Token(
                token.name,
                self._long(token.secret, f"tokens[{index}].secret"),
                frozenset(token.scopes),
                token.repositories,
            )
            for index, token in enumerate(given.tokens)
        )
        limits = given.limits
        settings = RunnerSettings(
            path=self._loaded.path,
            host=given.listen.host,
            port=given.listen.port,
            url=(given.listen.url or "").rstrip("/"),
            allowed_hosts=given.listen.allowed_hosts,
            public_read=given.listen.public_read,
            public_metrics=given.listen.public_metrics,
            max_body_bytes=size_bytes(given.listen.max_body),
            store=store,
            database_url=self._secret(given.database, "database") if given.database else None,
            compute=given.compute,
            ray_address=given.ray_address,
            workers=given.workers,
            reconcile_s=duration_s(given.reconcile_every),
            limits=RunPolicy(
                time_s=duration_s(limits.time),
                gpu_s=None if limits.gpu_hours is None else limits.gpu_hours * 3600,
                pull_gpu_s=None
                if limits.pull_request_gpu_hours is None
                else limits.pull_request_gpu_hours * 3600,
                attempts=limits.attempts,
                lease_s=duration_s(given.lease),
            ),
            sandbox=given.sandbox,
            keep_runs=given.keep.runs,
            keep_days=float(given.keep.days),
            secrets=secrets,
            tokens=tokens,
            repositories=repositories,
            insecure=self._insecure,
            signing_key=self._key_file(given.signing_key, "signing_key"),
            carrier=self._carrier(given, secrets),
            verify_key=self._key_file(given.verify_key or _public(given.signing_key), "verify_key"),
        )
        if self._errors:
            raise SpecErrors(self._errors)
        return settings

    def _carrier(self, given: Operator, secrets: Mapping[str, str]) -> Carrier | None:
        """How large files travel, with the secrets that this needs."""
        if given.remote is None:
            return None
        missing = [name for name in given.remote.secrets if name not in secrets]
        if missing:
            self._fault(f"there is no secret {missing[0]}", "remote.secrets", "name it under `secrets`")
        return make_carrier(given.remote, self._loaded.path.parent, secrets)

    def _key_file(self, name: str | None, key: str) -> Path | None:
        """Where a key is. What is in it is not read here: most processes never need to know."""
        path = self._path(name) if name else None
        if path is not None and not path.is_file():
            self._fault(f"there is no file {path}", key, "`fiat keys new PATH` makes PATH and PATH.pub")
        return path

    def _check_tokens(self, given: Operator) -> None:
        watched = [repository.name for repository in given.repositories]
        for index, token in enumerate(given.tokens):
            for name in token.repositories:
                if name not in watched:
                    near = get_close_matches(name, watched, 1)
                    hint = f"did you mean {near[0]}?" if near else "name one of `repositories`"
                    key = f"tokens[{index}].repositories"
                    self._fault(
                        f"{name} is not watched: the token {token.name} would open nothing", key, hint
                    )

    def _secrets(self, given: Operator) -> dict[str, str]:
        found: dict[str, str] = {}
        if given.secrets_folder is not None:
            folder = self._path(given.secrets_folder)
            try:
                entries = sorted(folder.iterdir())
            except OSError as error:
                self._fault(
                    f"can't read {folder}: {error.strerror}",
                    "secrets_folder",
                    "mount it, or take the key out",
                )
                entries = []
            for entry in entries:
                if entry.is_file() and not entry.name.startswith("."):
                    found[entry.name] = self._file(entry, "secrets_folder")
        for name, place in given.secrets.items():
            found[name] = self._secret(place, f"secrets.{name}")
        return found

    def _repository(
        self, given: Repository, key: str, store: Path, secrets: Mapping[str, str]
    ) -> WatchedRepo:
        parts = urlsplit(given.url)
        if parts.scheme not in given.protocols:
            allowed = ", ".join(given.protocols)
            self._fault(f"{given.url} is not fetched by {allowed}", f"{key}.url", "see `protocols`")
        if parts.password or (parts.username and parts.scheme != "ssh"):
            self._fault("the URL holds a credential", f"{key}.url", "put it under `credential`")
        hooks = tuple(
            self._long(place, f"{key}.webhook_secrets[{index}]")
            for index, place in enumerate(given.webhook_secrets)
        )
        if given.webhooks and not hooks and not self._insecure:
            hint = "write `webhook_secrets`, or `webhooks: false` to look at git only"
            self._fault(f"{given.name} has no webhook secret", key, hint)
        if "protected" in given.model_fields_set:
            self._check_protected(given, key)
        for name in given.secrets:
            if name not in secrets:
                self._fault(f"there is no secret {name}", f"{key}.secrets", "define it under `secrets`")
        host = parts.hostname or ""
        usual = "https://api.github.com" if host == "github.com" else f"https://{host}{_API[given.forge]}"
        forge = None
        if given.credential is not None:
            forge = ForgeRepo(
                name=given.name,
                id=given.id or "",
                api=(given.api or usual).rstrip("/"),
                credential=self._credential(given.credential, f"{key}.credential"),
                allow_private_hosts=given.private_api,
                proxies={
                    name: value
                    for name, value in self._environment.items()
                    if name.lower().endswith("_proxy")
                },
            )
        return WatchedRepo(
            self._policy(given, key, store), given.url, given.protocols, forge, given.webhooks, hooks
        )

    def _check_protected(self, given: Repository, key: str) -> None:
        """What can't be said of two patterns is left to doctor, which looks at the branches that are there."""
        for index, pattern in enumerate(given.protected):
            both = _WILDCARD.search(pattern) and any(_WILDCARD.search(branch) for branch in given.branches)
            fits = matches(pattern, given.branches) or any(
                matches(branch, [pattern]) for branch in given.branches
            )
            if not (both or fits or pattern.startswith("!")):
                self._fault(
                    f"no watched branch can be {pattern}: nothing of it would ever be deployed",
                    f"{key}.protected[{index}]",
                    "name it under `branches` too, or take it out",
                )

    def _policy(self, given: Repository, key: str, store: Path) -> RepoPolicy:
        deployed = store / "deployed" / folder_of(given.name)
        for index, folder in enumerate(given.data_folders):
            if not Path(folder).is_absolute():
                self._fault(
                    f"{folder} is no absolute path", f"{key}.data_folders[{index}]", "start it with /"
                )
        return RepoPolicy(
            name=given.name,
            forge=given.forge,
            id=given.id or "",
            branches=given.branches,
            tags=given.tags,
            protected=given.protected,
            specs=given.specs,
            targets={
                name: self._path(target.path) if target.path else deployed
                for name, target in given.targets.items()
            },
            secrets=given.secrets,
            forks=given.forks,
            approvers=given.approvers,
            network=given.network,
            data_hosts=given.data_hosts,
            data_folders=given.data_folders,
            dvc_remotes=given.dvc_remotes,
            allow_private_hosts=given.allow_private_hosts,
            context=given.context,
            gate_checks=given.gate_checks,
            priority=given.priority,
            submodules=given.submodules,
        )

    def _credential(self, given: ForgeCredential, key: str) -> Credential:
        if given.app is not None and given.key is not None:
            return Credential(app_id=given.app, app_key=self._secret(given.key, f"{key}.key"))
        return Credential(token=self._secret(given.token, f"{key}.token") if given.token else "")

    def _long(self, place: SecretPlace, key: str) -> str:
        value = self._secret(place, key)
        if value and len(value) < SHORTEST_SECRET:
            hint = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
            self._fault(f"the secret has fewer than {SHORTEST_SECRET} characters", key, hint)
        return value

    def _secret(self, place: SecretPlace, key: str) -> str:
        if place.file is not None:
            return self._file(self._path(place.file), key)
        value = self._environment.get(str(place.env), "")
        if not value:
            self._fault(
                f"the variable {place.env} is not set", key, f"export {place.env} where the runner starts"
            )
        return value

    def _file(self, path: Path, key: str) -> str:
        try:
            value = path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            self._fault(
                f"can't read the secret in {path}: {getattr(error, 'strerror', error)}", key, "check its path"
            )
            return ""
        if not value:
            self._fault(f"the secret in {path} is empty", key, "write it there")
        return value

    def _path(self, text: str) -> Path:
        return (self._folder / Path(text).expanduser()).absolute()

    def _fault(self, message: str, key: str, hint: str) -> None:
        self._errors.append(SpecError(message, hint=hint, where=self._loaded.where(key)))


def _public(signing_key: str | None) -> str | None:
    return f"{signing_key}.pub" if signing_key else None

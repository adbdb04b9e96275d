"""A runner's settings: read with their secrets, and refused with every fault at its place."""

from pathlib import Path

import pytest

from fiat.errors import EXIT_SPEC, SpecErrors
from fiat.wiring.runner_reading import read_runner_settings

SECRET = "0123456789abcdef-hook"
TEXT = """\
fiat_runner: 1
store: state
secrets: {HUB_TOKEN: {env: HUB}}
tokens: [{name: ci, secret: {file: token}, scopes: [read, trigger]}]
repositories:
  - name: acme/models
    forge: github
    url: https://github.com/acme/models.git
    credential: {token: {env: GITHUB_TOKEN}}
    webhook_secrets: [{env: HOOK}]
    secrets: [HUB_TOKEN]
    targets: {shelf: {path: models}, other: {}}
"""
ENVIRONMENT = {"HOOK": SECRET, "GITHUB_TOKEN": "ghp_token", "HUB": "hub-token-value", "PATH": "/bin"}


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("an-api-token-of-length\n")
    path = tmp_path / "runner.yaml"
    path.write_text(TEXT)
    return path


def refused(path: Path, environment: dict[str, str] | None = None, *, insecure: bool = False) -> SpecErrors:
    with pytest.raises(SpecErrors) as caught:
        read_runner_settings(path, ENVIRONMENT if environment is None else environment, insecure=insecure)
    return caught.value


def test_settings_are_read_with_secrets_and_absolute_paths(settings_file: Path) -> None:
    settings = read_runner_settings(settings_file, ENVIRONMENT)
    repository = settings.repositories[0]
    assert settings.store == settings_file.parent / "state"
    assert settings.secrets == {"HUB_TOKEN": "hub-token-value"}
    assert settings.tokens[0].secret == "an-api-token-of-length"
    assert repository.webhook_secrets == (SECRET,)
    assert repository.forge is not None
    assert repository.forge.api == "https://api.github.com"
    assert repository.policy.targets["shelf"] == settings_file.parent / "models"
    assert repository.policy.targets["other"].is_relative_to(settings.store)


def test_every_secret_is_among_those_to_be_masked_and_in_no_repr(settings_file: Path) -> None:
    settings = read_runner_settings(settings_file, ENVIRONMENT)
    assert set(settings.all_secrets) == {
        "hub-token-value",
        "an-api-token-of-length",
        SECRET,
        "ghp_token",
    }
    assert not [secret for secret in settings.all_secrets if secret in repr(settings)]


def test_a_runner_without_a_webhook_secret_does_not_start(settings_file: Path) -> None:
    settings_file.write_text(TEXT.replace("    webhook_secrets: [{env: HOOK}]\n", ""))
    error = refused(settings_file)
    assert error.exit_code == EXIT_SPEC
    assert "no webhook secret" in error.errors[0].message
    assert "webhooks: false" in error.errors[0].hint


def test_a_short_webhook_secret_is_refused_at_its_line(settings_file: Path) -> None:
    error = refused(settings_file, {**ENVIRONMENT, "HOOK": "fifteen-letters"})
    assert error.exit_code == EXIT_SPEC
    assert "fewer than 16 characters" in error.errors[0].message
    assert error.errors[0].where is not None
    assert error.errors[0].where.line == 10
    assert "fifteen-letters" not in str(error)


def test_without_webhooks_or_on_loopback_for_a_trial_no_secret_is_needed(settings_file: Path) -> None:
    without = TEXT.replace("    webhook_secrets: [{env: HOOK}]\n", "")
    settings_file.write_text(without + "    webhooks: false\n")
    assert not read_runner_settings(settings_file, ENVIRONMENT).repositories[0].webhooks
    settings_file.write_text(without)
    assert read_runner_settings(settings_file, ENVIRONMENT, insecure=True).insecure


def test_a_trial_without_secrets_is_refused_beyond_loopback(settings_file: Path) -> None:
    settings_file.write_text(TEXT + "listen: {host: 0.0.0.0}\n")
    error = refused(settings_file, insecure=True)
    assert "loopback only" in error.errors[0].message


def test_all_faults_are_told_at_once_with_the_right_spelling(settings_file: Path) -> None:
    settings_file.write_text(TEXT.replace("branches", "branch") + "    brnches: [main]\nworker: 3\n")
    messages = {(error.message, error.hint) for error in refused(settings_file).errors}
    assert ("unknown key `brnches`", "did you mean `branches`?") in messages
    assert ("unknown key `worker`", "did you mean `workers`?") in messages


def test_missing_secrets_are_all_named_but_never_shown(settings_file: Path) -> None:
    (settings_file.parent / "token").unlink()
    messages = [error.message for error in refused(settings_file, {"HOOK": SECRET}).errors]
    assert any("HUB is not set" in text for text in messages)
    assert any("GITHUB_TOKEN is not set" in text for text in messages)
    assert any("can't read the secret" in text for text in messages)


@pytest.mark.parametrize(
    "url",
    ["file:///srv/models.git", "ext::sh -c x", "http://git.example/x.git", "https://u:p@git.example/x.git"],
)
def test_what_git_may_not_fetch_is_refused(settings_file: Path, url: str) -> None:
    settings_file.write_text(TEXT.replace("https://github.com/acme/models.git", f'"{url}"'))
    assert [
        error for error in refused(settings_file).errors if error.where and error.where.key.endswith("url")
    ]


def test_a_secret_that_nobody_defines_is_refused(settings_file: Path) -> None:
    settings_file.write_text(TEXT.replace("secrets: [HUB_TOKEN]", "secrets: [OTHER]"))
    assert "there is no secret OTHER" in refused(settings_file).errors[0].message


def test_secrets_come_from_a_mounted_folder_too(settings_file: Path) -> None:
    folder = settings_file.parent / "mounted"
    folder.mkdir()
    (folder / "FROM_FOLDER").write_text("value-of-it\n")
    (folder / ".hidden").write_text("no")
    settings_file.write_text(TEXT + "secrets_folder: mounted\n")
    assert read_runner_settings(settings_file, ENVIRONMENT).secrets == {
        "FROM_FOLDER": "value-of-it",
        "HUB_TOKEN": "hub-token-value",
    }


def test_a_token_that_is_written_where_its_place_belongs_is_not_shown(settings_file: Path) -> None:
    settings_file.write_text(
        TEXT.replace("{token: {env: GITHUB_TOKEN}}", "{token: ghp_abcdefghijklmnopqrstuvwxyz}")
    )
    error = refused(settings_file).errors[0]
    assert "ghp_" not in str(error)
    assert "{env: NAME}" in error.hint


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("lease: 2s", "lease"),
        ("lease: 0h", "lease"),
        ("reconcile_every: 0m", "reconcile_every"),
        ("reconcile_every: 0.0d", "reconcile_every"),
        ("limits: {time: 0s}", "limits.time"),
    ],
)
def test_times_that_nothing_can_work_with_are_refused(settings_file: Path, line: str, key: str) -> None:
    settings_file.write_text(f"{TEXT}{line}\n")
    (error,) = refused(settings_file).errors
    assert error.where is not None
    assert error.where.key == key
    assert error.where.line == TEXT.count("\n") + 1


def test_short_times_that_work_are_taken(settings_file: Path) -> None:
    settings_file.write_text(TEXT + "lease: 3s\nreconcile_every: 500ms\nlimits: {time: 1s}\n")
    assert read_runner_settings(settings_file, ENVIRONMENT).reconcile_s == 0.5


def test_a_token_for_a_repository_that_is_not_watched_is_refused(settings_file: Path) -> None:
    text = TEXT.replace("scopes: [read, trigger]", "scopes: [read], repositories: [acme/models, acme/model]")
    settings_file.write_text(text)
    (error,) = refused(settings_file).errors
    assert "acme/model is not watched" in error.message
    assert error.hint == "did you mean acme/models?"


@pytest.mark.parametrize(
    ("branches", "protected", "fits"),
    [
        ("[main]", "[release]", False),
        ("[main]", "['rel*']", False),
        ("['feature/*']", "[main]", False),
        ("[main, 'release/*']", "['release/*', main]", True),
        ("['*']", "[main]", True),
        ("['r*']", "['*lease']", True),
        ("['*', '!main']", "[main]", False),
        ("[main]", "['*', '!wip']", True),
    ],
)
def test_a_protected_branch_that_is_not_watched_is_refused(
    settings_file: Path, branches: str, protected: str, fits: bool
) -> None:
    settings_file.write_text(f"{TEXT}    branches: {branches}\n    protected: {protected}\n")
    if fits:
        assert read_runner_settings(settings_file, ENVIRONMENT).repositories
    else:
        assert "no watched branch can be" in refused(settings_file).errors[0].message


def test_keys_that_sign_and_check_models_are_files_that_are_there(settings_file: Path) -> None:
    folder = settings_file.parent
    assert read_runner_settings(settings_file, ENVIRONMENT).signing_key is None
    settings_file.write_text(TEXT + "signing_key: keys/signing.pem\n")
    errors = refused(settings_file).errors
    assert [error.where.key for error in errors if error.where] == ["signing_key", "verify_key"]
    (folder / "keys").mkdir()
    (folder / "keys" / "signing.pem").write_text("private")
    (folder / "keys" / "signing.pem.pub").write_text("public")
    settings = read_runner_settings(settings_file, ENVIRONMENT)
    assert settings.signing_key == folder / "keys" / "signing.pem"
    assert settings.verify_key == folder / "keys" / "signing.pem.pub"
    settings_file.write_text(TEXT + "verify_key: keys/signing.pem.pub\n")
    settings = read_runner_settings(settings_file, ENVIRONMENT)
    assert (settings.signing_key, settings.verify_key) == (None, folder / "keys" / "signing.pem.pub")


def test_a_remote_names_secrets_that_the_runner_has(settings_file: Path) -> None:
    settings_file.write_text(f"{TEXT}remote: {{url: large, secrets: [HUB_TOKEN]}}\n")
    carrier = read_runner_settings(settings_file, ENVIRONMENT).carrier
    assert carrier is not None
    assert carrier.env == {"HUB_TOKEN": "hub-token-value"}
    assert carrier.remote.url == str(settings_file.parent / "large")
    settings_file.write_text(f"{TEXT}remote: {{url: large, secrets: [OTHER]}}\n")
    (error,) = refused(settings_file).errors
    assert "no secret OTHER" in error.message
    assert error.where is not None
    assert error.where.line == len(TEXT.splitlines()) + 1

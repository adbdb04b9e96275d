"""The settings files that people start from are valid, and name nothing that they don't explain."""

import re
from pathlib import Path

import pytest

from fiat.errors import SpecErrors
from fiat.spec.operator_load import load_operator
from fiat.wiring.runner_reading import read_runner_settings

RUNNERS = Path(__file__).parents[2] / "runners"
NAMES = ("local", "gpu", "cluster")
VARIABLE = re.compile(r"\{env: ([A-Z_]+)\}")
SECRET_FILE = re.compile(r"/run/secrets/([a-z.-]+)|/etc/fiat/(app\.pem)")


def prepared(name: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A copy whose secret files lie in a folder of the test, and an environment with every variable that it names."""
    text = (RUNNERS / f"{name}.yaml").read_text("utf-8")
    secrets = folder / "secrets"
    secrets.mkdir()
    for match in SECRET_FILE.finditer(text):
        (secrets / (match[1] or match[2])).write_text("postgresql://fiat:secret-secret@db/fiat\n")
    text = text.replace("/etc/fiat/", f"{secrets}/").replace("/run/secrets", str(secrets))
    path = folder / "runner.yaml"
    path.write_text(text, "utf-8")
    return path, dict.fromkeys(VARIABLE.findall(text), "a-secret-of-enough-characters")


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_read_with_its_secrets(name: str, tmp_path: Path) -> None:
    path, environment = prepared(name, tmp_path)
    settings = read_runner_settings(path, environment)
    assert settings.repositories
    assert all(repository.policy.targets for repository in settings.repositories)
    assert settings.sandbox.kind == "bubblewrap"


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_is_missing_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    path, environment = prepared(name, tmp_path)
    for secret in (tmp_path / "secrets").iterdir():
        secret.unlink()
    with pytest.raises(SpecErrors) as caught:
        read_runner_settings(path, {})
    assert all(error.where is not None and error.where.line for error in caught.value.errors)
    told = str(caught.value)
    assert all(variable in told for variable in environment)


def test_only_the_cluster_listens_beyond_loopback_and_only_behind_a_proxy_with_tls() -> None:
    settings = {name: load_operator(RUNNERS / f"{name}.yaml").settings for name in NAMES}
    assert [name for name in NAMES if settings[name].listen.host != "127.0.0.1"] == ["cluster"]
    for name in ("gpu", "cluster"):
        assert str(settings[name].listen.url).startswith("https://")
        assert not settings[name].listen.public_read


def test_no_file_holds_a_secret() -> None:
    for path in RUNNERS.iterdir():
        text = path.read_text("utf-8")
        assert not re.search(r"gh[pousr]_[A-Za-z0-9]{20}|BEGIN [A-Z ]*PRIVATE KEY|glpat-", text), path.name
        if path.suffix == ".md":
            continue
        for match in re.finditer(r"(?:password|token|secret): *([^\s{\[|#][^\s]*)", text):
            assert match[1].startswith(("/", "$", '"$', "*")), f"{path.name}: {match[0]}"

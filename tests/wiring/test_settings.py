"""Where steps run: variables, or a runner's file in their place."""

from pathlib import Path

import pytest

from fiat.errors import SpecErrors
from fiat.wiring.settings import read_settings

RUNNERS = Path(__file__).parents[2] / "runners"
REPOSITORIES = """
repositories:
  - {name: acme/models, forge: github, url: "https://github.com/acme/models.git"}
"""


@pytest.mark.parametrize(
    ("name", "compute", "address"),
    [("local", "local", None), ("gpu", "ray", None), ("cluster", "ray", "fiat-head-svc:6379")],
)
def test_a_runners_file_says_where_a_desk_runs_steps(name: str, compute: str, address: str | None) -> None:
    path = RUNNERS / f"{name}.yaml"
    elsewhere = {"FIAT_COMPUTE": "other", "RAY_ADDRESS": "other:1"}
    for settings in (
        read_settings(elsewhere, path),
        read_settings({**elsewhere, "FIAT_RUNNER_FILE": str(path)}),
    ):
        assert (settings.compute, settings.ray_address) == (compute, address)
        assert settings.store is None


def test_without_one_the_variables_count() -> None:
    settings = read_settings({"FIAT_COMPUTE": "local", "RAY_ADDRESS": "head:6379"})
    assert (settings.compute, settings.ray_address, settings.carrier) == ("local", "head:6379", None)
    assert read_settings({}).compute == "ray"


def test_a_remote_is_given_the_secrets_that_it_names_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "runner.yaml"
    remote = "remote: {url: 's3://b/fiat', options: {region: eu}, secrets: [KEY, ABSENT]}"
    path.write_text(f"fiat_runner: 1\nstore: s\n{remote}\n{REPOSITORIES}")
    carrier = read_settings({"KEY": "k" * 20, "OTHER": "o"}, path).carrier
    assert carrier is not None
    assert (carrier.remote.url, carrier.remote.options) == ("s3://b/fiat", {"region": "eu"})
    assert carrier.env == {"KEY": "k" * 20}
    assert "k" * 20 not in repr(carrier)


def test_a_remote_that_is_a_folder_lies_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "runner.yaml"
    path.write_text(f"fiat_runner: 1\nstore: s\nremote: {{url: large}}\n{REPOSITORIES}")
    carrier = read_settings({}, path).carrier
    assert carrier is not None
    assert carrier.remote.url == str(tmp_path / "large")


def test_a_file_that_is_wrong_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "runner.yaml"
    path.write_text("fiat_runner: 1\nstore: s\ncompute: slurm\n" + REPOSITORIES)
    with pytest.raises(SpecErrors) as caught:
        read_settings({}, path)
    (error,) = caught.value.errors
    assert error.where is not None
    assert (error.where.line, error.where.file) == (3, str(path))


def test_secrets_of_a_remote_are_read_from_where_the_file_says_they_are(tmp_path: Path) -> None:
    path = tmp_path / "runner.yaml"
    remote = "remote: {url: 's3://b/fiat', secrets: [KEY, TOKEN, MOUNTED, ABSENT]}"
    places = "secrets: {KEY: {env: OUR_KEY}, TOKEN: {file: token}, ABSENT: {file: absent}}"
    path.write_text(f"fiat_runner: 1\nstore: s\n{remote}\n{places}\nsecrets_folder: mounted\n{REPOSITORIES}")
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "MOUNTED").write_text("m")
    carrier = read_settings({"OUR_KEY": "k", "KEY": "not this one"}, path).carrier
    assert carrier is not None
    assert carrier.env == {"KEY": "k", "TOKEN": "t", "MOUNTED": "m"}


def test_an_address_for_ray_clients_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "runner.yaml"
    path.write_text("fiat_runner: 1\nstore: s\nray_address: 'ray://head:10001'\n" + REPOSITORIES)
    with pytest.raises(SpecErrors, match="ray_address: expected HOST:PORT of a Ray") as caught:
        read_settings({}, path)
    (error,) = caught.value.errors
    assert error.where is not None
    assert error.where.line == 3

"""Every forge plugin passes the suite, each against a pretended server over real HTTP."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fiat.testing.forge_suite import ForgeSuite, Place

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import AppPlace, StagePlace
from forge_stage import forge_stage


class TestGithub(ForgeSuite):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        with forge_stage("github") as stage:
            yield StagePlace(stage)


@pytest.fixture(scope="session")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TestGithubApp(ForgeSuite):
    error_word = "failure"  # check runs know no `error`

    @pytest.fixture
    def place(self, app_key: rsa.RSAPrivateKey) -> Iterator[Place]:
        with forge_stage("github") as stage:
            yield AppPlace(stage, app_key)


class TestGitlab(ForgeSuite):
    error_word = "failure"  # GitLab knows no `error` but `canceled`

    @pytest.fixture
    def place(self) -> Iterator[Place]:
        with forge_stage("gitlab") as stage:
            yield StagePlace(stage)


class TestGitea(ForgeSuite):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        with forge_stage("gitea") as stage:
            yield StagePlace(stage)


class TestForgejo(ForgeSuite):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        with forge_stage("forgejo") as stage:
            yield StagePlace(stage)

"""Objects on their way between caches by a remote: a folder, and a bucket behind a server that speaks S3."""

import hashlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fiat.data.dvc_carry import Carrier, Remote
from fiat.errors import EnvironmentFault

SECRET = "a-secret-of-the-bucket"
CONTENT = b"x" * 1000
DIGEST = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
KEY = f"files/md5/{DIGEST[:2]}/{DIGEST[2:]}"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    (tmp_path / "scratch").mkdir()
    return tmp_path / "cache"


def carrier(url: str, options: dict[str, str] | None = None, **env: str) -> Carrier:
    return Carrier(Remote(url, options or {}), sys.executable, env).here(os.environ)


def test_a_folder_takes_objects_and_gives_them_and_nothing_is_left_of_the_way(
    cache: Path, tmp_path: Path
) -> None:
    way = carrier(str(tmp_path / "remote"))
    way.carry("push", [DIGEST], cache=cache, scratch=tmp_path / "scratch")
    assert (tmp_path / "remote" / KEY).read_bytes() == CONTENT
    way.carry("fetch", [DIGEST], cache=tmp_path / "other", scratch=tmp_path / "scratch")
    assert (tmp_path / "other" / KEY).read_bytes() == CONTENT
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_remote_whose_plugin_is_missing_is_told_with_what_dvc_says(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"dvc push with oss://box failed: .*dvc-oss") as caught:
        carrier("oss://box", KEY=SECRET).carry("push", [DIGEST], cache=cache, scratch=tmp_path / "scratch")
    assert SECRET not in str(caught.value)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """Options of a remote in a bucket that is called box."""
    if find_spec("dvc_s3") is None:
        if os.environ.get("CI"):
            pytest.fail("dvc-s3 is missing; CI must test a remote in a bucket")
        pytest.skip("dvc-s3 is not installed")
    servers: Any = pytest.importorskip("moto.server")
    boto3: Any = pytest.importorskip("boto3")
    server = servers.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": SECRET}
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket="box")
    yield {"endpointurl": url, "region": "us-east-1"}
    server.stop()


def test_a_bucket_takes_objects_and_gives_them_with_secrets_from_the_environment_alone(
    bucket: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    env = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": SECRET}
    way = carrier("s3://box/fiat", bucket, **env)
    way.carry("push", [DIGEST], cache=cache, scratch=tmp_path / "scratch")
    way.carry("fetch", [DIGEST], cache=tmp_path / "other", scratch=tmp_path / "scratch")
    assert (tmp_path / "other" / KEY).read_bytes() == CONTENT
    with pytest.raises(EnvironmentFault, match="dvc push with s3://gone/fiat failed") as caught:
        carrier("s3://gone/fiat", bucket, **env).carry(
            "push", [DIGEST], cache=cache, scratch=tmp_path / "scratch"
        )
    assert SECRET not in str(caught.value)

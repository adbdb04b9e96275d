"""Sources `s3`, `gs` and `az`: Amazon's interface by moto's server, Google's and Azure's by small servers of our own."""

import base64
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.server import ThreadedMotoServer

from fiat.builtin.source_bucket import AzSource, BucketSource, GsSource, S3Source
from fiat.builtin.source_bucket_place import parse_place
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest
from fiat.testing.source_suite import SourceSuite

sys.path.insert(0, str(Path(__file__).parent))
from bucket_stage import TOKEN, Cloud, amazon, azure, google

STRANGER = Confinement(confined=True)
KEY = base64.b64encode(b"key of nobody at all, at all....").decode()
OBJECTS = {
    "d/a.csv": b"x\n1\n",
    "d/e/b c.csv": b"x\n2\n",
    "d/e/\u00e4.csv": b"x\n3\n",
    "d/.hidden": b"h",
    "d/.git/f.csv": b"h",
    "d/empty": b"",
    "other.csv": b"x\n4\n",
}
S3_ENV = {"AWS_ACCESS_KEY_ID": "AKIA-OF-NOBODY", "AWS_SECRET_ACCESS_KEY": KEY}


@dataclass
class Bucket:
    """A bucket that can be read and written, and what a request needs to read it.

    Attributes:
        source: the plugin.
        env: of requests.
        name: of the bucket.
        put: writes an object.
    """

    source: BucketSource
    env: Mapping[str, str]
    name: str
    put: Callable[[str, bytes], object]

    def settings(self, key: str, **more: object) -> dict[str, object]:
        return {self.source.name: f"{self.name}/{key}", **more}


@dataclass
class Moto:
    """Moto's server, and a client that writes to it."""

    url: str
    client: Any


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    yield Moto(url, boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys))
    server.stop()


@pytest.fixture(params=["s3", "gs", "az"])
def bucket(request: pytest.FixtureRequest, moto: Moto) -> Iterator[Bucket]:
    if request.param == "s3":
        name = f"box-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
        moto.client.create_bucket(Bucket=name)

        def put(key: str, content: bytes) -> object:
            return moto.client.put_object(Bucket=name, Key=key, Body=content)

        yield Bucket(S3Source(no_wait), {**S3_ENV, "AWS_ENDPOINT_URL": moto.url}, name, put)
        return
    with (google if request.param == "gs" else azure)() as cloud:
        source = (GsSource if request.param == "gs" else AzSource)(no_wait)
        yield Bucket(source, cloud_env(cloud, request.param), "box", cloud.objects.__setitem__)


def cloud_env(cloud: Cloud, kind: str) -> dict[str, str]:
    if kind == "gs":
        return {"STORAGE_EMULATOR_HOST": cloud.url}
    store = f"AccountName=store;AccountKey={KEY};BlobEndpoint={cloud.url}/store"
    return {"AZURE_STORAGE_CONNECTION_STRING": store}


def no_wait(_: float) -> None:
    pass


def ask(folder: Path, settings: Mapping[str, object], env: Mapping[str, str], **more: Any) -> SourceRequest:
    own = folder / f"fetched{len(list(folder.iterdir()))}"
    own.mkdir()
    request = SourceRequest(settings, folder, own, True, 1 << 24, env)
    return replace(request, **more)


def contents(fetched: Fetched, folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in fetched.files}


def refusal(source: BucketSource, request: SourceRequest) -> FiatError:
    with pytest.raises(FiatError) as caught:
        source.fetch(request)
    assert not list(request.folder.iterdir())
    return caught.value


def test_an_object_a_folder_or_a_pattern_is_read(bucket: Bucket, tmp_path: Path) -> None:
    for key, content in OBJECTS.items():
        bucket.put(key, content)
    wanted = {
        "d/a.csv": {"a.csv": "d/a.csv"},
        "d/": {
            name.removeprefix("d/"): name for name in ("d/a.csv", "d/e/b c.csv", "d/e/\u00e4.csv", "d/empty")
        },
        "d/e": {"b c.csv": "d/e/b c.csv", "\u00e4.csv": "d/e/\u00e4.csv"},
        "d/*.csv": {"a.csv": "d/a.csv"},
        "d/**/*.csv": {
            name.removeprefix("d/"): name for name in ("d/a.csv", "d/e/b c.csv", "d/e/\u00e4.csv")
        },
        "*.csv": {"other.csv": "other.csv"},
    }
    for key, files in wanted.items():
        request = ask(tmp_path, bucket.settings(key), bucket.env)
        fetched = bucket.source.fetch(request)
        assert contents(fetched, request.folder) == {
            name: OBJECTS[source] for name, source in files.items()
        }, key
        assert list(fetched.files) == sorted(fetched.files)
    one = bucket.source.fetch(ask(tmp_path, bucket.settings("d/a.csv"), bucket.env))
    assert one.digest == hashlib.sha256(OBJECTS["d/a.csv"]).hexdigest()


def test_a_large_object_comes_in_blocks_and_whole(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 17 + b"end"
    bucket.put("big", content)
    request = ask(tmp_path, bucket.settings("big"), bucket.env, max_bytes=1 << 30)
    assert bucket.source.fetch(request).digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("key", ["nowhere.csv", "nowhere/", "nowhere*.csv", "d/nowhere.csv"])
def test_what_is_not_there_is_a_fault_of_the_spec(bucket: Bucket, tmp_path: Path, key: str) -> None:
    bucket.put("d/a.csv", b"x")
    error = refusal(bucket.source, ask(tmp_path, bucket.settings(key), bucket.env))
    assert isinstance(error, SpecError)
    assert f"{bucket.name}/{key}" in str(error)


def test_a_bucket_that_is_not_there_is_a_fault_of_the_spec(bucket: Bucket, tmp_path: Path) -> None:
    for key in ("a.csv", "d/"):
        settings = {bucket.source.name: f"nobucket/{key}"}
        assert isinstance(refusal(bucket.source, ask(tmp_path, settings, bucket.env)), SpecError)


def test_no_more_bytes_than_allowed_are_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("d/a", b"x" * 600)
    bucket.put("d/b", b"x" * 600)
    error = refusal(bucket.source, ask(tmp_path, bucket.settings("d/"), bucket.env, max_bytes=1000))
    assert "has 1,200 bytes, more than the 1,000 allowed" in str(error)


def test_keys_that_can_be_no_files_are_refused(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("up/../../evil.csv", b"x")
    error = refusal(bucket.source, ask(tmp_path, bucket.settings("up/"), bucket.env))
    assert "can't be a file's name" in str(error)
    bucket.put("both/a", b"x")
    bucket.put("both/a/b", b"x")
    error = refusal(bucket.source, ask(tmp_path, bucket.settings("both/"), bucket.env))
    assert "a is an object and the folder of a/b" in str(error)
    assert not list(tmp_path.rglob("evil.csv"))


def test_a_private_endpoint_needs_the_operators_word(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.csv", b"x\n1\n")
    for policy in (STRANGER, Confinement()):
        request = ask(
            tmp_path, bucket.settings("a.csv"), bucket.env, allow_private_hosts=False, confinement=policy
        )
        assert "is not a public address" in str(refusal(bucket.source, request))
        with pytest.raises(SpecError, match="is not a public address"):
            bucket.source.probe(request)


def test_an_endpoint_that_a_stranger_names_must_be_listed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.csv", b"x\n1\n")
    names = ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST")
    env = {name: value for name, value in bucket.env.items() if name not in names}
    address = next((bucket.env[name] for name in names if name in bucket.env), None)
    if address is None:
        address = bucket.env["AZURE_STORAGE_CONNECTION_STRING"].partition("BlobEndpoint=")[2]
    settings = bucket.settings("a.csv", endpoint=address)
    for hosts in ((), ("example.org",)):
        policy = Confinement(confined=True, data_hosts=hosts)
        error = refusal(bucket.source, ask(tmp_path, settings, env, confinement=policy))
        assert "does not grant the endpoint 127.0.0.1" in str(error)
    for policy in (Confinement(), Confinement(confined=True, data_hosts=("127.0.0.1",))):
        request = ask(tmp_path, settings, env, confinement=policy)
        assert contents(bucket.source.fetch(request), request.folder) == {"a.csv": b"x\n1\n"}


def test_hosts_that_the_operator_lists_hold_for_the_clouds_own(tmp_path: Path) -> None:
    listed = Confinement(confined=True, data_hosts=("example.org",))
    for source, env in (
        (S3Source(no_wait), {}),
        (GsSource(no_wait), {}),
        (AzSource(no_wait), {"AZURE_STORAGE_ACCOUNT_NAME": "store"}),
    ):
        error = refusal(source, ask(tmp_path, {source.name: "box/a.csv"}, env, confinement=listed))
        assert "does not grant" in str(error)


def test_a_probe_says_what_the_list_says_and_downloads_nothing(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("d/a.csv", b"x\n1\n")

    def said(key: str) -> str:
        return bucket.source.probe(ask(tmp_path, bucket.settings(key), bucket.env))

    before = {key: said(key) for key in ("d/", "d/*.csv", "d/a.csv")}
    assert said("d/") == before["d/"]
    bucket.put("d/b.csv", b"x\n1\n")
    assert said("d/") != before["d/"]
    assert said("d/*.csv") != before["d/*.csv"]
    bucket.put("d/a.csv", b"x\n9\n")
    assert said("d/a.csv") != before["d/a.csv"]
    assert len(set(before.values())) == 1, "a list and the object itself tell the same version"
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


# --- what a cloud does wrong ---


def serve(kind: str) -> Any:
    return {"s3": amazon, "gs": google, "az": azure}[kind]


def source_of(kind: str, cloud: Cloud) -> tuple[BucketSource, dict[str, str]]:
    if kind == "s3":
        return S3Source(no_wait), {**S3_ENV, "AWS_ENDPOINT_URL": cloud.url}
    return (GsSource if kind == "gs" else AzSource)(no_wait), cloud_env(cloud, kind)


@pytest.mark.parametrize(("kind", "fault"), [("s3", 503), ("s3", 0), ("gs", 0), ("az", 0)])
def test_a_download_that_breaks_is_tried_again(kind: str, fault: int, tmp_path: Path) -> None:
    with serve(kind)(**{"a.csv": b"x\n1\n" * 1000}) as cloud:
        source, env = source_of(kind, cloud)
        cloud.fail = [fault]
        request = ask(tmp_path, {kind: "box/a.csv"}, env)
        assert contents(source.fetch(request), request.folder) == {"a.csv": b"x\n1\n" * 1000}
        assert cloud.fail == []


def test_a_download_that_breaks_for_good_leaves_nothing(tmp_path: Path) -> None:
    with amazon(**{"a.csv": b"x" * 20_000_000}) as cloud:
        source, env = source_of("s3", cloud)
        cloud.fail = [200] + [0] * 100
        request = ask(tmp_path, {"s3": "box/a.csv"}, env, max_bytes=1 << 30)
        error = refusal(source, request)
    assert isinstance(error, EnvironmentFault)
    assert "box/a.csv can't be read" in str(error)


def test_an_object_that_changes_while_it_is_read_is_no_file(tmp_path: Path) -> None:
    with amazon(**{"a.csv": b"x" * 10_000_000}) as cloud:
        source, env = source_of("s3", cloud)
        request = ask(tmp_path, {"s3": "box/a.csv"}, env, max_bytes=1 << 30)

        class Turning(dict[str, bytes]):
            """The object is another one once it was looked at."""

            n_looks = 0

            def get(self, key: str, default: Any = None) -> Any:  # type: ignore[override]
                self.n_looks += 1
                return self[key] if self.n_looks == 1 else self[key].replace(b"x", b"y")

        cloud.objects = Turning(cloud.objects)
        error = refusal(source, request)
    assert isinstance(error, EnvironmentFault)
    assert "changed while it was read" in str(error)


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_to_do_and_no_secret(kind: str, status: int, tmp_path: Path) -> None:
    with serve(kind)() as cloud:
        cloud.refuse = status
        source, env = source_of(kind, cloud)
        error = refusal(source, ask(tmp_path, {kind: "box/a.csv"}, env))
        n_asked = len(cloud.asked)
    assert isinstance(error, EnvironmentFault)
    assert "may not be read" in str(error)
    assert "as secrets" in error.hint or "secret" in error.hint
    assert KEY not in str(error)
    assert n_asked <= 3
    assert error.__cause__ is None


def test_a_stranger_without_credentials_is_anonymous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id=lying\naws_secret_access_key=about\n"
        "[other]\naws_access_key_id=lying2\naws_secret_access_key=about\n"
    )
    monkeypatch.setenv("HOME", str(home))
    with (
        amazon(**{"a.csv": b"x\n1\n"}) as s3,
        google(**{"a.csv": b"x\n1\n"}) as gs,
        azure(**{"a.csv": b"x\n1\n"}) as az,
    ):
        store = {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName=store;BlobEndpoint={az.url}/store"}
        for source, cloud, env in (
            (S3Source(no_wait), s3, {"AWS_ENDPOINT_URL": s3.url}),
            (GsSource(no_wait), gs, {"STORAGE_EMULATOR_HOST": gs.url}),
            (AzSource(no_wait), az, store),
        ):
            request = ask(tmp_path, {source.name: "box/a.csv"}, env, confinement=STRANGER)
            assert source.fetch(request).files
            assert cloud.asked
            assert not [headers for _, _, headers in cloud.asked if "authorization" in headers]
        # At a desk the user's own are used: what was avoided above can happen.
        s3.asked.clear()
        S3Source(no_wait).fetch(ask(tmp_path, {"s3": "box/a.csv"}, {"AWS_ENDPOINT_URL": s3.url}))
        assert all("Credential=lying" in headers["authorization"] for _, _, headers in s3.asked)
        s3.asked.clear()
        env = {"AWS_ENDPOINT_URL": s3.url, "AWS_PROFILE": "other"}
        S3Source(no_wait).fetch(ask(tmp_path, {"s3": "box/a.csv"}, env))
        assert all("Credential=lying2" in headers["authorization"] for _, _, headers in s3.asked)


def test_credentials_sign_and_anonymous_does_not(tmp_path: Path) -> None:
    for kind in ("s3", "az"):
        with serve(kind)(**{"a.csv": b"x\n1\n"}) as cloud:
            source, env = source_of(kind, cloud)
            source.fetch(ask(tmp_path, {kind: "box/a.csv"}, env, confinement=STRANGER))
            assert all("authorization" in headers for _, _, headers in cloud.asked)
            cloud.asked.clear()
            source.fetch(ask(tmp_path, {kind: "box/a.csv", "anonymous": True}, env))
            assert not [headers for _, _, headers in cloud.asked if "authorization" in headers]


def test_the_key_of_a_service_account_gets_a_token_of_google(tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with google(**{"a.csv": b"x\n1\n"}) as cloud:
        key = {
            "type": "service_account",
            "client_email": "nobody@example.org",
            "token_uri": f"{cloud.url}/token",
            "private_key": private.decode(),
        }
        env = {"STORAGE_EMULATOR_HOST": cloud.url, "GOOGLE_APPLICATION_CREDENTIALS": json.dumps(key)}
        request = ask(tmp_path, {"gs": "box/a.csv"}, env, confinement=STRANGER)
        assert GsSource(no_wait).fetch(request).files
        asked = [headers for method, _, headers in cloud.asked if method == "GET"]
        assert {headers["authorization"] for headers in asked} == {f"Bearer {TOKEN}"}
        # A path would be a file of the runner's: a stranger's spec stays anonymous.
        (tmp_path / "key.json").write_text(json.dumps(key))
        cloud.asked.clear()
        env["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "key.json")
        GsSource(no_wait).fetch(ask(tmp_path, {"gs": "box/a.csv"}, env, confinement=STRANGER))
        assert not [headers for _, _, headers in cloud.asked if "authorization" in headers]
        GsSource(no_wait).fetch(ask(tmp_path, {"gs": "box/a.csv"}, env))
        assert [headers for _, _, headers in cloud.asked if "authorization" in headers]


def test_credentials_of_google_that_are_no_json_are_told_without_them(tmp_path: Path) -> None:
    env = {"GOOGLE_APPLICATION_CREDENTIALS": '{"private_key": "' + KEY}
    error = refusal(GsSource(no_wait), ask(tmp_path, {"gs": "box/a"}, env))
    assert isinstance(error, EnvironmentFault)
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("source", "module", "package"),
    [(S3Source, "s3fs", "s3fs"), (GsSource, "gcsfs.core", "gcsfs"), (AzSource, "adlfs", "adlfs")],
)
def test_a_missing_extra_is_said_with_the_way_to_get_it(
    source: type[BucketSource], module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    env = {"AZURE_STORAGE_ACCOUNT_NAME": "store"}
    request = ask(tmp_path, {source.name: "box/a"}, env)
    error = refusal(source(no_wait), request)
    assert isinstance(error, EnvironmentFault)
    assert f"needs {package}, which is not installed" in str(error)
    assert f"pip install 'fiat-ml[{source.name}]'" in error.hint


def test_an_account_must_be_named_for_azure(tmp_path: Path) -> None:
    error = refusal(AzSource(no_wait), ask(tmp_path, {"az": "box/a"}, {}))
    assert isinstance(error, SpecError)
    assert "endpoint: https://ACCOUNT.blob.core.windows.net" in error.hint


@pytest.mark.parametrize(
    "text", ["", "bucket", "/key", "a b/c", "evil.com@x/key", "b?x/y", "b//k", "b/a\nb", None, 7]
)
def test_what_names_no_bucket_and_key_is_refused(text: object) -> None:
    with pytest.raises(SpecError, match=r"source\.s3"):
        parse_place(text, "source.s3")


def test_a_scheme_before_the_bucket_is_borne() -> None:
    assert str(parse_place("s3://box/d/a.csv", "source.s3")) == "box/d/a.csv"
    assert parse_place("box/d/e*/x", "source.s3").folder == "d/"


class _Conformance(SourceSuite):
    """Another bucket of the same address is not refused: what is not granted is an address."""

    kind = ""

    @pytest.fixture
    def cloud(self) -> Iterator[Cloud]:
        with serve(self.kind)(**{"d/a.csv": b"x\n1\n2\n"}) as cloud:
            yield cloud

    @pytest.fixture
    def ask(self, root: Path, tmp_path: Path, private: bool, cloud: Cloud) -> Callable[..., SourceRequest]:
        suite = SourceSuite.ask.__wrapped__(self, root, tmp_path, private)  # type: ignore[attr-defined]
        env = source_of(self.kind, cloud)[1]
        return lambda *arguments: replace(suite(*arguments), env=env)

    @pytest.fixture
    def source(self, cloud: Cloud) -> BucketSource:
        return source_of(self.kind, cloud)[0]

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {self.kind: "box/d/a.csv"}

    @pytest.fixture
    def outside(self, cloud: Cloud) -> list[dict[str, object]]:  # type: ignore[override]
        place = {self.kind: "box/d/a.csv"}
        return [
            {**place, "endpoint": cloud.url.replace("127.0.0.1", "127.0.0.2")},
            {**place, "endpoint": cloud.url.replace("127.0.0.1", "localhost")},
        ]

    @pytest.fixture
    def missing(self) -> Mapping[str, object]:
        return {self.kind: "box/d/nowhere.csv"}

    @pytest.fixture
    def grants(self) -> Confinement:  # type: ignore[override]
        return Confinement(confined=True, data_hosts=("127.0.0.1",))

    @pytest.fixture
    def private(self) -> bool:
        return True

    @pytest.fixture
    def change(self, cloud: Cloud) -> Callable[[], object]:  # type: ignore[override]
        return lambda: cloud.objects.update({"d/a.csv": b"x\n9\n"})


class TestGoogle(_Conformance):
    kind = "gs"


class TestAzure(_Conformance):
    kind = "az"


class TestAmazon(_Conformance):
    """With moto's server, which any name of this machine leads to."""

    kind = "s3"

    @pytest.fixture
    def cloud(self, moto: Moto) -> Iterator[Cloud]:  # type: ignore[override]
        moto.client.create_bucket(Bucket="box")
        moto.client.put_object(Bucket="box", Key="d/a.csv", Body=b"x\n1\n2\n")
        yield Cloud({}, int(moto.url.rpartition(":")[2]))
        moto.client.delete_object(Bucket="box", Key="d/a.csv")
        moto.client.delete_bucket(Bucket="box")

    @pytest.fixture
    def change(self, moto: Moto) -> Callable[[], object]:  # type: ignore[override]
        return lambda: moto.client.put_object(Bucket="box", Key="d/a.csv", Body=b"x\n9\n")

"""The clients of three clouds, made for what the operator grants and with the credentials that the step was given."""

import importlib
import json
from collections.abc import Mapping
from typing import Any

from fiat.builtin.http_address import checked_addresses, resolve_name
from fiat.builtin.http_url import checked_url
from fiat.builtin.source_bucket_client import BucketClient
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import SourceRequest
from fiat.redaction import Redactor

_CONNECT_S = 15
_READ_S = 60
_ACCOUNT_PARTS = {"AccountName": "AZURE_STORAGE_ACCOUNT_NAME", "AccountKey": "AZURE_STORAGE_ACCOUNT_KEY"}
_PLAIN = ("ENDPOINT_URL", "ENDPOINT_URL_S3", "REGION", "EMULATOR_HOST", "ACCOUNT_NAME", "PROFILE")
_DEVELOPMENT = "http://127.0.0.1:10000/devstoreaccount1"


def s3_client(request: SourceRequest) -> BucketClient:
    """A client for Amazon S3 or what speaks like it.

    Source: botocore's documentation on its variables; s3fs for its arguments.

    Raises:
        SpecError: an endpoint that is not granted.
        EnvironmentFault: the extra is not installed.
    """
    env = request.env
    endpoint = _endpoint(
        request, "source.s3", ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "s3.amazonaws.com"
    )
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    key = env.get("AWS_ACCESS_KEY_ID")
    config = {
        "connect_timeout": _CONNECT_S,
        "read_timeout": _READ_S,
        "retries": {"mode": "standard", "max_attempts": 2},
        "ignore_configured_endpoint_urls": True,
        "proxies": _proxies(env),
        **({"s3": {"addressing_style": "path"}} if endpoint else {}),
    }
    options = {
        "anon": _is_anonymous(request, key),
        "key": key,
        "secret": env.get("AWS_SECRET_ACCESS_KEY"),
        "token": env.get("AWS_SESSION_TOKEN"),
        "endpoint_url": endpoint,
        "config_kwargs": config,
        "client_kwargs": {"region_name": region or "us-east-1"} if region or endpoint else {},
    }
    if env.get("AWS_PROFILE") and not key and not request.confinement.confined:
        options["profile"] = env["AWS_PROFILE"]
    hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as secrets, or `anonymous: true`"
    return _client(request, "source.s3", ("s3fs", "S3FileSystem", "s3"), options, hint)


def gs_client(request: SourceRequest) -> BucketClient:
    """A client for Google Cloud Storage.

    Source: google-auth's documentation on its variables; gcsfs for its arguments.

    Raises:
        SpecError: an endpoint that is not granted.
        EnvironmentFault: the extra is not installed, or credentials that can't be read.
    """
    endpoint = _endpoint(request, "source.gs", ("STORAGE_EMULATOR_HOST",), "storage.googleapis.com")
    given = request.env.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    token: Any = given
    if given.lstrip().startswith("{"):
        try:
            token = json.loads(given)
        except ValueError:
            raise EnvironmentFault("GOOGLE_APPLICATION_CREDENTIALS is no JSON") from None
    elif request.confinement.confined:
        # A path would be one of the runner's own files.
        token = ""
    if _is_anonymous(request, token) or (endpoint and not token):
        token = "anon"  # noqa: S105 - no secret
    proxy = _proxies(request.env).get("https")
    options = {
        "token": token or "google_default",
        "endpoint_url": endpoint,
        "requests_timeout": _READ_S,
        "session_kwargs": {"proxy": proxy} if proxy else {},
    }
    hint = "give the key's JSON in the secret GOOGLE_APPLICATION_CREDENTIALS, or `anonymous: true`"
    return _client(request, "source.gs", ("gcsfs.core", "GCSFileSystem", "gs"), options, hint)


def az_client(request: SourceRequest) -> BucketClient:
    """A client for Azure Blob Storage.

    Source: azure-storage-blob's documentation on connection strings; adlfs for its arguments.

    Raises:
        SpecError: no account, or an endpoint that is not granted.
        EnvironmentFault: the extra is not installed.
    """
    parts = _storage_account(request)
    known = parts.get("AccountKey") or parts.get("SharedAccessSignature")
    if _is_anonymous(request, known):
        parts = {"BlobEndpoint": parts["BlobEndpoint"]}
    hint = "set AZURE_STORAGE_CONNECTION_STRING as a secret, or `anonymous: true`"
    if not known and not _is_anonymous(request, known):
        host = checked_url(parts["BlobEndpoint"]).netloc
        account = parts.get("AccountName") or host.partition(".")[0]
        options: dict[str, Any] = {"account_name": account, "account_host": host, "anon": False}
    else:
        options = {"connection_string": ";".join(f"{name}={value}" for name, value in parts.items())}
    timeouts = {"connection_timeout": _CONNECT_S, "read_timeout": _READ_S}
    return _client(request, "source.az", ("adlfs", "AzureBlobFileSystem", "az"), options | timeouts, hint)


def _storage_account(request: SourceRequest) -> dict[str, str]:
    """The parts of a connection string, whatever they were given as; `BlobEndpoint` is there, and granted."""
    env, named = request.env, request.settings.get("endpoint")
    parts = _parts(env.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    parts |= {
        part: env[name] for part, name in _ACCOUNT_PARTS.items() if env.get(name) and not parts.get(part)
    }
    if env.get("AZURE_STORAGE_SAS_TOKEN") and "SharedAccessSignature" not in parts:
        parts["SharedAccessSignature"] = env["AZURE_STORAGE_SAS_TOKEN"].lstrip("?")
    if named:
        parts["BlobEndpoint"] = str(named)
    if "BlobEndpoint" in parts:
        _check_endpoint(parts["BlobEndpoint"], request, "source.az", named=bool(named))
        return parts
    if not parts.get("AccountName"):
        raise SpecError(
            "source.az: no storage account is named",
            hint="set AZURE_STORAGE_CONNECTION_STRING as a secret, or `endpoint: https://ACCOUNT.blob.core.windows.net`",
        )
    host = f"{parts['AccountName']}.blob.{parts.get('EndpointSuffix', 'core.windows.net')}"
    _check_host(host, request, "source.az")
    return {**parts, "BlobEndpoint": f"{parts.get('DefaultEndpointsProtocol', 'https')}://{host}"}


def _client(
    request: SourceRequest, setting: str, kind: tuple[str, str, str], options: Mapping[str, Any], hint: str
) -> BucketClient:
    module, name, extra = kind
    try:
        make = getattr(importlib.import_module(module), name)
    except ImportError as error:
        package = module.partition(".")[0]
        raise EnvironmentFault(
            f"{setting} needs {package}, which is not installed", hint=f"pip install 'fiat-ml[{extra}]'"
        ) from error
    fresh = {"skip_instance_cache": True, "use_listings_cache": False}
    return BucketClient(setting, lambda: make(**options, **fresh), Redactor(_secrets(request.env)), hint)


def _secrets(env: Mapping[str, str]) -> list[str]:
    """What must not be shown: each value, and of a connection string the key and signature in it."""
    values = [value for name, value in env.items() if not name.endswith(_PLAIN)]
    for value in tuple(values):
        parts = _parts(value)
        values += [parts[name] for name in ("AccountKey", "SharedAccessSignature") if parts.get(name)]
    return [value for value in values if len(value) >= 8]


def _is_anonymous(request: SourceRequest, credential: object) -> bool:
    """Whether nothing is signed: asked for, or a stranger's spec that was given no credentials."""
    return request.settings.get("anonymous") is True or (request.confinement.confined and not credential)


def _endpoint(request: SourceRequest, setting: str, names: tuple[str, ...], usual_host: str) -> str | None:
    """The address that is not the cloud's own, checked; None for the cloud's."""
    named = request.settings.get("endpoint")
    given = next((request.env[name] for name in names if request.env.get(name)), None)
    text = str(named or given or "")
    if not text:
        _check_host(usual_host, request, setting)
        return None
    address = text if "://" in text else f"http://{text}"
    _check_endpoint(address, request, setting, named=bool(named))
    return address


def _check_host(host: str, request: SourceRequest, setting: str) -> None:
    """Whether a cloud's own host may be asked."""
    if request.confinement.confined and not request.confinement.grants_host(host):
        raise SpecError(f"{setting}: the operator does not grant the host {host}")


def _check_endpoint(address: str, request: SourceRequest, setting: str, *, named: bool) -> None:
    """Whether an address may be asked.

    One that a stranger's spec names must be listed: what answers there may lead the client on to other addresses.
    """
    parts = checked_url(address)
    host = str(parts.hostname)
    policy = request.confinement
    if policy.confined and (not policy.grants_host(host) or (named and not policy.data_hosts)):
        raise SpecError(
            f"{setting}: the operator does not grant the endpoint {host}", hint="he lists it under data_hosts"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    checked_addresses(host, port, resolve_name, allow_private=request.allow_private_hosts)


def _parts(text: str) -> dict[str, str]:
    """The parts of a connection string, `name=value` with semicolons between."""
    pairs = (item.partition("=") for item in text.split(";"))
    parts = {name.strip(): value.strip() for name, _, value in pairs if value}
    if parts.pop("UseDevelopmentStorage", "") == "true":
        parts |= {"BlobEndpoint": _DEVELOPMENT, "AccountName": "devstoreaccount1"}
    return parts


def _proxies(env: Mapping[str, str]) -> dict[str, str]:
    given = {name.upper(): value for name, value in env.items() if value}
    names = {"http": "HTTP_PROXY", "https": "HTTPS_PROXY"}
    return {scheme: given[name] for scheme, name in names.items() if name in given}

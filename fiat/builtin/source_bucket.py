"""Sources `s3`, `gs` and `az`: objects of a bucket, through the file systems of fsspec.

Credentials are those that the step was given. A stranger's spec never gets those that lie about on the machine: without
its own it is anonymous.
"""

import hashlib
import time
from collections.abc import Callable

from fiat.builtin.source_bucket_client import BucketClient
from fiat.builtin.source_bucket_cloud import az_client, gs_client, s3_client
from fiat.builtin.source_bucket_download import download_objects
from fiat.builtin.source_bucket_place import Place, find_objects, parse_place
from fiat.builtin.source_digest import digest_files
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest


class BucketSource:
    """What the three have in common: `bucket/key`, `bucket/prefix/` or a pattern such as `bucket/2024-*.parquet`.

    Args:
        sleep: waits between tries, in seconds.
    """

    name = ""
    version = "1"

    def __init__(self, sleep: Callable[[float], object] = time.sleep) -> None:
        self._sleep = sleep

    def fetch(self, request: SourceRequest) -> Fetched:
        """Download the objects.

        Raises:
            SpecError: no such object, too many bytes, a key that can't be a file's name, or an endpoint that is not
                granted.
            EnvironmentFault: the extra is not installed, the network or the credentials fail, the disk is full.
        """
        place, client = self._place(request), self._client(request)
        found = client.ask(lambda system: find_objects(system, place), str(place), self._sleep)
        size = sum(item.size_bytes for item in found)
        if size > request.max_bytes:
            raise SpecError(
                f"source.{self.name}: {place} has {size:,} bytes, more than the {request.max_bytes:,} allowed",
                hint="FIAT_MAX_DOWNLOAD_BYTES sets how many",
            )
        files = download_objects(client, found, request.folder, self._sleep)
        return Fetched(tuple(files), digest_files(files, request.folder))

    def probe(self, request: SourceRequest) -> str:
        """What the bucket's list says of the objects: their names, sizes and versions; nothing is downloaded.

        Raises:
            SpecError: as `fetch`.
            EnvironmentFault: as `fetch`.
        """
        place, client = self._place(request), self._client(request)
        found = client.ask(lambda system: find_objects(system, place), str(place), self._sleep)
        listing = "".join(f"{item.size_bytes} {item.version} {item.key}\n" for item in found)
        return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()

    def _place(self, request: SourceRequest) -> Place:
        return parse_place(request.settings.get(self.name), f"source.{self.name}")

    def _client(self, request: SourceRequest) -> BucketClient:
        raise NotImplementedError


class S3Source(BucketSource):
    """`s3`: Amazon S3, or a store that speaks like it at `endpoint` or `AWS_ENDPOINT_URL`."""

    name = "s3"

    def _client(self, request: SourceRequest) -> BucketClient:
        return s3_client(request)


class GsSource(BucketSource):
    """`gs`: Google Cloud Storage, or what speaks like it at `endpoint` or `STORAGE_EMULATOR_HOST`."""

    name = "gs"

    def _client(self, request: SourceRequest) -> BucketClient:
        return gs_client(request)


class AzSource(BucketSource):
    """`az`: Azure Blob Storage; the account is that of `endpoint`, `AZURE_STORAGE_CONNECTION_STRING` or its parts."""

    name = "az"

    def _client(self, request: SourceRequest) -> BucketClient:
        return az_client(request)

"""A server that follows a release manifest and tells counts, without any model: how it behaves is said by a file.

`<service>/standin.json` holds digest to {"load": reason, "die": true, "hang": true, "errors": ratio, "latency_s": seconds,
"disagree": ratio}. It is a program: the keeper starts it in the place of the real server.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fiat.errors import FiatError
from fiat.serving.counts import Counts, VersionCounts, WorkerCounts, bucket_of
from fiat.serving.place import Place
from fiat.serving.release import ReleaseManifest, Version, read_manifest

POLL_S = 0.05


class Tally:
    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.latency: Counter[str] = Counter()
        self.distance = 0.0

    def counts(self) -> Counts:
        numbers: dict[str, Any] = dict(self.numbers)
        return Counts(latency=dict(self.latency), distance=self.distance, **numbers)


class Standin:
    def __init__(self, release: Path, counts: Path) -> None:
        self.release, self.counts = release, counts
        self.lock = threading.Lock()
        self.random = random.Random(1)
        self.manifest: ReleaseManifest | None = None
        self.tallies: dict[str, Tally] = {}
        self.failed: dict[str, str] = {}
        self.began = time.time()

    def behaviour(self, digest: str) -> dict[str, object]:
        try:
            found: dict[str, dict[str, object]] = json.loads(
                (self.release.parent / "standin.json").read_bytes()
            )
        except (OSError, ValueError):
            return {}
        return found.get(digest, {})

    def look(self) -> None:
        try:
            manifest = read_manifest(self.release)
        except FiatError:
            manifest = None
        with self.lock:
            if manifest is not None and manifest != self.manifest:
                self.take(manifest)
            self.tell()

    def follow(self) -> None:
        while True:
            self.look()
            time.sleep(POLL_S)

    def take(self, manifest: ReleaseManifest) -> None:
        for version in manifest.versions:
            if version.digest in self.tallies:
                continue
            how = self.behaviour(version.digest)
            if how.get("die"):
                os.kill(os.getpid(), signal.SIGSEGV)
                time.sleep(60)
            if not (self.release.parent / version.folder / "model.onnx").is_file():
                self.failed[version.digest] = "its graph is missing"
            elif how.get("load"):
                self.failed[version.digest] = str(how["load"])
            else:
                self.failed.pop(version.digest, None)
                self.tallies[version.digest] = Tally()
        wanted = {version.digest for version in manifest.versions}
        for digest in set(self.tallies) - wanted:
            del self.tallies[digest]
        self.failed = {digest: why for digest, why in self.failed.items() if digest in wanted}
        self.manifest = manifest

    def tell(self) -> None:
        manifest = self.manifest
        if manifest is None or not self.counts.is_dir():
            return
        versions = tuple(
            VersionCounts(version.name, version.digest, "failed", self.failed[version.digest])
            if version.digest in self.failed
            else VersionCounts(
                version.name, version.digest, "ready", counts=self.tallies[version.digest].counts()
            )
            for version in manifest.versions
        )
        told = WorkerCounts(
            0, os.getpid(), self.began, time.time(), manifest.serial, 0, 0, 0, 0, {manifest.model: versions}
        )
        told.write(self.counts)

    def ready(self) -> bool:
        with self.lock:
            return bool(self.tallies)

    def infer(self, request_id: str) -> tuple[int, str]:
        with self.lock:
            version = self.pick(request_id)
            if version is None:
                return 503, ""
            how = self.behaviour(version.digest)
            copied = [
                other
                for other in (self.manifest.versions if self.manifest else ())
                if other.shadow_percent > self.random.random() * 100 and other.digest in self.tallies
            ]
            for other in copied:
                tally = self.tallies[other.digest]
                tally.numbers["shadowed"] += 1
                ratio = float(str(self.behaviour(other.digest).get("disagree", 0)))
                tally.numbers["disagreed"] += self.random.random() < ratio
        began = time.monotonic()
        if how.get("hang"):
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(float(str(how.get("latency_s", 0))))
        failed = self.random.random() < float(str(how.get("errors", 0)))
        with self.lock:
            tally = self.tallies.get(version.digest, Tally())
            tally.numbers["requests"] += 1
            tally.numbers["failed"] += failed
            tally.latency[str(bucket_of(time.monotonic() - began))] += 1
        return (500 if failed else 200), version.name

    def pick(self, request_id: str) -> Version | None:
        if self.manifest is None:
            return None
        place = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:4], "big") / 2**32 * 100
        there = [version for version in self.manifest.versions if version.digest in self.tallies]
        for version in there:
            place -= version.percent
            if place < 0:
                return version
        return there[0] if there else None


def handler(standin: Standin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200 if standin.ready() else 503, b"{}")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, name = standin.infer(self.headers.get("x-request-id", ""))
            self.answer(status, json.dumps({"model_version": name}).encode())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Web(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    asked, _ = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    standin = Standin(asked.release, Place(asked.release.parent).counts)
    standin.look()  # before the port is open: no request must find it without a version
    web = Web((asked.host, asked.port), handler(standin))
    threading.Thread(target=standin.follow, daemon=True).start()
    web.serve_forever()


if __name__ == "__main__":
    main()

"""A checkout with a job that lies ready in it, the desk beside it, and a node: without Ray."""

import hashlib
from pathlib import Path

from fiat.builtin.ray_desk import Desk
from fiat.builtin.ray_node import NodeFolder
from fiat.builtin.ray_travel_parcel import Item, Parcel, in_chunks
from fiat.ports.compute import Command, Job, Resources


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Town:
    """A checkout with a job that lies ready in it, the desk beside it, and a node."""

    chunk_bytes = 7  # files of tests are small

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.work = folder / "store" / "work" / "r" / "train.1"
        (self.work / "in").mkdir(parents=True)
        (self.work / "out").mkdir()
        (self.work / "tmp").mkdir()
        self.root.mkdir()
        self.desk = Desk("/usr/bin/python3")
        self.node = NodeFolder(folder / "node")
        self.cache = folder / "store" / "cache" / "files" / "md5"

    def job(self, checkpoints: Path | None = None) -> Job:
        command = Command(("true",), self.root, {})
        log = self.work / "log"
        return Job("j", "train", Resources(), log, self.work, command=command, checkpoints=checkpoints)

    def object(self, content: bytes) -> Path:
        digest = md5(content)
        path = self.cache / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def fetch(self, parcel: Parcel, job_folder: Path) -> list[Item]:
        missing = self.node.claim(job_folder, parcel.items)
        for chunk in in_chunks(missing, self.chunk_bytes):
            self.node.write(job_folder, chunk, self.desk.read(chunk))
        for item in missing:
            self.node.keep(job_folder, item)
        return missing


def paths(parcel: Parcel, place: str) -> dict[str, str]:
    return {item.path: item.digest for item in parcel.items if item.place == place}

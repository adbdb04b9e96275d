"""The app by itself, without a server."""

import asyncio
import time

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application
from fiat.serving.fleet import Fleet
from fiat.serving.release import ServerLimits


def test_paths_that_clients_make_up_fill_no_memory() -> None:
    async def work() -> list[tuple[int, bool]]:
        limits = ServerLimits()
        fleet = Fleet(limits, threads=1, check=lambda *_: None)
        app = Application(fleet, limits, AnswerLogs(0, time.time), version="1", workers=list)
        found = []
        for size in (10, 1000):
            path = b"/v2/models/" + b"a" * size
            reply = await app.reply("GET", path, {}, b"", 0.0)
            found.append((reply.status, app.knows(path)))
        for number in range(2000):
            await app.reply("GET", b"/v2/models/%d" % number, {}, b"", 0.0)
        found.append((404, app.knows(b"/v2/models/1999")))
        return found

    assert asyncio.run(work()) == [(404, True), (404, False), (404, False)]

"""What a job prints, written to its log line by line: harmless bytes, cut lines, a cap, metrics picked out."""

import os
import re

from fiat.builtin.loss_watch import loss_fault
from fiat.builtin.metric_series import Logged, MetricSeries
from fiat.journal import read_metric
from fiat.redaction import Redactor

LINE_BYTES = 64 * 1024
LOG_BYTES = 256 * 1024 * 1024

_ESCAPES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    rb"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, clipboard
    rb"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = bytes.maketrans(bytes([*range(9), 11, 12, *range(14, 32), 127]), b"?" * 30)
_BREAKS = re.compile(rb"\r\n|\n|\r")


class JobLog:
    """Takes the bytes of one job and appends lines to its log as they come.

    A carriage return alone ends a line too, so that progress bars show. Escape sequences are dropped and
    other control bytes become `?`: a log can't move the cursor of who reads it.

    Attributes:
        taken_bytes: how much was printed, whatever became of it.
        last_line: the last whole line, as it was before masking.
        lost_loss: the first loss that was no number any more, one sentence; empty as long as all were.
        lost_metric: that loss as it was logged.
        fault: why the log could not be written, empty when it could.
    """

    def __init__(
        self,
        path: str,
        *,
        line_bytes: int = LINE_BYTES,
        log_bytes: int = LOG_BYTES,
        redactor: Redactor | None = None,
    ) -> None:
        self.taken_bytes = 0
        self.last_line = ""
        self.lost_loss = ""
        self.lost_metric: Logged | None = None
        self.fault = ""
        self._redactor = redactor or Redactor(())
        self._mask = self._redactor.stream()
        self._line_bytes = line_bytes
        self._left_bytes = log_bytes
        self._log_bytes = log_bytes
        self._series = MetricSeries()
        self._rest = b""
        self._cutting = False
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.fault = error.strerror or str(error)

    @property
    def metrics(self) -> list[Logged]:
        """What `FIAT_METRIC` lines said, in order: (name, value, step or None); of very long curves a part."""
        return self._series.metrics()

    def take(self, chunk: bytes) -> None:
        """Add what was read; complete lines go to the log at once."""
        self.taken_bytes += len(chunk)
        if self._cutting and not self._rest and b"\n" not in chunk and b"\r" not in chunk:
            return
        data = self._rest + chunk
        held = b""
        if data.endswith(b"\r"):  # its line feed may come with the next bytes
            data, held = data[:-1], b"\r"
        lines = _BREAKS.split(data)
        self._rest = lines.pop() + held
        written = [text for line in lines if (text := self._line(line)) is not None]
        if len(self._rest) - len(held) > self._line_bytes:
            if not self._cutting:
                written.append(self._cut(self._rest))
            self._rest, self._cutting = held, True
        self._write(written)

    def note(self, sentence: str) -> None:
        """Add a line of ours; there is room for it in a full log too."""
        said = self._redactor.text(f"[fiat] {sentence}\n").encode("utf-8", "replace")
        self._put(self._mask.close() + said)

    def close(self) -> None:
        """Write what is left without a line end."""
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        if rest and (text := self._line(rest)) is not None:
            self._write([text])
        self._append(self._mask.close())
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _line(self, line: bytes) -> bytes | None:
        if self._cutting:
            self._cutting = False
            return None
        if line.startswith(b"FIAT_METRIC ") and len(line) < 1000:
            self._take_metric(line.decode("utf-8", "replace"))
        if len(line) > self._line_bytes:
            return self._cut(line)
        return self._clean(line)

    def _take_metric(self, line: str) -> None:
        metric = read_metric(line)
        if metric is None:
            return
        name, value, step = metric
        self._series.add(self._redactor.text(name), value, step)
        if not self.lost_loss and (fault := loss_fault(name, value, step)):
            self.lost_loss, self.lost_metric = fault, metric

    def _cut(self, line: bytes) -> bytes:
        kept = self._redactor.head(self._clean(line), self._line_bytes)
        return kept + b" [fiat: line cut after %d bytes]" % self._line_bytes

    @staticmethod
    def _clean(line: bytes) -> bytes:
        if b"\x1b" in line:
            line = _ESCAPES.sub(b"", line)
        text = line.translate(_CONTROLS).decode("utf-8", "replace")
        if not text.isascii():
            text = "".join("?" if "\x80" <= char <= "\x9f" else char for char in text)
        return text.encode()

    def _write(self, lines: list[bytes]) -> None:
        if lines:
            self.last_line = lines[-1].decode("utf-8", "replace")
            self._append(self._mask.feed(b"\n".join(lines) + b"\n"))

    def _append(self, data: bytes) -> None:
        """Write what may be seen, as far as there is room."""
        if not data or self._left_bytes <= 0:
            return
        self._left_bytes -= len(data)
        if self._left_bytes <= 0:
            data = data[: max(0, self._left_bytes + len(data))].rsplit(b"\n", 1)[0]
            data += b"\n[fiat] the log is full (%d bytes): the rest is dropped\n" % self._log_bytes
        self._put(data)

    def _put(self, data: bytes) -> None:
        if self._fd < 0:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.fault = error.strerror or str(error)
            self._left_bytes = 0

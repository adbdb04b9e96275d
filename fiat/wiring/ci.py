"""A spec in a CI job, from the job's event to its summary: what `fiat ci` does."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TextIO

from fiat.builtin.report_comment import Topic
from fiat.builtin.report_plain import PlainReporter
from fiat.engine.package_folder import package_folder
from fiat.errors import EXIT_DONE, EXIT_REFUSED, FiatError
from fiat.redaction import Redactor
from fiat.run.model import Run
from fiat.wiring.ci_comment import send_comment
from fiat.wiring.ci_files import metrics_json, write_outputs, write_summary
from fiat.wiring.ci_job import Job, Mode, allowed_mode, read_job, refuse_strangers, without_credentials
from fiat.wiring.ci_remarks import error_remarks, run_remarks
from fiat.wiring.ci_reporter import JobReporter
from fiat.wiring.ci_text import comment_of, error_text, plan_text, result_text, topic_of, with_notes
from fiat.wiring.ci_words import command
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.pages import run_page
from fiat.wiring.settings import Settings, read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.told import told_of
from fiat.wiring.views import show_plan

OUTPUTS = ("verdict", "run", "metrics", "model", "model-digest", "report")
_MASKED_LINE = 4


@dataclass(frozen=True)
class Wish:
    """What the job wants.

    Attributes:
        mode: `run`, `judge` (release and deploy nothing) or `plan` (run nothing).
        compute: where steps run; None for what the settings say.
        comment: whether to comment on the pull request.
        verbose: outside of a CI job: show every line that steps print.
    """

    mode: Mode = "run"
    compute: str | None = None
    comment: bool = True
    verbose: bool = False


def run_in_job(
    spec: str,
    overrides: Sequence[str],
    wish: Wish,
    environment: Mapping[str, str],
    here: Path,
    stream: TextIO = sys.stdout,
) -> int:
    """Run, judge or plan a spec, and tell the job and its pull request.

    Args:
        spec: as the user named it.
        overrides: as typed.
        wish: what the job wants.
        environment: of the process.
        here: the working directory.
        stream: standard output.

    Returns:
        The exit code.

    Raises:
        FiatError: there is no verdict; the job has been told why.
    """
    job = read_job(environment, here)
    return _Session(job, wish, environment, stream).work(spec, overrides)


class _Session:
    """One call, with what it has to say at its end."""

    def __init__(self, job: Job, wish: Wish, environment: Mapping[str, str], stream: TextIO) -> None:
        self._job, self._wish, self._stream = job, wish, stream
        self._environment = environment
        self._redactor = Redactor([job.token] if job.token else [])
        self._mode = allowed_mode(job, wish.mode)
        self._notes: list[str] = []
        if self._mode != wish.mode:
            self._notes.append(f"An event `{job.event}` is only judged: nothing is released or deployed.")

    def work(self, named: str, overrides: Sequence[str]) -> int:
        topic = topic_of(self._job, named, self._job.head)
        try:
            settings = read_settings(without_credentials(self._environment))
            with open_desk(named, overrides, settings) as desk:
                commit = desk.checkout.git.commit
                refuse_strangers(self._job, commit)
                self._mask(desk, settings)
                topic = topic_of(self._job, desk.loaded.spec.name, self._job.head or commit)
                if self._mode == "plan":
                    return self._plan(topic, desk)
                return self._run(topic, desk, settings)
        except FiatError as error:
            self._broken(topic, error)
            raise

    def _plan(self, topic: Topic, desk: Desk) -> int:
        desk.decider.look_ahead()
        walk = desk.walk()
        walk.advance()
        decisions = desk.plan_decisions(walk)
        show_plan(desk.plan, decisions)
        self._tell(topic, plan_text(topic, desk, decisions), {})
        return EXIT_DONE

    def _run(self, topic: Topic, desk: Desk, settings: Settings) -> int:
        begun = desk.new_run()
        compute = self._wish.compute or settings.compute
        dry = self._mode == "judge"
        if self._job.inside:
            with closing(JobReporter(self._stream, self._redactor.text)) as reporter:
                run = desk.apply(begun, reporter, compute=compute, dry=dry)
        else:
            run = desk.apply(
                begun, PlainReporter(self._stream, verbose=self._wish.verbose), compute=compute, dry=dry
            )
        state_dir = settings.state_dir(desk.root)
        told = told_of(desk.store, state_dir, run, where=desk.loaded.where)
        self._say(run_remarks(run, desk.plan, desk.loaded.where))
        topic = topic_of(self._job, topic.spec, topic.commit, run.id)
        outputs = self._outputs(desk, settings, run)
        self._tell(topic, result_text(topic, told), outputs)
        return EXIT_DONE if run.verdict in ("pass", "warn") else EXIT_REFUSED

    def _outputs(self, desk: Desk, settings: Settings, run: Run) -> dict[str, str]:
        if self._job.output is None:
            return {}
        model = str(package_folder(desk.store, run.model_digest)) if run.model_digest else ""
        report = self._job.temp / f"fiat-report-{run.id}.html"
        with open_shelf(desk.root, settings) as shelf:
            page = run_page(shelf, run)
        try:
            report.write_text(self._redactor.text(page), encoding="utf-8")
        except OSError as error:
            self._notes.append(f"The report could not be written to a file: {error.strerror}.")
        return {
            "verdict": run.verdict or "error",
            "run": run.id,
            "metrics": metrics_json(run.metrics),
            "model": model,
            "model-digest": run.model_digest,
            "report": str(report) if report.exists() else "",
        }

    def _broken(self, topic: Topic, error: FiatError) -> None:
        self._say(error_remarks(error))
        self._tell(topic, error_text(topic, error), {"verdict": "error"})
        if self._job.inside:
            # The error itself is shown behind this, and it names what strangers wrote.
            self._say([command("stop-commands", token_hex(16))])

    def _tell(self, topic: Topic, text: str, outputs: Mapping[str, str]) -> None:
        """Write summary, outputs and comment."""
        job, text = self._job, self._redactor.text(text)
        if job.pull and job.inside and self._wish.comment:
            note = send_comment(job, comment_of(job, topic, text), self._environment)
            if note:
                self._notes.append(self._redactor.text(note))
        write_summary(job.summary, with_notes(text, self._notes))
        write_outputs(job.output, {name: self._redactor.text(outputs.get(name, "")) for name in OUTPUTS})

    def _mask(self, desk: Desk, settings: Settings) -> None:
        """Let the job mask what the spec's secrets hold, in its log and in everything that it passes on."""
        values = [settings.environment.get(name, "") for name in desk.loaded.spec.env.secrets]
        self._redactor = Redactor([*filter(None, values), *filter(None, [self._job.token])])
        lines = [line for value in values for line in value.splitlines() if len(line) >= _MASKED_LINE]
        self._say([command("add-mask", line) for line in dict.fromkeys(lines)])

    def _say(self, commands: Sequence[str]) -> None:
        if self._job.inside:
            for line in commands:
                self._stream.write(self._redact_remark(line) + "\n")
            self._stream.flush()

    def _redact_remark(self, line: str) -> str:
        return line if line.startswith("::add-mask::") else self._redactor.text(line)

"""The program `fiat`: finds the command, runs it, turns errors into sentences and exit codes."""

import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple

import typer

from fiat.cli.show_error import drop_output, fault_of_machine, show_error, take_any_text
from fiat.errors import EXIT_BUG, EXIT_DONE, EXIT_INTERRUPTED, FiatError


class Entry(NamedTuple):
    """One command: the module in this folder, the panel of the help page, and its line there."""

    panel: str
    line: str


SPEC, RUNS, MACHINE, SERVICE = "A spec", "What happened", "This machine", "A runner"
MODELS, PLACES = "Released models", "Where models stand"
COMMANDS = {
    "init": Entry(SPEC, "Write a small working spec into this repository."),
    "validate": Entry(SPEC, "Check a spec without running anything."),
    "plan": Entry(SPEC, "Show what a run would do: what runs, what is reused."),
    "explain": Entry(SPEC, "Say why each step runs or is reused."),
    "data": Entry(SPEC, "Describe data, check and compare them, of a spec or of files."),
    "run": Entry(SPEC, "Run what changed, judge the model, package and deploy it."),
    "runs": Entry(RUNS, "List runs."),
    "show": Entry(RUNS, "Show a run or a released model."),
    "logs": Entry(RUNS, "Print what the steps of a run printed."),
    "compare": Entry(RUNS, "Compare two runs: parameters, data, metrics."),
    "tune": Entry(RUNS, "Show what a search for parameters found."),
    "report": Entry(RUNS, "Write a run's report as one HTML page."),
    "reproduce": Entry(RUNS, "Run a run again from its commit and compare the digests."),
    "models": Entry(MODELS, "List released models, or the versions of one."),
    "serve": Entry(MODELS, "Serve released models over HTTP."),
    "alias": Entry(MODELS, "Give an alias to a version of a model."),
    "tag": Entry(MODELS, "Give a version of a model named values."),
    "note": Entry(MODELS, "Write a note about a version of a model."),
    "lineage": Entry(MODELS, "Show what made a model, or which models came from data."),
    "sign": Entry(MODELS, "Sign a model's package, and how it was made."),
    "verify": Entry(MODELS, "Check a package, its signature, and how it was made."),
    "bom": Entry(MODELS, "Write a model's bill of materials."),
    "keys": Entry(MODELS, "Make keys that sign models."),
    "why": Entry(PLACES, "Say which commit, data, gates and approver a served model comes of."),
    "status": Entry(PLACES, "Show what stands on the targets, and whether it is what git says."),
    "diff": Entry(PLACES, "Compare what targets have with the model of this commit."),
    "deploy": Entry(PLACES, "Bring targets to the model of this commit; mend what differs."),
    "rollback": Entry(PLACES, "Put the earlier model back, at once, without training."),
    "hold": Entry(PLACES, "Keep every new model away from a target."),
    "unhold": Entry(PLACES, "Lift what keeps models away from a target."),
    "stop": Entry(PLACES, "End a service, until the next deploy."),
    "monitor": Entry(PLACES, "Show how far a served model's requests are from what it learned."),
    "labels": Entry(PLACES, "Bring labels that came later to a service."),
    "gc": Entry(MACHINE, "Remove what no kept run needs."),
    "up": Entry(MACHINE, "Start a Ray that stays warm between runs."),
    "down": Entry(MACHINE, "Stop the warm Ray."),
    "gpus": Entry(MACHINE, "Show who has which GPU, and who waits."),
    "schema": Entry(MACHINE, "Print JSON Schemas; freeze and compare the schema of data."),
    "doctor": Entry(MACHINE, "Check this machine and say how to mend it."),
    "runner": Entry(SERVICE, "Watch repositories, run their specs, report to commits."),
    "ci": Entry(SERVICE, "Run a spec in a CI job, and tell the job and the pull request."),
    "trigger": Entry(SERVICE, "Let a runner run specs, and follow them."),
}


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The program with one command loaded: the one that the arguments name."""
    app = typer.Typer(
        name="fiat",
        help="One YAML spec from data to a gated, packaged, deployed model.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        add_completion=True,
    )
    app.callback(invoke_without_command=True)(_version)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, entry in COMMANDS.items():
        module = import_module(f"fiat.cli.{name}") if name == chosen else None
        if module is not None and hasattr(module, "group"):
            app.add_typer(module.group, name=name, short_help=entry.line, rich_help_panel=entry.panel)
            continue
        function = module.command if module is not None else _listed
        context = {"allow_interspersed_args": True}
        app.command(
            name,
            short_help=entry.line,
            rich_help_panel=entry.panel,
            context_settings=context,
            no_args_is_help=False,
        )(function)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code (see `fiat.errors`)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    take_any_text()
    try:
        code = _run(words)
        sys.stdout.flush()  # what a full disk does not take is told here, not at the interpreter's end
        return code
    except BrokenPipeError:
        drop_output()
        return EXIT_DONE
    except OSError as error:
        fault = fault_of_machine(error)
        if fault is None:
            return _end(error)
        drop_output()
        with suppress(OSError):
            show_error(fault, as_json=False)
        drop_output()
        return fault.exit_code


def _run(words: list[str]) -> int:
    try:
        code = build_app(words)(words, standalone_mode=False, prog_name="fiat")
        return code if isinstance(code, int) else EXIT_DONE
    except FiatError as error:
        show_error(error, as_json="--json" in words)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except OSError:
        raise
    except Exception as error:
        return _end(error)


def _end(error: Exception) -> int:
    """Exit code of an error of the command line parser; anything else is our bug."""
    code, show = getattr(error, "exit_code", None), getattr(error, "show", None)
    if isinstance(code, int) and callable(show):
        show()
        return code
    if isinstance(code, int):
        return code
    if type(error).__name__ == "Abort":
        return EXIT_INTERRUPTED
    traceback.print_exc()
    sys.stderr.write("fiat: this is a bug of Fiat; please report it with the lines above\n")
    return EXIT_BUG


def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        metadata = import_module("importlib.metadata")
        typer.echo(f"fiat {metadata.version('fiat-ml')}")
        raise typer.Exit


def _listed() -> None:
    """Stands for a command that was not asked for."""

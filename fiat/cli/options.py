"""Arguments and options that several commands share."""

from typing import Annotated

import typer

SpecName = Annotated[
    str,
    typer.Argument(metavar="SPEC", help="Spec file, or its folder: specs/digits is specs/digits/spec.yaml."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="Values for this time, such as params.lr=0.01 (Hydra's grammar)."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Run id, the beginning of one, or `last`.")]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A released model: NAME, NAME@ALIAS, NAME@3, or its package's digest or the beginning of it.",
    ),
]

"""The command line `mcegnn`: one command a file; heavy packages are imported by the command that
needs them."""

import sys
from typing import Annotated

import typer

from mcegnn.cli.analyse import analyse
from mcegnn.cli.convert import convert
from mcegnn.cli.evaluate import evaluate
from mcegnn.cli.info import info
from mcegnn.cli.label import label
from mcegnn.cli.predict import predict
from mcegnn.cli.report import report
from mcegnn.cli.rollout import rollout
from mcegnn.cli.train import train


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("mcegnn"))
        raise typer.Exit


app = typer.Typer(
    name="mcegnn",
    help="Molecular dynamics whose forces and dynamics can be learned.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (rollout, train, evaluate, predict, label, analyse, report, convert, info):
    app.command()(command)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Molecular dynamics whose forces and dynamics can be learned."""


def main() -> None:
    """The console entry point."""
    try:
        app()
    except KeyboardInterrupt:  # before a run has begun; a run says how it goes on
        sys.exit(130)

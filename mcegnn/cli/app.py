"""The command line `mcegnn`: one command a file; heavy packages are imported by the command that
needs them."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mcegnn.cli.analyse import analyse
from mcegnn.cli.convert import convert
from mcegnn.cli.evaluate import evaluate
from mcegnn.cli.info import info
from mcegnn.cli.label import label
from mcegnn.cli.predict import predict
from mcegnn.cli.report import report
from mcegnn.cli.rollout import rollout
from mcegnn.cli.train import train

RENAMED = {"--against": "--reference"}  # options of version 0.1, and what they are called now


class _Commands(TyperGroup):
    """The commands; options by names that they had before are refused with the new ones."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for word in args:
            option = word.partition("=")[0]
            if option in RENAMED:
                typer.echo(f"mcegnn: {option} is called {RENAMED[option]} now", err=True)
                raise typer.Exit(2)
        return super().parse_args(ctx, args)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("mcegnn"))
        raise typer.Exit


app = typer.Typer(
    name="mcegnn",
    cls=_Commands,
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

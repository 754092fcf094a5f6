"""The command line `mcegnn`: one command a file; heavy packages are imported by the command that needs them."""

import typer

from mcegnn.cli.analyse import analyse
from mcegnn.cli.convert import convert
from mcegnn.cli.info import info
from mcegnn.cli.rollout import rollout

app = typer.Typer(
    name="mcegnn", help="Molecular dynamics whose forces and dynamics can be learned.", no_args_is_help=True, rich_markup_mode="markdown",
    add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
for command in (rollout, analyse, convert, info):
    app.command()(command)


def main() -> None:
    """The console entry point."""
    app()

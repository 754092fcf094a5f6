"""The options of `mcegnn train`."""

from pathlib import Path
from typing import Annotated

import typer

Preset = Annotated[
    str | None,
    typer.Argument(
        help=(
            "charged-egnn, charged-mcegnn, charged-canonical, charged-force, solar-mcegnn,"
            " solar-force, rmd17, rmd17-unconstrained, rmd17-canonical, extxyz, qm9, adapt,"
            " adapt-ethanol, or a TOML file."
        )
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="The folder to write. [default: the preset's name]"),
]
Change = Annotated[
    list[str] | None,
    typer.Option("--set", help="Set an option, such as lr=1e-3; repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="The data set, in place of the preset's; for a potential rmd17:MOLECULE or a file."
    ),
]
Start = Annotated[
    str | None,
    typer.Option("--from", help="Start from the weights of this model (a name or a file)."),
]
Resume = Annotated[
    Path | None, typer.Option(help="Continue the run of this folder, bitwise reproducibly.")
]
Threads = Annotated[int | None, typer.Option(help="Threads. [default: all cores]")]
Tensorboard = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Write the metrics for TensorBoard too; needs the extra 'tensorboard'.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite the folder's run where there is one.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check and show the configuration without training.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]

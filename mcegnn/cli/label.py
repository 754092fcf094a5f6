"""`mcegnn label`: structures with the energies and forces of a calculator, as a training set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcegnn.cli import atoms_options as atoms
from mcegnn.cli import file_options as files
from mcegnn.cli.events import follow
from mcegnn.cli.messages import mistakes, table, told
from mcegnn.runs.outputs import size
from mcegnn.runs.times import Times

if TYPE_CHECKING:
    from mcegnn.runs.label import LabelResult


@told
def label(
    file: Annotated[str, typer.Argument(help="A file of atoms that ASE can read.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The extended XYZ file to write. [default: FILE-labelled.xyz]"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file where it exists.")
    ] = False,
    calculator: atoms.Calculator = None,
    potential: atoms.Potential = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of dynamics from the file's last structure. [default: none]"),
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Label a structure every K steps. [default: 10]")
    ] = None,
    dt: Annotated[
        str | None, typer.Option(help='Time step. [default: "0.5 fs" with hydrogen, else "1 fs"]')
    ] = None,
    systems: Annotated[
        int | None, typer.Option(help="Replicas, each with its own velocities. [default: 1]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of velocities and noise. [default: 0]")
    ] = None,
    ensemble: Annotated[
        str | None, typer.Option(help="nve, nvt (Langevin) or npt. [default: nvt]")
    ] = None,
    temperature: atoms.Temperature = None,
    pressure: atoms.Pressure = None,
    friction: atoms.Friction = None,
    period: atoms.Period = None,
    flexible: atoms.Flexible = None,
    relax: atoms.Relax = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Write a training set: structures along dynamics under a calculator, or those of a file, with
    energy, forces and stress.

    Info, tags, moments, charges, isotopes and further columns of the file reach the calculator and
    stand in what is written; results of other calculations do not. Atoms that are frozen have a
    column of that name, and their true forces.

    Examples:

    - `mcegnn label ethanol.xyz --calculator tblite --steps 20000 --every 20 --temperature "500 K"
      -o train.xyz`

    - `mcegnn label structures.xyz --calculator tblite -o labelled.xyz`
    """
    options = {
        "calculator": calculator,
        "potential": potential,
        "systems": systems,
        "seed": seed,
        "temperature": temperature,
        "pressure": pressure,
        "friction": friction,
        "period": period,
        "flexible": flexible,
        "relax": relax,
        "ensemble": ensemble,
        "units": units,
        "format": format,
        "masses": masses,
    }
    path = output or Path(f"{Path(file).stem}-labelled.xyz")
    with mistakes():
        from mcegnn.runs.label_options import label_run

        times = Times(dt, None, steps, every)
        run, warnings = label_run(file, path, times, options, overwrite=force)
    for warning in warnings if not quiet else ():
        typer.echo(f"warning: {warning}", err=True)
    _summary(follow(run, quiet=quiet), quiet)


def _summary(result: "LabelResult", quiet: bool) -> None:
    if quiet:
        return
    rows = [("structures", f"{result.n_structures:,}"), ("time", f"{result.seconds:.1f} s")]
    for what, names in (
        ("left out, since other results", result.other_results),
        ("left out, no place in the file", result.left_out),
    ):
        rows += [(what, ", ".join(names))] if names else []
    path = result.path
    table("Labelled", [*rows, ("file", f"{path}, {size(path.stat().st_size)}")])

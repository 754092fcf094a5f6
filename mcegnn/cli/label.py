"""`mcegnn label`: structures with the energies and forces of a calculator, as a training set."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mcegnn.cli import atoms_options as atoms
from mcegnn.cli import file_options as files
from mcegnn.cli.messages import Mistake, mistakes, table, told
from mcegnn.runs.outputs import check_output, check_writable, size
from systems.file_options import FileOptions

if TYPE_CHECKING:
    from systems.system import Evaluation, System


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
    """Write a training set: structures along a calculator's own dynamics, or those of a file, with
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
    from mcegnn.runs.atoms_options import check_forces

    path = output or Path(f"{Path(file).stem}-labelled.xyz")
    with mistakes():
        _refuse(file, path, force)
        check_forces(file, options)
        if steps is None:
            moving = [
                name
                for name, value in {**options, "every": every, "dt": dt}.items()
                if value is not None and name not in (*_FORCES, *_OF_FILES)
            ]
            if moving:
                raise ValueError(
                    f"--{moving[0]} is of dynamics: add --steps N, or leave it out to label the"
                    f" structures of {file} as they are"
                )
            total, structures = _those_of(
                file, FileOptions.parse(units=units, format=format, masses=masses), quiet
            )
        else:
            total, structures = _along(file, steps, every, dt, options, quiet)
        potential_of = _labels(calculator, potential)
    _write(path, total, structures, potential_of, str(calculator or potential), quiet)


_FORCES = ("calculator", "potential")
_OF_FILES = ("units", "format", "masses")


def _refuse(file: str, path: Path, force: bool) -> None:
    from systems.molecules import path_of

    if not path_of(file).exists():
        raise FileNotFoundError(f"there is no file {file}")
    if path.suffix not in (".xyz", ".extxyz"):
        raise ValueError(
            f"cannot write {path}: a training set is extended XYZ, so its name ends in .xyz or"
            " .extxyz"
        )
    check_output(path, force, path_of(file))
    check_writable(path)


class Unlabelled(NamedTuple):
    """A structure to be labelled: its info, the system, and the atoms it comes from."""

    info: dict[str, Any]
    system: "System"
    template: Any


def _labels(calculator: str | None, potential: str | None) -> Callable[[Unlabelled], "Evaluation"]:
    """The forces of the labels: another copy than the one that moves the atoms, of all of them,
    with a stress where there is one."""
    from mcegnn.interfaces import named
    from mcegnn.interfaces.ase import CalculatorPotential

    if calculator is None:
        assert potential is not None
        made = named.potential(potential)
        return lambda one: made(one.system)
    found = named.calculator(calculator)
    has_stress = "stress" in found.implemented_properties

    kept: dict[bool, CalculatorPotential] = {}

    def evaluate(one: Unlabelled) -> "Evaluation":
        stress = has_stress and all(one.system.pbc)
        # along dynamics all structures have one template, and the calculator is told of what
        # changes
        if stress not in kept or kept[stress].template is not one.template:
            kept[stress] = CalculatorPotential(found, stress, one.template)
        return kept[stress](one.system)

    return evaluate


def _those_of(file: str, options: FileOptions, quiet: bool) -> tuple[int, Iterator[Unlabelled]]:
    """How many structures a file has, and each with its number."""
    from systems.file_options import Reading
    from systems.molecules import read_all

    reading = Reading(options)
    found = read_all(file, reading)
    for what, words in reading.assumed.items() if not quiet else ():
        typer.echo(f"warning: {file}: assumed {what}: {words}", err=True)
    return len(found), (
        Unlabelled({"structure": k}, system, atoms) for k, (system, atoms) in enumerate(found)
    )


def _along(
    file: str, steps: int, every: int | None, dt: str | None, options: dict[str, Any], quiet: bool
) -> tuple[int, Iterator[Unlabelled]]:
    """How many structures dynamics will give, and each with its step."""
    import numpy as np

    from mcegnn.cli.job import relaxed_start, words
    from mcegnn.runs.atoms_options import atoms_run
    from mcegnn.runs.times import Times
    from systems.template import timeless
    from trajectories.rollout import rollout

    spaced = every if every is not None else (10 if steps % 10 == 0 else None)
    given = {
        name: value
        for name, value in {**options, "ensemble": options["ensemble"] or "nvt"}.items()
        if value is not None
    }
    config, warnings = atoms_run(file, None, Times(dt, None, steps, spaced), given)
    flow = config.flow()
    for warning in warnings if not quiet else ():
        typer.echo(f"warning: {warning}", err=True)
    state, template = relaxed_start(config, flow, quiet), timeless(config.structure.atoms)

    def structures() -> Iterator[Unlabelled]:
        with words():
            for now in rollout(flow, state, config.dt, config.n_steps, config.every):
                # all replicas begin as one and the same structure
                n_different = config.n_systems if now.step else 1
                single = now.system.n_systems is None
                for k in range(n_different):
                    system = now.system if single else now.system.copy_of(k)
                    still = replace(system, momenta=np.zeros_like(system.momenta))
                    yield Unlabelled(
                        {"step": now.step} | ({} if single else {"replica": k}), still, template
                    )

    return config.n_steps // config.every * config.n_systems + 1, structures()


def _write(
    path: Path,
    total: int,
    structures: Iterator[Unlabelled],
    evaluate: Callable[[Unlabelled], "Evaluation"],
    by: str,
    quiet: bool,
) -> None:
    """Label and write one structure after the other; what is written stays where the rest fails."""
    from mcegnn.cli.job import Failed, words
    from mcegnn.cli.progress import progress
    from trajectories.extxyz import ExtendedXYZ

    began, n_written = time.monotonic(), 0
    lost: set[str] = set()

    def labelled() -> Iterator[Any]:
        for one in structures:
            with words():
                atoms, results = _labelled(one, by, evaluate(one))
            lost.update(results)
            yield atoms

    try:
        made = labelled()
        first = next(made)  # before an old file is overwritten
        with (
            open(path, "w", encoding="utf-8") as file,
            progress(total, "structures", quiet=quiet) as report,
        ):
            xyz = ExtendedXYZ(file)
            for atoms in chain([first], made):
                xyz.write(atoms)
                file.flush()
                n_written += 1
                report(n_written, "labelling")
    except Failed as error:
        if not n_written:
            raise Mistake(f"{by} gives no forces for these structures: {error}") from None
        typer.echo(
            f"mcegnn: the forces failed after {n_written} structures ({error}); those are kept in"
            f" {path}",
            err=True,
        )
        raise typer.Exit(3) from None
    except OSError as error:
        raise Mistake(
            f"writing {path} failed ({error.strerror}) after {n_written} structures"
        ) from None
    except KeyboardInterrupt:
        typer.echo(f"stopped; {path} holds the {n_written} structures that were labelled", err=True)
        raise typer.Exit(130) from None
    if not quiet:
        rows = [("structures", f"{n_written:,}"), ("time", f"{time.monotonic() - began:.1f} s")]
        rows += [("left out, since other results", ", ".join(sorted(lost)))] if lost else []
        rows += (
            [("left out, no place in the file", ", ".join(sorted(xyz.left_out)))]
            if xyz.left_out
            else []
        )
        table("Labelled", [*rows, ("file", f"{path}, {size(path.stat().st_size)}")])


def _labelled(one: Unlabelled, by: str, evaluation: "Evaluation") -> tuple[Any, list[str]]:
    """The atoms with their labels and with all that they came with but other results, whose names
    are returned.

    Frozen atoms are told of by a column of that name: ASE gives zeros for the forces on atoms that
    a constraint holds.
    """
    import numpy as np
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.constraints import FixAtoms
    from ase.stress import full_3x3_to_voigt_6_stress

    from systems.molecules import to_atoms
    from systems.template import without_results

    atoms, others = without_results(to_atoms(one.system, one.template))
    if held := [
        index
        for constraint in atoms.constraints
        if isinstance(constraint, FixAtoms)
        for index in constraint.index
    ]:
        atoms.set_array("frozen", np.isin(np.arange(len(atoms)), held))
    atoms.set_constraint()
    atoms.info |= {**one.info, "labels": by}
    if evaluation.energy is None:
        raise ValueError("a field without an energy makes no labels")
    results = {"energy": float(evaluation.energy), "forces": evaluation.forces}
    if evaluation.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(evaluation.stress)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms, others

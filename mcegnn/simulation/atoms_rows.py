"""The choices of a rollout of a file's atoms in words, as rows of a table."""

from typing import TYPE_CHECKING

from systems.units import METAL, PASCALS

if TYPE_CHECKING:
    from mcegnn.simulation.atoms import AtomsRun

Rows = list[tuple[str, str]]


def rows_of(run: "AtomsRun") -> Rows:
    """Rows on forces, integrator, temperature and pressure, thermostat and barostat."""
    frozen = [("frozen", f"{len(run.frozen)} atoms")] if run.frozen else []
    relaxed = f"until no force is above {run.relax:g} eV/Angstrom"
    return [
        ("forces", run.by),
        *_template_rows(run),
        ("integrator", run.integrator),
        *_held_rows(run),
        *frozen,
        *([("relaxed before", relaxed)] if run.relax else []),
        ("velocities", _velocities(run)),
    ]


def _held_rows(run: "AtomsRun") -> Rows:
    """Rows on temperature and pressure, thermostat and barostat."""
    atmosphere = 1e5 / PASCALS
    rows = []
    if run.temperature:
        rows.append(("temperature", " to ".join(f"{kelvin:g} K" for kelvin in run.temperature)))
    if run.pressure:
        rows.append(("pressure", " to ".join(f"{p / atmosphere:g} bar" for p in run.pressure)))
    if run.integrator in ("langevin-baoab", "npt"):
        rows.append(("friction", f"{METAL.convert(run.friction, 'ps'):.6g} /ps"))
    if run.integrator == "nose-hoover":
        rows.append(("period of the thermostat", run.time(run.period)))
    if run.integrator == "npt":
        rows.append(("period of the barostat", f"{run.time(run.period)}, which sets its mass"))
    return rows


def _velocities(run: "AtomsRun") -> str:
    """Where velocities come from."""
    if not run.draw:
        return "the file's"
    hot = f" at {run.temperature[0]:g} K" if run.temperature else ""
    return f"drawn from the seed{hot}" + " about the centre of mass" * run.about_center


def _template_rows(run: "AtomsRun") -> Rows:
    """What a calculator gets beside positions and the like."""
    from systems.sources.template import beside, from_text

    names = list(beside(from_text(run.template))) if run.calculator and run.template else []
    return [("the calculator also gets", ", ".join(names))] if names else []

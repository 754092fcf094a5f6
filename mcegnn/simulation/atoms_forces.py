"""Forces on a file's atoms: a calculator, a potential or a learned one."""

from typing import TYPE_CHECKING

from systems.system import Potential

if TYPE_CHECKING:
    from mcegnn.simulation.atoms import AtomsRun


def force_of(run: "AtomsRun") -> Potential:
    """Return the potential that a run names. Raises ValueError if it cannot be made, or its source
    is another one than when the run began."""
    from mcegnn.interfaces import named
    from systems.sources.template import from_text

    if run.calculator:
        return named.calculator_potential(
            run.calculator, run.integrator == "npt", from_text(run.template)
        )
    if not run.potential:
        from integrators.compiled.driver import available_cores

        potential: Potential = run.learned.as_potential(available_cores())
        return potential
    made = named.potential(run.potential)
    now = named.digest(made)
    if run.potential_digest and now and now != run.potential_digest:
        raise ValueError(
            f"the source of the potential {run.potential} has changed since the run began; put"
            " it back as it was"
        )
    return made

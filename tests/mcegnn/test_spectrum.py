"""The vibrational spectrum of a run against the normal modes of the same potential, which ASE finds
from forces alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from mcegnn import PotentialCalculator, load
from trajectories.analysis import analyse, peaks
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]
_LOWEST = 500.0  # 1/cm: softer modes, as the turning of a methyl group, are no harmonic oscillators


@pytest.mark.slow
def test_the_shipped_ethanol(cli: Run, tmp_path: Path) -> None:
    """At 20 K and 0.2 fs, not turning, every mode above 500 1/cm has a peak within 10 1/cm, and
    every high peak is that of a mode."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = PotentialCalculator(load("ethanol"))
    BFGS(atoms, logfile=None).run(fmax=1e-4)
    vibrations = Vibrations(atoms, delta=0.005, name=str(tmp_path / "vibrations"))
    vibrations.run()
    modes = vibrations.get_frequencies().real
    modes = modes[modes > _LOWEST]
    assert len(modes) == 18  # of the 21, turns of CH3 and OH and the bend of the chain are softer
    # twice the temperature: half of the energy goes into the bonds
    spread = np.sqrt(40.0 * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(9, 3)))
    Stationary(atoms)
    ZeroRotation(atoms)
    atoms.calc = None
    ase.io.write(tmp_path / "ethanol.xyz", atoms)
    outcome = cli(
        "rollout",
        "ethanol.xyz",
        "--model",
        "ethanol",
        "--dt",
        "0.2 fs",
        "--time",
        "10 ps",
        "--every",
        5,
        "-o",
        "run.h5md",
    )
    assert outcome.code == 0, outcome.err
    with H5MDReader(tmp_path / "run.h5md") as run:
        found = analyse(run)
    spectrum = found.curve("spectrum")
    assert spectrum.x_axis.unit == "1/cm"
    assert not any("turn as a whole" in note for note in found.notes)
    all_peaks = np.concatenate(
        [peaks(spectrum.x, power, 0.003) for power in spectrum.values.values()]
    )
    assert np.abs(all_peaks[:, None] - modes).min(0).max() < 10.0
    high = np.concatenate([peaks(spectrum.x, power) for power in spectrum.values.values()])
    off = np.abs(high[high > _LOWEST][:, None] - modes).min(1)
    assert (off < 10.0).mean() > 0.9  # the others are overtones

"""The shipped ethanol potential under ASE's own tools: it relaxes, vibrates, finds a path and keeps
a temperature, as the molecule does."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.mep import NEB
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from mcegnn import PotentialCalculator, load

_CARBONS, _OXYGEN, _HYDROGEN = (0, 1), 2, 3  # of ASE's molecule: C C O H(O) ...


def ethanol(turned: float | None = None) -> Atoms:
    """At a minimum; with the hydroxyl group ``turned`` to a dihedral angle (degrees) before."""
    atoms = molecule("CH3CH2OH")
    if turned is not None:
        atoms.set_dihedral(*_dihedral(atoms), turned, indices=[_HYDROGEN])
    atoms.calc = PotentialCalculator(load("ethanol"))
    assert BFGS(atoms, logfile=None).run(fmax=1e-3, steps=300)
    return atoms


def _dihedral(atoms: Atoms) -> tuple[int, int, int, int]:
    """C-C-O-H."""
    near, far = sorted(_CARBONS, key=lambda c: atoms.get_distance(c, _OXYGEN))
    return far, near, _OXYGEN, _HYDROGEN


def test_it_is_the_molecule() -> None:
    """Bond lengths (Angstrom) as any chemistry book has them, to a fiftieth."""
    atoms = ethanol()
    far, near, oxygen, hydrogen = _dihedral(atoms)
    found = [
        atoms.get_distance(*pair) for pair in ((far, near), (near, oxygen), (oxygen, hydrogen))
    ]
    np.testing.assert_allclose(found, [1.51, 1.43, 0.97], atol=0.02)


def test_vibrations(tmp_path: Path) -> None:
    """Six of 27 modes are motions of the whole; the others are real: C-H and, above all of them,
    O-H stretch (3,600 to 3,800 / cm)."""
    vibrations = Vibrations(ethanol(), name=str(tmp_path / "modes"), delta=5e-3)
    vibrations.run()
    waves = np.sort_complex(vibrations.get_frequencies())
    size = np.sort(np.where(waves.imag > 0, -waves.imag, waves.real))
    whole = np.argsort(abs(size))[:6]
    assert abs(size[whole]).max() < 40.0
    assert np.delete(size, whole).min() > 150.0
    assert 3600.0 < size[-1] < 3800.0
    assert ((size > 2800.0) & (size < 3150.0)).sum() == 5


def test_the_hydroxyl_group_turns() -> None:
    """From anti to gauche over a barrier of some 50 meV (1.1 kcal / mol), found by a nudged elastic
    band."""
    anti, gauche = ethanol(180.0), ethanol(60.0)
    images = [anti.copy() for _ in range(8)] + [gauche]
    for image in images:
        image.calc = PotentialCalculator(load("ethanol"))
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate("idpp")
    assert BFGS(band, logfile=None).run(fmax=0.02, steps=300)
    energies = np.array([image.get_potential_energy() for image in images])
    top = int(energies.argmax())
    assert 0 < top < len(images) - 1
    assert 0.03 < energies[top] - energies[0] < 0.08
    assert abs(energies[-1] - energies[0]) < 0.02
    assert (np.diff(energies[: top + 1]) > 0).all()
    assert (np.diff(energies[top:]) < 0).all()


def test_langevin_keeps_the_temperature() -> None:
    """Mean kinetic energy of 27 degrees of freedom, within five of its standard errors by
    blocks."""
    atoms, stream = ethanol(), np.random.default_rng(4)
    atoms.set_momenta(
        stream.normal(size=(9, 3)) * np.sqrt(300 * units.kB * atoms.get_masses())[:, None]
    )
    dynamics = Langevin(
        atoms, 0.5 * units.fs, temperature_K=300, friction=0.05 / units.fs, fixcm=False, rng=stream
    )
    dynamics.run(400)
    seen = [atoms.get_kinetic_energy() / (13.5 * units.kB) for _ in dynamics.irun(6000)]
    blocks = np.reshape(seen[:6000], (30, 200)).mean(1)
    assert blocks.mean() == pytest.approx(300.0, abs=5 * blocks.std(ddof=1) / 30**0.5)
    assert blocks.std(ddof=1) < 60.0

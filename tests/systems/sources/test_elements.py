"""Elements guessed from names, residues and masses, against tables that are written by hand and
against topologies that tell both."""

from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from systems.sources.atoms import read
from systems.sources.elements import by_mass, guess

# name, residue, element
KNOWN = [
    ("CA", "ALA", "C"),
    ("CA", "CA", "Ca"),
    ("CA", "CA2+", "Ca"),
    ("NE", "ARG", "N"),
    ("NE", "NE", "Ne"),
    ("HE", "ARG", "H"),
    ("HE", "HE", "He"),
    ("CD", "LYS", "C"),
    ("CD", "CD", "Cd"),
    ("SD", "MET", "S"),
    ("SE", "MSE", "Se"),
    ("SN", "SN", "Sn"),
    ("CO", "CO", "Co"),
    ("HG", "SER", "H"),
    ("HG", "HG", "Hg"),
    ("NA", "NA+", "Na"),
    ("NA", "HEM", "N"),
    ("FE", "HEM", "Fe"),
    ("CL", "CL-", "Cl"),
    ("CLA", "CLA", "Cl"),
    ("SOD", "SOD", "Na"),
    ("POT", "POT", "K"),
    ("CL1", "LIG", "Cl"),
    ("BR2", "LIG", "Br"),
    ("OW", "SOL", "O"),
    ("HW1", "SOL", "H"),
    ("OH2", "TIP3", "O"),
    ("ZN", "ZN2", "Zn"),
    ("1HB", "ALA", "H"),
    ("O5'", "DA", "O"),
    ("P", "DG", "P"),
    ("Ar", "MOL", "Ar"),
    ("Cu", "SURF", "Cu"),
    ("C12", "LIG", "C"),
    ("OXT", "GLY", "O"),
    ("MG", "MG", "Mg"),
    ("Ca", "ALA", "C"),
]


@pytest.mark.parametrize(("name", "residue", "symbol"), KNOWN)
def test_by_name_and_residue(name: str, residue: str, symbol: str) -> None:
    """In a residue of several atoms, unless it is an ion's or an atom's own."""
    alone = residue.rstrip("+-2").upper() == name.upper()
    found = guess(
        [name, "C"], [residue, residue if not alone else "LIG"], indices=[0, 0 if not alone else 1]
    )
    assert chemical_symbols[found.numbers[0]] == symbol
    assert found.masses[0] == pytest.approx(atomic_masses[atomic_numbers[symbol]])
    assert name == symbol or name in found.words


@pytest.mark.parametrize("symbol", [s for s in chemical_symbols[1:84] if s not in ("Tc", "Pm")])
def test_masses_decide(symbol: str) -> None:
    """Whatever case the name has, with or without a number, and where there is no name; rounded
    masses too."""
    number = atomic_numbers[symbol]
    for mass in (atomic_masses[number], round(atomic_masses[number], 2)):
        for name in (symbol, symbol.upper(), f"{symbol}1", ""):
            assert guess([name], ["LIG"], [mass], [0]).numbers.tolist() == [number], (name, mass)


def test_united_atoms_and_heavy_hydrogen() -> None:
    """CH2 of 14.027 u is no nitrogen; hydrogen of 3.024 u and carbon of 9.99 u come of
    repartitioned masses."""
    found = guess(
        ["CH2", "CH3", "HB1", "CB", "N", "CH0"],
        masses=[14.027, 15.035, 3.024, 9.99, 14.007, 12.011],
    )
    assert [chemical_symbols[z] for z in found.numbers] == ["C", "C", "H", "C", "N", "C"]
    np.testing.assert_array_equal(found.masses, [14.027, 15.035, 3.024, 9.99, 14.007, 12.011])


def test_virtual_sites_have_no_mass() -> None:
    found = guess(["OW", "HW1", "HW2", "MW", "LP1", "M"], ["SOL"] * 6, indices=[0] * 6)
    assert found.virtual.tolist() == [False, False, False, True, True, True]
    assert found.masses[found.virtual].tolist() == [0.0, 0.0, 0.0]
    assert "virtual sites without mass" in found.words


def test_masses_of_nothing() -> None:
    """Reduced masses, beads and words are no elements."""
    assert by_mass(1.0) == by_mass(72.0) == 0
    assert guess(["1", "polymer", "Qq", ""]).numbers.tolist() == [0, 0, 0, 0]
    assert guess(["CARBON", "HYDROGEN"]).numbers.tolist() == [6, 1]


def test_against_topologies_that_tell_elements() -> None:
    """Names and residues alone give what the files' own elements are."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import MDAnalysis
        from MDAnalysisTests import datafiles

        for name in ("PDB_full", "PDB_helix", "TPR", "mol2_molecule", "PRMncdf"):
            u = MDAnalysis.Universe(getattr(datafiles, name), to_guess=())
            atoms = u.atoms
            if hasattr(atoms, "elements"):
                truth = [str(one).capitalize() for one in atoms.elements]
            else:
                truth = [
                    (
                        chemical_symbols[int(abs(atomic_masses[1:90] - mass).argmin()) + 1]
                        if mass
                        else "X"
                    )
                    for mass in atoms.masses
                ]
            residues = atoms.resnames if hasattr(atoms, "resnames") else [""] * len(atoms)
            found = guess(list(atoms.names), list(residues), indices=atoms.resindices)
            wrong = {
                (a, r, t, chemical_symbols[z])
                for a, r, t, z in zip(atoms.names, residues, truth, found.numbers, strict=True)
                if t in atomic_numbers and chemical_symbols[z] != t
            }
            assert not wrong, (name, wrong)


def test_structures_of_pdb_without_elements(tmp_path: Path) -> None:
    """Where the column of elements is blank, ASE takes CA of a protein for calcium."""
    atom = (
        "HETATM    {k}  {name:<3s} {residue:>3s} A   {k}      {x:6.3f}   0.000   0.000  1.00  0.00 "
        "         {element:>2s}\n"
    )
    for element in (True, False):
        rows = [("CA", "ALA", "C"), ("HG", "SER", "H"), ("CA", "CA", "CA")]
        text = "".join(
            atom.format(
                k=k, name=name, residue=residue, x=2.0 * k, element=symbol if element else ""
            )
            for k, (name, residue, symbol) in enumerate(rows, 1)
        )
        (tmp_path / "a.pdb").write_text(text + "END\n")
        found = read(str(tmp_path / "a.pdb"))
        assert [chemical_symbols[z] for z in found.system.species] == ["C", "H", "Ca"]
        assert ("elements" in found.assumed) is not element

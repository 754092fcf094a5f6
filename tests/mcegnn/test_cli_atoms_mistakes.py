"""Mistakes in rolling out atoms of a file: exit code 2, one sentence, nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
ARGON = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")
NPT = ("--ensemble", "npt", "--pressure", "1 bar")


def lennard_jones(options: str) -> tuple[str, str]:
    """A potential with other options."""
    return "--potential", f"mcegnn:LennardJones:{options}"


EMT_, HOT = ("--calculator", "emt"), ("--temperature", "300 K")
TABLE = {
    "no such file": ("there is no file nothing.xyz", "nothing.xyz", *EMT_, *HOT),
    "a folder": ("is a folder", "folder", *EMT_, *HOT),
    "not atoms": ("ASE cannot read atoms from text.xyz", "text.xyz", *EMT_, *HOT),
    "no atoms": ("no-atoms.xyz", "no-atoms.xyz", *EMT_, *HOT),
    "several": ("holds 2 structures; name one, such as several.xyz@0", "several.xyz@:", *EMT_, *HOT),
    "a run": ("go on with it by --resume", "run.h5md", *EMT_, *HOT),
    "no velocities": ("ethanol.xyz has no velocities; give --temperature", "ethanol.xyz", *EMT_),
    "velocities of one": ("has no velocities for each of 4 systems", "copper.traj", *EMT_, "--systems", 4),
    "no velocities, and a typo": ("did you mean tblite?", "ethanol.xyz", "--calculator", "tblight"),
    "no velocities, and another's elements": ("the model never saw Ar", "argon.xyz", "--model", "ethanol"),
    "no force": ("something has to move its atoms: give one of --calculator", "ethanol.xyz", *HOT),
    "two forces": ("give only one of --calculator", "ethanol.xyz", *EMT_, *ARGON, *HOT),
    "unknown calculator": ("ASE knows no calculator 'tblight'; did you mean tblite?", "ethanol.xyz", "--calculator", "tblight", *HOT),
    "not installed": ("needs gpaw, which is not installed", "ethanol.xyz", "--calculator", "gpaw", *HOT),
    "no forces": ("gives no forces", "ethanol.xyz", "--calculator", "without:NoForces", *HOT),
    "unknown element": ("No EMT-potential for Ar", "argon.xyz", *EMT_, *HOT),
    "no stress": ("gives no stress", "argon.xyz", "--calculator", "without.NoStress", *HOT, *NPT),
    "bad option": ("options are written", "ethanol.xyz", "--calculator", "lj:=3", *HOT),
    "method": ("Method 'GFN9' is not available", "ethanol.xyz", "--calculator", "tblite:method=GFN9", *HOT),
    "options": ("options are written NAME:key=value", "ethanol.xyz", "--calculator", "tblite:method", *HOT),
    "typo of an option": ("has no option 'acuracy'; did you mean accuracy?", "ethanol.xyz", "--calculator", "tblite:acuracy=0.1", *HOT),
    "empty calculator": ("--calculator is empty", "ethanol.xyz", "--calculator", "", *HOT),
    "no name": ("'emt.' is no calculator's name", "ethanol.xyz", "--calculator", "emt.", *HOT),
    "over the file": ("a run is an H5MD file, so ethanol.xyz would mislead", "ethanol.xyz", *EMT_, *HOT, "-o", "ethanol.xyz", "--force"),
    "over the file, by one of its structures": ("is the file that is read", "plain@0", *EMT_, *HOT, "-o", "plain", "--force"),
    "over the file, by its name": ("is the file that is read", "plain", *EMT_, *HOT, "-o", "plain", "--force"),
    "no such structure": ("ASE finds no such structure in several.xyz", "several.xyz@9", *EMT_, *HOT),
    "an @": ("rename the file", "a@b.xyz", *EMT_, *HOT),
    "no module": ("there is no module nowhere", "ethanol.xyz", "--potential", "nowhere:f", *HOT),
    "no factory": ("mcegnn has no LennardJohns; did you mean LennardJones?", "argon.xyz", "--potential", "mcegnn:LennardJohns", *HOT),
    "no colon": ("a potential is written module:factory", "ethanol.xyz", "--potential", "mcegnn", *HOT),
    "no potential": ("cannot be called with a System", "ethanol.xyz", "--potential", "datetime:date:year=1,month=1,day=1", *HOT) ,
    "bad cutoff": ("the cutoff must be a positive number, not -1", "argon.xyz", *lennard_jones("cutoff=-1,onset=-2"), *HOT),
    "bad skin": ("the skin must not be negative", "argon.xyz", *lennard_jones("skin=-0.5"), *HOT),
    "reduced model": ("is in reduced units; a file's atoms are in metal units", "ethanol.xyz", "--model", "charged-force", *HOT),
    "bare temperature": ("'300' has no unit", "ethanol.xyz", *EMT_, "--temperature", "300"),
    "celsius": ("'C' is not a unit of temperature", "ethanol.xyz", *EMT_, "--temperature", "300 C"),
    "cold": ("must be finite and not below zero", "ethanol.xyz", *EMT_, "--temperature", "-3 K"),
    "nan": ("must be finite and not below zero", "ethanol.xyz", *EMT_, "--temperature", "nan K"),
    "half a ramp": ("'' is not a quantity", "ethanol.xyz", *EMT_, "--ensemble", "nvt", "--temperature", "3 K to "),
    "ramp of nve": ("holds no temperature, so none can be ramped", "ethanol.xyz", *EMT_, "--temperature", "3 K to 9 K"),
    "bare pressure": ("'1' has no unit", "argon.xyz", *ARGON, *HOT, "--ensemble", "npt", "--pressure", "1"),
    "tension": ("must be finite and not below zero", "argon.xyz", *ARGON, *HOT, "--ensemble", "npt", "--pressure", "-1 bar"),
    "unit of pressure": ("'psi' is not a unit of pressure", "argon.xyz", *ARGON, *HOT, "--ensemble", "npt", "--pressure", "1 psi"),
    "no pressure": ('give --pressure "1 bar"', "argon.xyz", *ARGON, *HOT, "--ensemble", "npt"),
    "pressure of nvt": ("--pressure goes with --ensemble npt", "argon.xyz", *ARGON, *HOT, "--ensemble", "nvt", "--pressure", "1 bar"),
    "no temperature": ('holds a temperature: give --temperature "300 K"', "copper.traj", *EMT_, "--ensemble", "nvt"),
    "frozen solid": ("holds a temperature above zero", "argon.xyz", *ARGON, "--temperature", "0 K", *NPT),
    "friction of nve": ("--friction goes with", "copper.traj", *EMT_, "--friction", "1 /ps"),
    "bare friction": ("'1' has no unit", "ethanol.xyz", *EMT_, *HOT, "--ensemble", "nvt", "--friction", "1"),
    "unit of friction": ("'ps' is not a unit of rate", "ethanol.xyz", *EMT_, *HOT, "--ensemble", "nvt", "--friction", "1 ps"),
    "period of nvt": ("--period goes with", "ethanol.xyz", *EMT_, *HOT, "--ensemble", "nvt", "--period", "1 ps"),
    "open npt": ("npt needs a cell that is periodic in all directions", "copper.traj", *EMT_, *HOT, *NPT),
    "flat cell": ("has no volume", "flat.traj", *EMT_, *HOT),
    "capitals": ('give --temperature "300 K"', "argon.xyz", *ARGON, "--ensemble", "NPT"),
    "ensemble": ("--ensemble is one of nve, nvt, npt, not 'nvx'", "ethanol.xyz", *EMT_, *HOT, "--ensemble", "nvx"),
    "two integrators": ("leave out --integrator", "ethanol.xyz", *EMT_, *HOT, "--ensemble", "nve", "--integrator", "yoshida-4"),
    "integrator": ("did you mean langevin-baoab?", "ethanol.xyz", *EMT_, *HOT, "--integrator", "langevin"),
    "conics": ("does not move a file's atoms", "ethanol.xyz", *EMT_, *HOT, "--integrator", "wisdom-holman"),
    "bare step": ("--dt '0.5' has no unit", "ethanol.xyz", *EMT_, *HOT, "--dt", "0.5"),
    "bare time": ("--time '10' has no unit", "ethanol.xyz", *EMT_, *HOT, "--time", "10"),
    "constraint": ("FixBondLengths is not honoured", "bond.traj", *EMT_, *HOT),
    "all frozen": ("all atoms of solid.traj are frozen", "solid.traj", *EMT_, *HOT),
    "frozen npt": ("frozen atoms, which do not go with a cell that moves", "frozen3d.traj", *EMT_, *HOT, *NPT),
    "one atom": ("single atom", "atom.xyz", *EMT_, *HOT, "--integrator", "nose-hoover"),
    "no replicas": ("--systems must be at least 1", "ethanol.xyz", *EMT_, *HOT, "--systems", 0),
    "seed": ("--seed must be between", "ethanol.xyz", *EMT_, *HOT, "--seed", -1),
    "others' options": ("--epoch does not go with a file", "ethanol.xyz", *EMT_, *HOT, "--epoch", "2000-01-01"),
    "atoms' options": ("--calculator does not go with charged", "charged", *EMT_),
    "periodic physics": ("Coulomb", "argon.xyz", "--potential", "mcegnn:Coulomb", *HOT),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_refuses(case: str, bad_structures: Path, refuse: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(bad_structures))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    words, *arguments = TABLE[case]
    arguments = [str(a).replace("without:", "without.") for a in arguments]
    refuse(words, "rollout", *arguments)

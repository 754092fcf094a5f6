"""What ASE's atoms hold beside positions and the like reaches calculators, and comes back from
labels, runs and what these become."""

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.interfaces.ase import CalculatorPotential
from systems.sources.atoms import from_atoms, to_atoms
from systems.sources.template import from_text, keep_same, to_text
from systems.system import System
from trajectories.convert import FORMATS
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

Run = Callable[..., Any]
# energies of all that atoms hold; forces of springs to the centre
INFO = """
    import numpy as np
    from ase.calculators.calculator import Calculator, all_changes


    class Info(Calculator):
        implemented_properties = ["energy", "forces", "stress"]

        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            a = self.atoms
            x = a.positions - a.positions.mean(0)
            named = 100.0 * a.info.get("charge", 0) + 10.0 * a.info.get("spin", 0)
            named += len(a.info.get("note", ""))
            moments, charges = a.get_initial_magnetic_moments(), a.get_initial_charges()
            listed = a.get_tags().sum() + 1e3 * moments.sum() + 1e4 * charges.sum()
            own = (a.get_masses() * a.arrays.get("mine", np.zeros(len(a)))).sum()
            field = np.sum(a.info.get("field", 0.0))
            energy = named + listed + own + field + 0.05 * (x**2).sum()
            stress = 1e-3 * np.arange(6.0) + 1e-6 * (x**2).sum()
            self.results = {"energy": energy, "forces": -0.1 * x, "stress": stress}
"""
FREE = ("--min-distance", "off", "--max-energy-jump", "off")
BY = ("--calculator", "springs.Info")


def rich(seed: int = 0, *, cell: bool = False) -> Atoms:
    """Water with all that atoms can hold, and results of another calculation."""
    rng = np.random.default_rng(seed)
    atoms = molecule("H2O", vacuum=4.0 if cell else None, pbc=cell)
    atoms.set_tags([3, 1, 2])
    atoms.set_initial_magnetic_moments([1.0, -0.25, 0.5])
    atoms.set_initial_charges([-0.7, 0.3, 0.4])
    atoms.set_masses([15.999, 2.014, 1.008])
    atoms.set_array("mine", rng.normal(size=3))
    atoms.info = {
        "charge": 1,
        "spin": 2,
        "note": 'a "quoted" text = one',
        "field": rng.normal(size=3),
        "deep": {"a": [1, 2], "b": "T"},
    }
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.ones((3, 3)))
    return atoms


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a calculator of one's own and files of rich atoms."""
    (tmp_path / "springs.py").write_text(textwrap.dedent(INFO))
    for suffix in (".traj", ".xyz"):
        ase.io.write(tmp_path / f"rich{suffix}", rich())
        ase.io.write(tmp_path / f"cell{suffix}", rich(cell=True))
    return tmp_path


def energy_of(atoms: Atoms) -> float:
    """By the calculator through ASE, in the folder of the test."""
    import springs

    alone = atoms.copy()
    alone.calc = springs.Info()
    return float(alone.get_potential_energy())


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of one test are not those of another."""
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("springs", "mycalc"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def assert_beside(found: Atoms, wanted: Atoms) -> None:
    """All info, and all arrays that are not a moment's; ASE's .traj holds none of one's own."""
    for key, value in wanted.info.items():
        assert str(found.info[key]) == str(value), key
    assert wanted.arrays.keys() >= {"tags", "initial_magmoms", "initial_charges"}
    for name in wanted.arrays.keys() - {"positions", "momenta"}:
        np.testing.assert_array_equal(found.arrays[name], wanted.arrays[name], err_msg=name)


# ---- in memory


@given(st.integers(0, 100_000))
@settings(max_examples=100, deadline=None)
def test_atoms_are_the_same_there_and_back(seed: int) -> None:
    """With themselves as the template: arrays, info, cell, periodicity, constraints, to the bit;
    nothing is there that was not."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    atoms = Atoms(rng.integers(1, 90, n), rng.normal(size=(n, 3)))
    if seed % 3:
        atoms.set_cell(rng.normal(size=(3, 3)))
    atoms.pbc = rng.integers(0, 2, 3)
    chosen = {
        "momenta": rng.normal(size=(n, 3)),
        "masses": rng.uniform(0.5, 9.0, n),
        "initial_charges": rng.normal(size=n),
        "initial_magmoms": rng.normal(size=(n, 3) if seed % 2 else n),
        "tags": rng.integers(0, 9, n),
        "mine": rng.normal(size=(n, 2, 2)),
        "names": np.array([f"a {k}" for k in range(n)]),
        "flags": rng.integers(0, 2, n).astype(bool),
    }
    for name in rng.permutation(list(chosen))[: rng.integers(0, len(chosen) + 1)]:
        atoms.set_array(str(name), chosen[str(name)])
    atoms.info = {
        "charge": int(rng.integers(-2, 3)),
        "deep": {"x": [1, None]},
        "note": "N",
        "m": rng.normal(size=(2, 2)),
        3: len,
    }
    if held := rng.permutation(n)[: rng.integers(0, n + 1)].tolist():
        atoms.set_constraint(FixAtoms(held))
    back = to_atoms(from_atoms(atoms), template=atoms)
    assert back is not atoms
    assert back == atoms
    assert back.arrays.keys() == atoms.arrays.keys()
    for name, array in atoms.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(back.cell[:], atoms.cell[:])
    assert str(back.info) == str(atoms.info)
    assert [list(c.index) for c in back.constraints] == [list(c.index) for c in atoms.constraints]
    again = from_text(to_text(atoms))
    assert str(again.info) == str({key: value for key, value in atoms.info.items() if key != 3})
    for name in set(atoms.arrays) - {"positions", "momenta", "masses", "initial_charges"}:
        np.testing.assert_array_equal(again.arrays[name], atoms.arrays[name], err_msg=name)


def test_a_template_of_other_atoms_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the template's atoms \(C2OH6\) are not the system's"):
        to_atoms(from_atoms(molecule("H2O")), molecule("CH3CH2OH"))


def test_a_template_with_nothing_in_it_is_no_text() -> None:
    assert to_text(bulk("Cu")) == ""
    assert from_text("") is None


def test_what_frames_share() -> None:
    first, second = rich(), rich()
    second.info["charge"] = 2
    del second.arrays["mine"]
    keep_same(first, second)
    assert set(first.info) == {"spin", "note", "field", "deep"}
    assert "mine" not in first.arrays
    assert "tags" in first.arrays


class Sum(Calculator):  # type: ignore[misc]
    """A calculator that spoils what it is given."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        self.results = {
            "energy": 100.0 * atoms.info["charge"] + atoms.get_tags().sum(),
            "forces": np.zeros((len(atoms), 3)),
        }
        atoms.info["deep"]["a"].append(3)


def test_a_calculator_gets_the_template_and_cannot_spoil_it() -> None:
    atoms = rich()
    potential, system = CalculatorPotential(Sum(), template=atoms), from_atoms(atoms)
    for shift in (0.0, 0.1):
        assert (
            potential(System(**{**vars(system), "positions": system.positions + shift})).energy
            == 106.0
        )
    assert atoms.info["deep"] == {"a": [1, 2], "b": "T"}


def test_a_run_from_python_keeps_its_template(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_tags([0, 1, 2, 3])
    atoms.info["name"] = "a crystal"
    flow = velocity_verlet(CalculatorPotential(EMT(), stress=True, template=atoms))
    with H5MDWriter(tmp_path / "run.h5md", from_atoms(atoms), template=atoms) as writer:
        states = list(rollout(flow, State(from_atoms(atoms)), 0.1, 2))
        for state in states:
            writer.write(state)
    for suffix in (".xyz", ".traj"):
        with H5MDReader(tmp_path / "run.h5md") as reader:
            FORMATS[suffix](reader, tmp_path / f"run{suffix}", None)
        for frame, state in zip(ase.io.read(tmp_path / f"run{suffix}", ":"), states, strict=True):
            assert frame.info["name"] == "a crystal"
            assert list(frame.get_tags()) == [0, 1, 2, 3]
            np.testing.assert_allclose(
                frame.get_stress(voigt=False), state.evaluation.stress, rtol=1e-12, atol=1e-16
            )
            np.testing.assert_allclose(
                frame.get_forces(), state.evaluation.forces, rtol=1e-12, atol=1e-13
            )


# ---- the command line


def test_a_cation_has_its_energy(cases: Path, tmp_path: Path, succeed: Run) -> None:
    """The small case: 111.69 eV through ASE; .69 eV without charge, spin and tags. Its calculator
    lies where one works."""
    for name in ("cation.xyz", "mycalc.py"):
        shutil.copy(cases / name, tmp_path)
    succeed("label", "cation.xyz", "--calculator", "mycalc.Info")
    found = ase.io.read(tmp_path / "cation-labelled.xyz")
    assert found.get_potential_energy() == pytest.approx(111.6915, abs=1e-9)
    assert (found.info["charge"], found.info["spin"], list(found.get_tags())) == (1, 2, [1, 0, 0])
    assert found.get_initial_charges().any() == found.has("initial_charges") == False  # noqa: E712 (none were given)


@pytest.mark.parametrize("file", ["rich.traj", "rich.xyz", "cell.xyz"])
def test_labels_of_structures_as_they_are(place: Path, succeed: Run, file: str) -> None:
    outcome = succeed("label", file, *BY, "-o", "out.xyz")
    given, found = ase.io.read(place / file), ase.io.read(place / "out.xyz")
    assert "left out" not in outcome.out
    assert_beside(found, given)
    assert found.get_potential_energy() == pytest.approx(energy_of(given), rel=1e-12)
    assert found.get_potential_energy() != pytest.approx(-1.0)  # the old result
    assert found.info["labels"] == "springs.Info"


def test_old_results_do_not_come_back_as_labels(place: Path, succeed: Run) -> None:
    atoms = rich()
    atoms.calc = None
    atoms.info |= {"REF_energy": -5.0, "free_energy": -6.0}
    atoms.set_array("REF_forces", np.ones((3, 3)))
    ase.io.write(place / "old.xyz", atoms)
    outcome = succeed("label", "old.xyz", *BY, "-o", "out.xyz")
    assert "left out, since other results  REF_energy, REF_forces" in outcome.out
    text = (place / "out.xyz").read_text()
    assert "REF_" not in text
    assert "free_energy" not in text


@pytest.mark.parametrize(
    "options", [(), ("--systems", 2), ("--relax",)], ids=["one", "replicas", "relaxed"]
)
def test_labels_along_dynamics(place: Path, cli: Run, options: tuple[Any, ...]) -> None:
    outcome = cli(
        "label",
        "rich.xyz",
        *BY,
        "--steps",
        4,
        "--every",
        2,
        "--temperature",
        "20 K",
        *options,
        "-o",
        "out.xyz",
    )
    assert outcome.code == 0, outcome.err
    given, frames = ase.io.read(place / "rich.xyz"), ase.io.read(place / "out.xyz", ":")
    assert len(frames) == (5 if "--systems" in options else 3)
    for frame in frames:
        assert_beside(frame, given)
        assert frame.get_potential_energy() == pytest.approx(energy_of(frame), rel=1e-12)
        assert not frame.has("momenta")
    assert frames[-1].info["step"] == 4


RUNS = {
    "nve": (),
    "nvt": ("--ensemble", "nvt"),
    "replicas": ("--systems", 2),
    "npt": ("--ensemble", "npt", "--pressure", "1 bar"),
}


@pytest.mark.parametrize("suffix", [".xyz", ".traj"])
@pytest.mark.parametrize("case", RUNS)
def test_runs_and_what_they_become(place: Path, cli: Run, case: str, suffix: str) -> None:
    """Two steps, the file taken away, two more; each frame's energy is what ASE says of the atoms
    that are written."""
    file = "cell.xyz" if case == "npt" else "rich.xyz"
    given = ase.io.read(place / file)
    first = cli(
        "rollout",
        file,
        *BY,
        "--temperature",
        "20 K",
        "--steps",
        2,
        "--every",
        1,
        *RUNS[case],
        *FREE,
        "-o",
        "run.h5md",
    )
    assert (first.code, first.err) == (0, "")
    (place / file).unlink()
    again = cli("rollout", "--resume", "run.h5md", "--steps", 2)
    assert (again.code, again.err) == (0, "")
    chosen = ("--system", 1) if case == "replicas" else ()
    converted = cli("convert", "run.h5md", f"out{suffix}", *chosen)
    assert converted.code == 0
    if suffix == ".traj":
        assert "left out, since .traj has no place for it: mine\n" in converted.out
        own = given.arrays.pop("mine")
    frames = ase.io.read(place / f"out{suffix}", ":")
    assert [frame.info["step"] for frame in frames] == [0, 1, 2, 3, 4]
    for frame in frames:
        assert_beside(frame, given)
        if suffix == ".traj":
            frame.set_array("mine", own)
        assert frame.get_potential_energy() == pytest.approx(energy_of(frame), rel=1e-9)
        assert frame.info["units"] == "metal"
        if case == "npt":
            np.testing.assert_allclose(frame.get_stress(), 1e-3 * np.arange(6.0), atol=1e-4)


def test_a_run_says_what_else_the_calculator_gets(place: Path, succeed: Run) -> None:
    told = succeed(
        "rollout", "rich.xyz", *BY, "--temperature", "20 K", "--steps", 2, *FREE, "--dry-run"
    ).out
    row = next(line for line in told.splitlines() if "the calculator also gets" in line)
    for name in ("charge", "spin", "tags", "initial_magmoms", "mine"):
        assert name in row


def test_what_no_run_can_keep_is_told(tmp_path: Path, cli: Run) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_array("parts", np.zeros(4, dtype=complex))
    ase.io.write(tmp_path / "cu.traj", atoms)
    assert (
        cli("rollout", "cu.traj", "--calculator", "emt", "--temperature", "9 K", "--steps", 2).code
        == 0
    )


def test_frozen_atoms_are_told_of_without_a_constraint(tmp_path: Path, succeed: Run) -> None:
    """ASE would give zeros for their forces."""
    slab = bulk("Cu", cubic=True) * 2
    slab.rattle(0.05, seed=1)
    slab.set_constraint(FixAtoms([0, 3]))
    ase.io.write(tmp_path / "slab.traj", slab)
    succeed("label", "slab.traj", "--calculator", "emt", "-o", "out.xyz")
    found = ase.io.read(tmp_path / "out.xyz")
    assert np.flatnonzero(found.arrays["frozen"]).tolist() == [0, 3]
    assert abs(found.get_forces()[[0, 3]]).max() > 1e-3


def test_stress_there_and_back(tmp_path: Path, succeed: Run) -> None:
    """A run, its extended XYZ, and the run that this becomes hold the same stress and pressure."""
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    atoms.set_tags(range(32))
    ase.io.write(tmp_path / "cu.traj", atoms)
    options = (
        "--ensemble",
        "npt",
        "--pressure",
        "1 bar",
        "--temperature",
        "100 K",
        "--steps",
        4,
        "--every",
        2,
    )
    succeed("rollout", "cu.traj", "--calculator", "emt", *options)
    succeed("convert", "cu.h5md", "out.xyz")
    succeed("convert", "out.xyz", "back.h5md")
    with H5MDReader(tmp_path / "cu.h5md") as run, H5MDReader(tmp_path / "back.h5md") as back:
        for name in ("stress", "pressure", "potential_energy", "kinetic_energy"):
            np.testing.assert_allclose(
                back.observable(name), run.observable(name), rtol=1e-9, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("suffix", [".xyz", ".traj"])
def test_trajectories_of_others_there_and_back(tmp_path: Path, succeed: Run, suffix: str) -> None:
    """What is the same in all frames comes back; what one frame has differently is of no other."""
    frames = []
    for k in range(4):
        atoms = rich()
        atoms.calc = None
        atoms.positions += 0.01 * k
        atoms.info["frame"] = k
        atoms.set_array("varies", np.arange(3.0) + k)
        atoms.set_array("ix", np.zeros(3, dtype=int))
        frames.append(atoms)
    ase.io.write(tmp_path / f"given{suffix}", frames)
    given = ase.io.read(tmp_path / f"given{suffix}", ":")
    succeed("convert", f"given{suffix}", "run.h5md")
    succeed("convert", "run.h5md", "out.xyz")
    for found, wanted in zip(ase.io.read(tmp_path / "out.xyz", ":"), given, strict=True):
        assert found.info.pop("step") == wanted.info.pop("frame")
        for name in ("varies", "ix"):
            assert name not in found.arrays
            wanted.arrays.pop(name, None)
        assert_beside(found, wanted)
        assert not found.has("momenta")


def test_a_run_of_before_goes_on_without_stress(tmp_path: Path) -> None:
    """A file that was begun when no stress was kept."""
    from trajectories.storage.rows import rows_of

    atoms = bulk("Cu", cubic=True)
    flow, path = velocity_verlet(CalculatorPotential(EMT(), stress=True)), tmp_path / "run.h5md"
    states = list(rollout(flow, State(from_atoms(atoms)), 0.1, 3))
    with pytest.MonkeyPatch.context() as patch, H5MDWriter(path, states[0].system) as writer:
        without = {"observables/trajectory/stress/value"}
        patch.setattr(
            "trajectories.storage.writer.rows_of",
            lambda s: {k: v for k, v in rows_of(s).items() if k not in without},
        )
        for state in states[:2]:
            writer.write(state)
        writer.flush()
    with H5MDWriter.append(path, 2) as writer:
        for state in states[2:]:
            writer.write(state)
    with H5MDReader(path) as reader:
        assert len(reader) == 4
        assert reader.observable("stress") is None
        assert reader.observable("pressure") is not None

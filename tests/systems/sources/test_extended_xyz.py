"""Extended XYZ is read by its Properties, whatever the order of columns and the names of atoms."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.lammps import convert
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.sources.extended_xyz import count, frames
from systems.sources.file_options import FileOptions, Reading, unit_styles

# what atoms are called, the element that it means, and its mass
NAMES = {
    "O": (8, 15.999),
    "Cl": (17, 35.45),
    "Na+": (11, 22.98976928),
    "Cl-": (17, 35.45),
    "OW": (8, 15.999),
    "HW1": (1, 1.008),
    "D": (1, 2.01410177811),
    "T": (1, 3.01604928),
    "H1": (1, 1.008),
    "C12": (6, 12.011),
    "Fe3+": (26, 55.845),
    "1": (0, 0.0),
    "2": (0, 0.0),
    "Qq": (0, 0.0),
}
EXTRA = {
    "forces": "R:3",
    "velo": "R:3",
    "vel": "R:3",
    "velocities": "R:3",
    "mass": "R:1",
    "masses": "R:1",
    "id": "I:1",
    "flag": "L:1",
    "label": "S:1",
    "magnetic": "R:1",
}


def columns(
    order: list[str], names: list[str], stream: np.random.Generator
) -> tuple[dict[str, Any], list[str]]:
    """Values of each column, and lines of text."""
    n = len(names)
    values: dict[str, Any] = {}
    for column in order:
        kind, width = EXTRA.get(column, "R:3" if column == "pos" else "S:1").split(":")
        shape = (n, int(width))
        values[column] = {
            "R": lambda shape=shape: stream.uniform(0.5, 30.0, shape).round(6),
            "I": lambda shape=shape: stream.integers(1, 99, shape),
            "L": lambda shape=shape: np.where(stream.random(shape) < 0.5, "T", "F"),
            "S": lambda shape=shape: np.array(["ab", "c_d"])[stream.integers(0, 2, shape)],
        }[kind]()
        if column in ("species", "element"):
            values[column] = np.array(names)[:, None]
    return values, [
        " ".join(str(v) for column in order for v in values[column][k].tolist()) for k in range(n)
    ]


@settings(max_examples=120)
@given(
    st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=9),
    st.sets(st.sampled_from(sorted(EXTRA)), max_size=5),
    st.randoms(use_true_random=False),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["species", "element"]),
)
def test_any_order_of_columns(
    tmp_path_factory: Any, names: list[str], extra: set[str], order: Any, seed: int, species: str
) -> None:
    stream = np.random.default_rng(seed)
    chosen = [species, "pos", *sorted(extra)]
    order.shuffle(chosen)
    values, lines = columns(chosen, names, stream)
    kinds = ":".join(
        f"{name}:{EXTRA.get(name, 'R:3' if name == 'pos' else 'S:1')}" for name in chosen
    )
    cell = np.diag(stream.uniform(5, 9, 3)) + stream.uniform(-1, 1, (3, 3))
    lattice = " ".join(map(repr, cell.ravel().tolist()))
    mark = "\ufeff" if seed % 2 else ""
    path = tmp_path_factory.mktemp("xyz") / "any.xyz"
    frame = (
        f'{len(names)}\nLattice="{lattice}" Properties={kinds} step=7 pbc="T F T"\n'
        + "\n".join(lines)
        + "\n"
    )
    path.write_text(mark + frame + frame, encoding="utf-8")
    reading = Reading()
    found, again = frames(path, reading)
    assert count(path) == 2
    np.testing.assert_array_equal(found.positions, values["pos"])
    np.testing.assert_array_equal(again.positions, values["pos"])
    np.testing.assert_allclose(found.cell[:], cell, rtol=1e-12)
    assert found.pbc.tolist() == [True, False, True]
    assert found.info["step"] == 7
    told = next((values[name][:, 0] for name in ("mass", "masses") if name in extra), None)
    standard = np.array([NAMES[name][1] for name in names])
    np.testing.assert_allclose(
        found.get_masses(),
        np.where(standard > 0, standard, 1.0) if told is None else told,
        rtol=1e-8,
    )
    assert reading.massless == (
        {name for name in names if not NAMES[name][0]} if told is None else set()
    )
    if told is None:
        assert found.numbers.tolist() == [NAMES[name][0] for name in names]
    if any(name not in ("O", "Cl") for name in names) or species == "element":
        assert found.arrays.get("names", np.array(found.get_chemical_symbols())).tolist() == names
    if "forces" in extra:
        np.testing.assert_array_equal(found.calc.results["forces"], values["forces"])
    velocity = next((name for name in ("vel", "velo", "velocities") if name in extra), None)
    assert found.has("momenta") is (velocity is not None)
    if velocity is not None:
        np.testing.assert_allclose(found.get_velocities() * units.fs, values[velocity], rtol=1e-12)
        assert velocity in reading.assumed["units"]


@pytest.mark.parametrize("style", [name for name in unit_styles() if name != "lj"])
def test_units_of_any_style(tmp_path: Path, style: str) -> None:
    """Against ASE's own table, in both directions."""
    stream = np.random.default_rng(3)
    x, v, f, m = (
        stream.normal(size=(4, 3)),
        stream.normal(size=(4, 3)),
        stream.normal(size=(4, 3)),
        stream.uniform(1, 9, 4),
    )
    cell, energy = 8.0 * np.eye(3), -3.25
    # in units of the style
    there = {"distance": x, "velocity": v, "force": f, "mass": m}
    told = {name: convert(values, name, "ASE", style) for name, values in there.items()}
    told_cell, told_energy = (
        convert(cell, "distance", "ASE", style),
        float(convert(energy, "energy", "ASE", style)),
    )
    rows = np.column_stack(
        [told["distance"], told["velocity"], told["force"], told["mass"]]
    ).tolist()
    lattice = " ".join(map(repr, told_cell.ravel().tolist()))
    text = (
        f'4\nLattice="{lattice}" Properties=species:S:1:pos:R:3:vel:R:3:forces:R:3:mass:R:1'
        f" energy={told_energy!r}\n"
    )
    (tmp_path / "a.xyz").write_text(
        text + "".join("Ar " + " ".join(map(repr, row)) + "\n" for row in rows)
    )
    reading = Reading(FileOptions(units=style))
    (found,) = frames(tmp_path / "a.xyz", reading)
    np.testing.assert_allclose(found.positions, x, rtol=1e-9)
    np.testing.assert_allclose(found.cell[:], cell, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.get_masses(), m, rtol=1e-9)
    np.testing.assert_allclose(found.get_velocities(), v, rtol=1e-9)
    np.testing.assert_allclose(found.calc.results["forces"], f, rtol=1e-9)
    assert found.get_potential_energy() == pytest.approx(energy, rel=1e-9)
    assert "units" not in reading.assumed


def test_as_ase_reads_it(tmp_path: Path) -> None:
    """What ASE writes comes back as ASE reads it: results, momenta, constraints, charges, info."""
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.constraints import FixAtoms

    written = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.set_momenta(np.random.default_rng(seed).normal(size=(4, 3)))
        atoms.set_initial_charges([0.5, -0.5, 0.0, 0.0])
        atoms.set_constraint(FixAtoms([1]))
        atoms.info["note"] = "two words"
        atoms.calc = EMT()
        atoms.get_potential_energy()
        atoms.get_stress()
        written.append(atoms)
    ase.io.write(tmp_path / "a.xyz", written)
    truth = ase.io.read(tmp_path / "a.xyz", ":")
    for found, expected in zip(frames(tmp_path / "a.xyz", Reading()), truth, strict=True):
        assert found == expected
        assert found.info == expected.info
        assert found.arrays.keys() == expected.arrays.keys()
        for name in expected.arrays:
            np.testing.assert_array_equal(found.arrays[name], expected.arrays[name])
        assert found.calc.results.keys() == expected.calc.results.keys()
        for name in expected.calc.results:
            np.testing.assert_array_equal(found.calc.results[name], expected.calc.results[name])
        assert [c.todict() for c in found.constraints] == [c.todict() for c in expected.constraints]


@pytest.mark.parametrize(("unit", "size"), [("angstrom", 1.0), ("atomic_unit", units.Bohr)])
def test_files_of_ipi(tmp_path: Path, unit: str, size: float) -> None:
    """Their comment tells the cell and its units."""
    x = np.random.default_rng(0).normal(size=(2, 3))
    lines = "".join(
        f"{name} {' '.join(map(repr, row))}\n"
        for name, row in zip("OH", (x / size).tolist(), strict=True)
    )
    sides = " ".join(f"{side / size:.10f}" for side in (5.0, 6.0, 7.0))
    comment = (
        f"# CELL(abcABC): {sides} 90.00000 80.00000 90.00000 Step: 0 Bead: 0 positions{{{unit}}} "
        f" cell{{{unit}}}"
    )
    (tmp_path / "a.xyz").write_text(f"2\n{comment}\n{lines}" * 2)
    for found in frames(tmp_path / "a.xyz", Reading()):
        np.testing.assert_allclose(found.positions, x, rtol=1e-6)
        np.testing.assert_allclose(found.cell.cellpar(), [5, 6, 7, 90, 80, 90], rtol=1e-6)
        assert found.pbc.all()
        assert found.get_chemical_symbols() == ["O", "H"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("once upon a time\n", "begins with the number of its atoms"),
        ("2\nProperties=species:S:1:forces:R:3\nO 0 0 0\nO 1 1 1\n", "name no positions"),
        ("3\n\nO 0 0 0\nO 1 1 1\n", "ends within it"),
    ],
)
def test_what_is_no_frame(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises((ValueError, EOFError), match=words):
        list(frames(tmp_path / "a.xyz", Reading()))


def test_capital_letters_are_said(tmp_path: Path) -> None:
    """CA alone is calcium, as ASE takes it; among names of a protein it is a carbon atom."""
    for names, numbers in ((["CA", "CL"], [20, 17]), (["CA", "CB", "HA"], [6, 6, 1])):
        (tmp_path / "a.xyz").write_text(
            f"{len(names)}\n\n" + "".join(f"{name} {k} 0 0\n" for k, name in enumerate(names))
        )
        reading = Reading()
        (found,) = frames(tmp_path / "a.xyz", reading)
        assert found.numbers.tolist() == numbers
        assert "from CA" in reading.assumed["elements"]


def test_plain_elements_are_not_guessed(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.xyz", Atoms("CuAu", positions=np.eye(3)[:2]))
    reading = Reading()
    (found,) = frames(tmp_path / "a.xyz", reading)
    assert found.numbers.tolist() == [29, 79]
    assert reading.assumed == {}

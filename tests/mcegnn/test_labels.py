"""Labels of structures: one source, units and signs, what was held, what is periodic; and that none
of the rest reaches loss or errors."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from hypothesis import given, settings
from hypothesis import strategies as st

from mcegnn import PotentialCalculator
from mcegnn.data.assembly import join_datasets
from mcegnn.data.consistency import unit_warnings
from mcegnn.data.dataset import Dataset
from mcegnn.data.label_rules import Reading
from mcegnn.data.label_targets import with_labels
from mcegnn.data.labelled import from_file, read
from mcegnn.data.statistics import outliers, reference_energies, summary
from mcegnn.data.stresses import stress_warnings
from mcegnn.data.structures import structures, to_score
from mcegnn.losses import energy_force_loss
from mcegnn.models.store import Stored
from mcegnn.tasks.energies_forces import StructureOptions
from mcegnn.tasks.potential_model import potential
from mcegnn.training.options import parse
from mcegnn.training.prediction import deviations, measures
from mcegnn.training.prepared import Prepared

Command = Callable[..., Any]
KBAR = 1602.1766208
SMALL = {"n_features": 6, "n_channels": [2, 2], "n_layers": 1, "n_radial": 4, "cutoff": 4.0}


def labelled(atoms: Atoms, **more: Any) -> Atoms:
    """By ASE's effective medium theory, whose free energy is its energy; results that are None are
    taken away."""
    atoms.calc = EMT()
    found = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(apply_constraint=False),
    }
    found |= {"stress": atoms.get_stress()} if atoms.pbc.all() else {}
    atoms.calc = SinglePointCalculator(
        atoms, **{name: value for name, value in (found | more).items() if value is not None}
    )
    return atoms


def crystals(n: int = 40, strain: float = 0.03, seed: int = 0, shake: float = 0.06) -> list[Atoms]:
    """Copper's cells, strained and shaken."""
    made, stream = [], np.random.default_rng(seed)
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += shake * stream.normal(size=(4, 3))
        atoms.set_cell(
            atoms.cell @ (np.eye(3) + strain * stream.normal(size=(3, 3))), scale_atoms=True
        )
        made.append(labelled(atoms))
    return made


def row(found: Any, name: str) -> str:
    return dict(found.notes)[name]


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=6), st.booleans())
def test_stress_is_of_what_is_periodic_in_all_directions(pbcs: list[Any], zero: bool) -> None:
    """Of any others, zero or not, none is a label."""
    frames = []
    for k, pbc in enumerate(pbcs):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=k)
        stress = None if all(pbc) else np.zeros(6) if zero else np.arange(6.0)
        atoms.set_pbc(True)
        stress = EMT().get_stress(atoms) if stress is None else stress
        atoms.set_pbc(pbc)
        frames.append(labelled(atoms, stress=stress))
    from mcegnn.data.labels import labels_of

    found = labels_of(frames, "set.xyz")
    n_open = sum(not all(pbc) for pbc in pbcs)
    for pbc, (_, _, stress) in zip(pbcs, found.labels, strict=True):
        assert np.isfinite(stress).all() == all(pbc)
        assert np.isnan(stress).all() != all(pbc)
    assert dict(found.notes).get("stress left out") == (
        f"of {n_open} structures that are not periodic in all directions" if n_open else None
    )


def test_stresses_of_slabs(cases: Path) -> None:
    found = read(cases / "slab_stress.xyz")
    solid = found.structures.periodic.all(1)
    assert np.isfinite(found.structures["stress"][solid]).all()
    assert np.isnan(found.structures["stress"][~solid]).all()
    assert (
        row(found, "stress left out") == "of 30 structures that are not periodic in all directions"
    )
    # of structures made in Python too
    made = found.structures.with_values(stress=np.ones((60, 3, 3)))
    model: Any = Stored.make(
        "ConservativePotential", {"species": [29], "periodic": True, **SMALL}
    ).model
    model.double()
    batch = Prepared(made, model, torch.float64, torch.device("cpu")).batch(np.arange(60))
    assert batch.stresses.isfinite().all((1, 2)).tolist() == solid.tolist()
    said = measures(model, made)["stress_mae"]
    assert said == pytest.approx(measures(model, made.take(solid))["stress_mae"], rel=1e-12)
    assert (
        len(deviations(model, Prepared(made, model, torch.float64, torch.device("cpu")))["stress"])
        == solid.sum()
    )


def test_a_stress_of_zeros_beside_forces_was_never_filled_in(tmp_path: Path) -> None:
    frames = crystals(3)
    frames[1].calc.results["stress"] = np.zeros(6)
    ase.io.write(tmp_path / "set.xyz", frames)
    found = read(tmp_path / "set.xyz")
    assert np.isfinite(found.structures["stress"]).all((1, 2)).tolist() == [True, False, True]
    assert row(found, "zero stress left out") == "of 1 structures whose forces are not zero"


def held_copper(seed: int) -> Atoms:
    atoms = bulk("Cu", cubic=True) * (1, 1, 2)
    atoms.rattle(0.1, seed=seed)
    return atoms


@pytest.mark.parametrize("ending", ["xyz", "traj"])
def test_zero_forces_of_held_atoms_are_unknown(tmp_path: Path, ending: str) -> None:
    """Those of free atoms, and those of held ones that are not zero, are labels."""
    zeroed, true, partly = (labelled(held_copper(k)) for k in range(3))
    for atoms in (zeroed, true):
        atoms.set_constraint(FixAtoms([1, 4]))
    zeroed.calc.results["forces"][[1, 4, 6]] = 0.0
    true.calc.results["forces"][4, 0] = (
        0.0  # by symmetry: the others tell that the atom's force was not taken away
    )
    partly.set_constraint(FixCartesian([2], mask=(False, True, True)))
    partly.calc.results["forces"][2] = [0.5, 0.0, 0.25]
    ase.io.write(tmp_path / f"set.{ending}", [zeroed, true, partly])
    found = read(tmp_path / f"set.{ending}")
    forces = found.structures["forces"].reshape(3, 8, 3)
    assert np.argwhere(np.isnan(forces[0]).any(1)).ravel().tolist() == [1, 4]
    np.testing.assert_allclose(forces[1], true.calc.results["forces"], atol=1e-7)
    assert np.isnan(forces[2]).tolist() == [[k == 2 and i == 1 for i in range(3)] for k in range(8)]
    assert row(found, "frozen atoms").startswith("3 forces are zero since")


def test_frozen_atoms_of_our_own_runs(structures_folder: Path, cli: Command, cases: Path) -> None:
    """What `convert` writes of a run whose atoms were held is read as what it is."""
    run = (
        "rollout",
        "held.traj",
        "--calculator",
        "emt",
        "--temperature",
        "300 K",
        "--steps",
        20,
        "--every",
        5,
        "-o",
        "run.h5md",
    )
    assert cli(*run).code == 0
    for name in ("run.xyz", "run.traj"):
        assert cli("convert", "run.h5md", name).code == 0
        found = from_file(name)
        held = ase.io.read("held.traj").positions[:, 2] < 1.0
        moving = np.linalg.norm(found["forces"].reshape(5, -1, 3)[-1], axis=1)
        assert np.isnan(moving).tolist() == held.tolist()
    found = read(cases / "frozen_forces.xyz")
    assert row(found, "frozen atoms").startswith("968 forces are zero")
    assert np.isnan(found.structures["forces"]).any(1).sum() == 968


@pytest.fixture
def structures_folder(tmp_path: Path) -> Path:
    atoms = bulk("Cu", "fcc", 3.61, cubic=True).repeat((2, 2, 1))
    atoms.set_pbc((True, True, False))
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < 1.0))
    ase.io.write(tmp_path / "held.traj", atoms)
    return tmp_path


@given(st.integers(0, 2**32 - 1))
def test_what_is_unknown_is_in_no_loss_and_no_error(seed: int) -> None:
    """Loss and gradient by NumPy over what is known; and whatever a model says where nothing is."""
    stream = np.random.default_rng(seed)
    n = int(stream.integers(1, 12))
    said, true = stream.normal(size=(2, n, 3))
    unknown = stream.random((n, 3)) < stream.choice([0.0, 0.3, 1.0])
    true[unknown] = np.nan
    forces = torch.tensor(said, requires_grad=True)
    nothing = torch.zeros(1, dtype=torch.float64)
    stress = torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    made, wanted = (
        SimpleNamespace(energies=nothing, forces=f, stresses=stress)
        for f in (forces, torch.tensor(true))
    )
    loss = energy_force_loss(
        made, wanted, torch.ones(1), torch.ones(n, dtype=torch.float64), 1.0, (1.0, 1.0, 1.0)
    )
    length = np.sqrt(np.where(unknown, 0.0, said - np.nan_to_num(true)) ** 2 @ np.ones(3) + 1e-12)
    counted = ~unknown.all(1)
    assert float(loss.detach()) == pytest.approx(
        length[counted].mean() if counted.any() else 0.0, rel=1e-9
    )
    loss.backward()
    assert forces.grad is not None
    assert forces.grad.isfinite().all()
    assert not forces.grad.numpy()[unknown].any()


def test_errors_of_structures_with_unknown_forces(cases: Path) -> None:
    """By element and over all, those of the known by NumPy; tables and warnings hold no NaN."""
    found = from_file(cases / "frozen_forces.xyz").take(slice(0, 20))
    model: Any = potential(
        parse(
            {
                "data": {"name": "x"},
                "model": {"kind": "ConservativePotential", "hyperparameters": SMALL},
                "task": {"kind": "energy-forces"},
            }
        ),
        found,
    ).model
    model.double()
    known = np.isfinite(found["forces"])
    off = np.concatenate([model(found.system(k)).forces for k in range(20)]) - found["forces"]
    said = measures(model, found)
    assert said["force_mae"] == pytest.approx(abs(off[known]).mean(), rel=1e-9)
    assert said["force_mae_Cu"] == said["force_mae"]
    assert said["force_rmse"] == pytest.approx((off[known] ** 2).mean() ** 0.5, rel=1e-9)
    assert model.scale == pytest.approx((found["forces"][known] ** 2).mean() ** 0.5)
    each = deviations(model, Prepared(found, model, torch.float64, torch.device("cpu")))["forces"]
    np.testing.assert_allclose(each, np.nanmean(abs(off).reshape(20, -1), axis=1), rtol=1e-9)
    assert "nan" not in str(summary(found))
    assert outliers(found) == unit_warnings(found) == []


def test_forces_of_zero_without_a_mark_are_doubted(cases: Path) -> None:
    right = from_file(cases / "frozen_forces.xyz")
    assert outliers(right) == []
    told = outliers(right.with_values(forces=np.nan_to_num(right["forces"])))
    words = (
        "968 forces are exactly zero beside others that are not; if atoms were held fixed, mark"
        " them (move_mask, or constraints)"
    )
    assert told == [words]
    assert outliers(right.with_values(forces=np.zeros(right["forces"].shape))) == []


def test_units_of_slabs_that_stand_on_held_atoms(cases: Path) -> None:
    """Their energies and forces are compared where all atoms may not be shifted together."""
    right = from_file(cases / "frozen_forces.xyz")
    assert unit_warnings(right) == []
    assert "the energies were in kcal/mol" in " ".join(
        unit_warnings(right.with_values(energy=23.0605 * right["energy"]))
    )
    assert "gradients" in " ".join(unit_warnings(right.with_values(forces=-right["forces"])))


def test_labels_of_one_source(cases: Path) -> None:
    with pytest.raises(
        ValueError,
        match=(
            r"structure 1 of .*mixed_ref\.xyz has no REF_ labels, which 30 of 60 .*"
            r" data\.labels=plain"
        ),
    ):
        read(cases / "mixed_ref.xyz")
    some = read(cases / "mixed_ref.xyz", Reading(labels="REF_"))
    assert len(some.structures) == 30
    assert row(some, "without labels") == "30 structures have none REF_: left out"
    others = "energy, forces, stress of another source are left out"
    assert row(some, "labels") == f"REF_energy, REF_forces, REF_stress; {others}"
    plain = read(cases / "mixed_ref.xyz", Reading(labels="plain"))
    assert len(plain.structures) == 60
    frames = ase.io.read(cases / "mixed_ref.xyz", ":")
    np.testing.assert_array_equal(
        plain.structures["energy"], [atoms.calc.results["energy"] for atoms in frames]
    )
    np.testing.assert_array_equal(
        some.structures["energy"],
        [atoms.info["REF_energy"] for atoms in frames if "REF_energy" in atoms.info],
    )
    with pytest.raises(
        ValueError,
        match=r"no structure of .* has labels dft_; the keys of its first are REF_energy",
    ):
        read(cases / "mixed_ref.xyz", Reading(labels="dft_"))


def test_labels_of_two_names(tmp_path: Path) -> None:
    """An energy under one name and forces under another are not of one calculation; both are there,
    so the message says what to do."""
    frames = crystals(4)
    for k, atoms in enumerate(frames):
        atoms.info["REF_energy"] = float(k)
    ase.io.write(tmp_path / "set.xyz", frames)
    with pytest.raises(
        ValueError,
        match=(
            r"structure 0 of .* has REF_energy but no REF_forces, and its forces may be of another"
            r" method"
        ),
    ):
        read(tmp_path / "set.xyz")
    assert read(tmp_path / "set.xyz", Reading(labels="plain")).structures["energy"].tolist() == [
        a.calc.results["energy"] for a in frames
    ]


def test_a_prefix_of_ones_own(tmp_path: Path) -> None:
    frames = crystals(4)
    for k, atoms in enumerate(frames):
        atoms.info.update(dft_energy=float(k), dft_virial=np.eye(3) * k)
        atoms.arrays["dft_forces"] = np.full((4, 3), 0.5)
    ase.io.write(tmp_path / "set.xyz", frames)
    found = read(tmp_path / "set.xyz", Reading(labels="dft_"))
    assert found.structures["energy"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert (found.structures["forces"] == 0.5).all()
    volumes = np.array([atoms.cell.volume for atoms in frames])
    np.testing.assert_allclose(
        found.structures["stress"][1:],
        -(np.eye(3) * np.arange(4)[:, None, None] / volumes[:, None, None])[1:],
    )


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["virial", "virials", "REF_virial", "REF_virials"]),
    st.sampled_from([1, -1]),
)
def test_virials_are_minus_the_volume_times_the_stress(seed: int, name: str, sign: int) -> None:
    from mcegnn.data.labels import labels_of

    frames = crystals(2, seed=seed % 1000)
    for atoms in frames:
        virial = -sign * atoms.get_stress(voigt=False) * atoms.cell.volume
        atoms.info[name] = virial.ravel() if seed % 2 else virial
        if name.startswith("REF_"):
            atoms.info["REF_energy"], atoms.arrays["REF_forces"] = 1.0, atoms.get_forces()
    stresses = [atoms.get_stress(voigt=False) for atoms in frames]
    for atoms in frames:
        atoms.calc.results.pop("stress")
    found = labels_of(frames, "set.xyz", Reading(stress_sign=sign))
    np.testing.assert_allclose(
        [stress for _, _, stress in found.labels], stresses, rtol=1e-12, atol=1e-15
    )
    assert (
        row(found, "virials")
        == f"read as stress = {'-' if sign == 1 else ''}virial / volume, in 2 structures"
    )


def test_a_virial_that_is_not_the_stress_is_said(tmp_path: Path) -> None:
    frames = crystals(3)
    for atoms in frames:
        atoms.info["virial"] = atoms.get_stress(voigt=False) * atoms.cell.volume
    ase.io.write(tmp_path / "set.xyz", frames)
    found = read(tmp_path / "set.xyz")
    np.testing.assert_allclose(
        found.structures["stress"], [atoms.get_stress(voigt=False) for atoms in frames], atol=1e-7
    )
    assert (
        row(found, "two stresses")
        == "virial and stress differ by up to 200 per cent; stress is taken"
    )


# what ASE's stresses are multiplied by, how they are read, and what is said of them
WRONG: dict[str, tuple[float, Reading, list[str]]] = {
    "right": (1.0, Reading(), []),
    "kbar of VASP": (
        -KBAR,
        Reading(),
        ["in kbar", "of the other sign", "set data.stress_unit=kbar and data.stress_sign=-1"],
    ),
    "kbar of VASP, and told": (-KBAR, Reading(stress_unit="kbar", stress_sign=-1), []),
    "kbar": (KBAR, Reading(), ["in kbar", "set data.stress_unit=kbar"]),
    "GPa": (KBAR / 10, Reading(), ["in GPa", "set data.stress_unit=GPa"]),
    "GPa, and told": (KBAR / 10, Reading(stress_unit="GPa"), []),
    "pressure": (-1.0, Reading(), ["of the other sign", "set data.stress_sign=-1"]),
    "atomic": (1 / 183.6315, Reading(), ["in Hartree/Bohr^3", "convert them to eV/Angstrom^3"]),
    "thousandths": (1e-3, Reading(), ["0.00", "times too large", "convert them"]),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("turned", [False, True], ids=["as is", "turned"])
def test_units_and_signs_of_stresses_are_found(tmp_path: Path, case: str, turned: bool) -> None:
    """By finite differences of the energy, however the cells lie."""
    factor, reading, words = WRONG[case]
    frames = crystals(40)
    for k, atoms in enumerate(frames):
        if turned:
            atoms = labelled(turn(atoms, k))
        frames[k] = atoms
        atoms.calc.results["stress"] = factor * atoms.calc.results["stress"]
    ase.io.write(tmp_path / "set.traj", frames)
    told = stress_warnings(read(tmp_path / "set.traj", reading).structures)
    assert len(told) == bool(words)
    assert all(word in told[0] for word in words)
    assert (
        not words
        or "other sign" in words[0:2]
        or ("other sign" in told[0]) == any("other sign" in word for word in words)
    )


def turn(atoms: Atoms, seed: int) -> Atoms:
    """The same crystal, which lies another way."""
    from scipy.spatial.transform import Rotation

    other = atoms.copy()
    other.set_cell(
        atoms.cell @ Rotation.random(rng=np.random.default_rng(seed)).as_matrix(), scale_atoms=True
    )
    return other


def test_stresses_in_kbar_by_the_case(cases: Path) -> None:
    told = stress_warnings(from_file(cases / "stress_kbar.xyz"))
    assert len(told) == 1
    assert "they look in kbar and of the other sign" in told[0]
    assert "set data.stress_unit=kbar and data.stress_sign=-1" in told[0]
    right = read(cases / "stress_kbar.xyz", Reading(stress_unit="kbar", stress_sign=-1)).structures
    np.testing.assert_allclose(
        right["stress"], from_file(cases / "virial.xyz")["stress"], rtol=1e-6
    )
    for name in ("stress_kbar.xyz", "virial.xyz", "cuau.xyz", "slab_stress.xyz"):
        reading = (
            Reading(stress_unit="kbar", stress_sign=-1) if name == "stress_kbar.xyz" else Reading()
        )
        assert stress_warnings(read(cases / name, reading).structures) == []
    assert (
        "other sign"
        in stress_warnings(read(cases / "virial.xyz", Reading(stress_sign=-1)).structures)[0]
    )


def test_stresses_of_no_usual_size_where_no_two_structures_tell() -> None:
    alone = [bulk("Cu", cubic=True) * (1, 1, k) for k in (1, 2, 3)]
    for k, atoms in enumerate(alone):
        atoms.rattle(0.1, seed=k)
        labelled(atoms)
    assert stress_warnings(of(alone)) == []
    told = stress_warnings(of(alone).with_values(stress=-KBAR * of(alone)["stress"]))
    assert len(told) == 1
    assert (
        "are beyond those of solids, about 0.01; if they are in kbar or GPa, set"
        " data.stress_unit=kbar or" in told[0]
    )


def of(frames: list[Atoms]) -> Dataset:
    from mcegnn.data.labels import labels_of

    parts = []
    for atoms, (energy, forces, stress) in zip(
        frames, labels_of(frames, "set.xyz").labels, strict=True
    ):
        parts.append(
            with_labels(
                Dataset(
                    np.array([0, len(atoms)]),
                    atoms.numbers,
                    atoms.positions,
                    cell=np.array(atoms.cell)[None],
                    pbc=atoms.pbc[None],
                ),
                energy=np.array([energy]),
                forces=forces,
                stress=stress[None],
            )
        )
    return join_datasets(parts)


def test_forces_are_derivatives_of_the_free_energy(tmp_path: Path, cases: Path) -> None:
    found = read(cases / "free_energy.xyz")
    frames = ase.io.read(cases / "free_energy.xyz", ":")
    np.testing.assert_array_equal(
        found.structures["energy"], [atoms.calc.results["free_energy"] for atoms in frames]
    )
    assert row(found, "energy").startswith(
        "free_energy, whose derivatives forces are; energy differs from it by up to 1.187 eV"
    )
    other = read(cases / "free_energy.xyz", Reading(energy="energy"))
    np.testing.assert_array_equal(
        other.structures["energy"], [atoms.calc.results["energy"] for atoms in frames]
    )
    del frames[7].calc.results["free_energy"]
    ase.io.write(tmp_path / "some.xyz", frames)
    with pytest.raises(
        ValueError, match=r"structure 7 of .* has no free_energy, .* set data\.energy=energy"
    ):
        read(tmp_path / "some.xyz")
    assert len(read(tmp_path / "some.xyz", Reading(energy="energy")).structures) == 40
    # the same in all: there is nothing to choose, nor to say
    for atoms in frames:
        atoms.calc.results["free_energy"] = atoms.calc.results["energy"]
    ase.io.write(tmp_path / "same.xyz", frames)
    assert "energy" not in dict(read(tmp_path / "same.xyz").notes)


def isolated(symbol: str, energy: float, **info: Any) -> Atoms:
    atoms = Atoms(symbol, info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def test_isolated_atoms_are_the_reference(tmp_path: Path) -> None:
    """With forces or without, in a box or not; they are in no part, and not scored."""
    boxed = isolated("Cu", 3.4, config_type="IsolatedAtom")
    boxed.set_cell([6.0, 6.0, 6.0])
    boxed.set_pbc(True)
    boxed.calc = SinglePointCalculator(boxed, energy=3.4)
    far = isolated("Au", 3.7)
    far.set_cell([12.0, 12.0, 12.0])
    far.set_pbc(True)
    far.calc = SinglePointCalculator(far, energy=3.7, forces=np.zeros((1, 3)))
    primitive = labelled(bulk("Cu"))
    frames = [boxed, *crystals(30), far, isolated("Cu", 3.5), primitive]
    ase.io.write(tmp_path / "set.traj", frames)
    name = str(tmp_path / "set.traj")
    made = structures(StructureOptions(name=name, n_validation=4, n_train=20))
    assert made.isolated == {29: 3.4, 79: 3.7}
    assert made.whole == 34
    every = join_datasets([made.train, made.validation, made.test])
    assert len(every) == 31
    assert (every.sizes == 1).sum() == 1
    assert (
        dict(made.notes)["isolated atoms"] == "reference energies, in no part: Cu 3.4 eV, Au 3.7 eV"
    )
    assert made.doubts == ("energies of isolated Cu are 3.4 to 3.5 eV; the least counts",)
    options = parse(
        {
            "data": {"name": name},
            "model": {"kind": "ConservativePotential", "hyperparameters": SMALL},
            "task": {"kind": "energy-forces"},
        }
    )
    model: Any = potential(options, made.train, None, made.isolated).model
    assert model.reference_energies.tolist() == [3.4]
    off = np.array([model(made.train.system(k)).energy for k in range(20)]) - made.train["energy"]
    assert (
        abs(off / 4).mean() < 0.5
    )  # though atoms are bound by 3.4 eV, and there was no training yet
    part = to_score(name, None, False)
    assert (len(part.samples), part.whole, part.left_out) == (31, 34, {"isolated atoms": 3})
    ase.io.write(tmp_path / "alone.traj", [boxed, far])
    with pytest.raises(ValueError, match="holds isolated atoms alone"):
        structures(StructureOptions(name=str(tmp_path / "alone.traj")))


@given(st.integers(0, 2**32 - 1))
def test_reference_energies_beside_given_ones_are_found_again(seed: int) -> None:
    stream = np.random.default_rng(seed)
    parts = [
        with_labels(
            Dataset(np.array([0, 6]), stream.choice([1, 6, 8], 6), stream.normal(size=(6, 3))),
            forces=stream.normal(size=(6, 3)),
            energy=np.zeros(1),
        )
        for _ in range(20)
    ]
    found, species, true = (
        join_datasets(parts),
        np.array([1, 6, 8]),
        stream.normal(size=3) * 100,
    )
    energies = found.composition(species) @ true
    fixed = reference_energies(found.with_values(energy=energies), species, {6: true[1], 79: 1.0})
    np.testing.assert_allclose(fixed, true, atol=1e-9)
    other = reference_energies(found.with_values(energy=energies), species, {6: true[1] + 1.0})
    assert other[1] == true[1] + 1.0


def test_copies_are_counted_and_their_labels_compared(tmp_path: Path) -> None:
    frames = crystals(20)
    again = [frames[k].copy() for k in (2, 5, 5)]
    for one, k in zip(again, (2, 5, 5), strict=True):
        one.positions = np.add(one.positions, [1.0, 2.0, 3.0]).round(5)
        one.calc = SinglePointCalculator(
            one,
            energy=frames[k].get_potential_energy() + 0.5 * (k == 2),
            forces=frames[k].get_forces(),
        )
    ase.io.write(tmp_path / "set.traj", [*frames, *again])
    made = structures(StructureOptions(name=str(tmp_path / "set.traj")))
    assert (
        dict(made.notes)["copies"]
        == "3 structures are others once more; copies are kept in one part"
    )
    assert made.doubts == (
        (
            "1 structures are there twice with energies that differ, the first by 0.5 eV (structure"
            " 20 is structure 2, isolated atoms not counted); are they of one method?"
        ),
    )


def test_two_atoms_at_one_point(tmp_path: Path) -> None:
    """In data, across a face too, and of few atoms and many; and through the calculator."""
    for repeats in (1, 6):
        atoms = bulk("Cu", cubic=True) * repeats
        atoms.positions[1] = atoms.positions[0] + atoms.cell[1] - atoms.cell[2]
        forces = np.zeros((len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=forces)
        ase.io.write(tmp_path / "set.traj", atoms)
        with pytest.raises(
            ValueError,
            match=(
                r"structure 0 of .*set\.traj has its atoms 0 and 1 at one point; take one of"
                r" them out"
            ),
        ):
            from_file(tmp_path / "set.traj")
    torch.manual_seed(0)
    model: Any = Stored.make("ConservativePotential", {"species": [1, 8], **SMALL}).model
    water = molecule("H2O")
    water.calc = PotentialCalculator(model)
    assert np.isfinite(water.get_potential_energy())
    water.positions[2] = water.positions[1]
    with pytest.raises(
        ValueError,
        match="atoms 1 and 2 are at one point, where a force has no direction; move them apart",
    ):
        water.get_potential_energy()


def test_what_training_and_evaluation_say(tmp_path: Path, cli: Command, cases: Path) -> None:
    small = json.dumps(SMALL).replace('"', "").replace(":", " =")
    quick = (
        "--set",
        f"model.hyperparameters={small}",
        "--set",
        "n_updates=2",
        "--set",
        "validate_every=2",
        "--set",
        "compile=false",
    )
    out = cli("train", "extxyz", "--data", cases / "slab_stress.xyz", *quick, "-o", "run")
    assert out.code == 0, out.err
    said = "of 30 structures that are not periodic in all directions"
    assert f"stress left out {said}" in " ".join(out.out.split())
    assert said in Path("run/report.html").read_text()
    told = json.loads(
        cli("evaluate", "run/best.safetensors", cases / "slab_stress.xyz", "--json").out
    )
    assert told["labels"]["stress left out"] == said
    out = cli(
        "train", "extxyz", "--data", cases / "stress_kbar.xyz", *quick, "-o", "other", "--dry-run"
    )
    assert "warning: stresses do not fit the energies" in out.err
    out = cli(
        "train",
        "extxyz",
        "--data",
        cases / "stress_kbar.xyz",
        *quick,
        "-o",
        "other",
        "--dry-run",
        "--set",
        "data.stress_unit=kbar",
        "--set",
        "data.stress_sign=-1",
    )
    assert (out.code, "warning" in out.err) == (0, False)
    for key in (
        "data.labels=plain",
        "data.energy=energy",
        "data.stress_unit=GPa",
        "data.stress_sign=-1",
    ):
        out = cli("train", "charged-force", "--set", key, "--dry-run")
        assert out.code == 2
        words = (
            "a task that is unrolled has no key 'data.{}', which is of one that is energy-forces"
        )
        assert words.format(key.partition(".")[2].partition("=")[0]) in " ".join(out.err.split())

"""What was trained on is known: however a file was changed, moved, copied or converted, no trained
structure is scored as a test."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from mcegnn.cli.app import app
from mcegnn.data.assembly import join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.identity import _lengths, keys, known, same
from mcegnn.data.label_targets import with_labels
from mcegnn.data.labelled import from_file
from mcegnn.data.split import random_split
from mcegnn.data.trained import difference, parts_of
from mcegnn.models.store import Stored, load, save
from mcegnn.training import prediction
from mcegnn.training.trainer import Trainer

Command = Callable[..., Any]
SMALL = "{n_features = 4, n_channels = [2, 2], n_layers = 1, n_radial = 4, cutoff = 3.5}"
QUICK = ("--set", "n_updates=4", "--set", "validate_every=2", "--set", "compile=false", "--quiet")


def labelled(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    atoms.calc = SinglePointCalculator(
        atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
    )
    return atoms


def frames(n: int, seed: int = 0) -> list[Atoms]:
    """Crystals and clusters, each of an energy of its own, by which a test knows it again."""
    made, stream = [], np.random.default_rng(seed)
    for k in range(n):
        atoms = bulk("Cu", cubic=True) if k % 2 else bulk("Au", cubic=True)
        atoms.set_pbc(k % 4 != 3)
        atoms.positions += 0.08 * stream.normal(size=(4, 3))
        atoms.set_cell(
            atoms.cell @ (np.eye(3) + 0.02 * stream.normal(size=(3, 3))), scale_atoms=True
        )
        made.append(labelled(atoms))
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.xyz, of which run/ was trained on 20, and 5 chose the weights; 7 are left.
    half/ was stopped half way."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ase.io.write("data.xyz", frames(32))
        command = [
            "train",
            "extxyz",
            "--data",
            "data.xyz",
            "--set",
            f"model.hyperparameters={SMALL}",
            *QUICK,
            "--set",
            "data.n_train=20",
            "--set",
            "data.n_validation=5",
        ]
        assert CliRunner().invoke(app, [*command, "-o", "run"]).exit_code == 0
        validated = Trainer.run

        def first(trainer: Trainer, *stop: Any) -> Iterator[Any]:
            yield next(validated(trainer, *stop))
            raise KeyboardInterrupt

        patch.setattr(Trainer, "run", first)
        assert CliRunner().invoke(app, [*command, "-o", "half"]).exit_code == 130
    return folder


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of the folder, in which a test may change what it likes."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def scored(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[dict[str, Any], list[float]]]:
    """What `mcegnn evaluate` says, and the energies of the structures that it scored."""
    looked: list[Dataset] = []
    differences = prediction.differences

    def spied(model: Any, structures: Dataset, *more: Any) -> Any:
        looked.append(structures)
        return differences(model, structures, *more)

    monkeypatch.setattr(prediction, "differences", spied)

    def evaluate(*arguments: Any) -> tuple[dict[str, Any], list[float]]:
        out = cli("evaluate", *arguments, "--json")
        assert out.code == 0, out.err
        return json.loads(out.out), looked.pop()["energy"].tolist()

    return evaluate


def taught() -> list[float]:
    """Energies of the 25 structures that run/ was trained on or chosen by, in which labels of the
    32 are the first of their kind."""
    every = join_datasets([from_file("data.xyz")])
    parts = random_split(every, 20, 5, 0)
    return [*parts.train["energy"], *parts.validation["energy"]]


def shared(energies: list[float], others: list[float]) -> int:
    """How many energies are among others, to rounding."""
    return int((abs(np.subtract.outer(energies, others)) < 2e-5).any(1).sum())


def to_database(name: str, atoms: list[Atoms]) -> None:
    with connect(name) as database:
        for one in atoms:
            database.write(one)


def moved(atoms: list[Atoms], seed: int = 1) -> list[Atoms]:
    """The same structures elsewhere: turned, shifted, wrapped or unwrapped, atoms in another
    order."""
    found, stream = [], np.random.default_rng(seed)
    for one in atoms:
        turn = Rotation.random(rng=stream).as_matrix()
        order, other = stream.permutation(len(one)), one.copy()
        other.set_cell(one.cell @ turn)
        other.positions = (one.positions @ turn + stream.normal(size=3))[:]
        other.positions += (
            np.where(one.pbc, stream.integers(-2, 3, (len(one), 3)), 0) @ other.cell[:]
        )
        other = other[order]
        other.calc = SinglePointCalculator(
            other, energy=one.get_potential_energy(), forces=(one.get_forces() @ turn)[order]
        )
        found.append(other)
    return found


def rounded(atoms: list[Atoms], single: bool) -> list[Atoms]:
    for one in atoms:
        x, cell = one.positions, one.cell[:]
        one.positions = x.astype(np.float32) if single else x.round(4)
        one.cell[:] = cell.astype(np.float32) if single else cell.round(4)
        one.calc = SinglePointCalculator(
            one, **one.calc.results
        )  # which knows them as they are now
    return atoms


def shuffled(atoms: list[Atoms]) -> list[Atoms]:
    return [atoms[k] for k in np.random.default_rng(3).permutation(len(atoms))]


#: how the file that is evaluated comes about, and how many structures there are to score
WAYS: dict[str, tuple[Callable[[list[Atoms]], Any], str, int]] = {
    "as it was": (lambda atoms: None, "data.xyz", 7),
    "by another name": (lambda atoms: Path("data.xyz").rename("other.xyz"), "other.xyz", 7),
    "a copy in a folder": (
        lambda atoms: (Path("in").mkdir(), shutil.copy("data.xyz", "in")),
        "in/data.xyz",
        7,
    ),
    "appended": (lambda atoms: ase.io.write("data.xyz", atoms + frames(6, seed=9)), "data.xyz", 13),
    "shuffled": (lambda atoms: ase.io.write("data.xyz", shuffled(atoms)), "data.xyz", 7),
    "as a database": (lambda atoms: to_database("data.db", atoms), "data.db", 7),
    "as a trajectory": (lambda atoms: ase.io.write("data.traj", atoms), "data.traj", 7),
    "a part of it": (lambda atoms: ase.io.write("part.xyz", atoms[::2]), "part.xyz", -1),
    "eight decimals": (
        lambda atoms: ase.io.write("copy.xyz", ase.io.read("data.xyz", ":")),
        "copy.xyz",
        7,
    ),
    "four decimals": (
        lambda atoms: ase.io.write("round.xyz", rounded(atoms, False)),
        "round.xyz",
        7,
    ),
    "single precision": (
        lambda atoms: ase.io.write("single.traj", rounded(atoms, True)),
        "single.traj",
        7,
    ),
    "moved and turned": (lambda atoms: ase.io.write("moved.xyz", moved(atoms)), "moved.xyz", 7),
    "other labels": (
        lambda atoms: ase.io.write("half.xyz", [labelled(one) for one in atoms]),
        "half.xyz",
        7,
    ),
    "duplicated": (lambda atoms: ase.io.write("twice.xyz", atoms + atoms), "twice.xyz", 14),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_trained_on_is_scored(home: Path, scored: Any, way: str) -> None:
    make, name, n = WAYS[way]
    seen = taught()
    make(ase.io.read("data.xyz", ":"))
    said, energies = scored("run/best.safetensors", name)
    assert shared(energies, seen) == 0
    assert n in (-1, said["structures"])
    assert said["structures"] == len(energies) > 0
    assert said["part"] == "test"
    left = said["left_out"]
    if way != "as it was":
        assert (
            said["structures"] + left["trained on"] + left["chose the best weights"] == said["of"]
        )


def test_only_what_was_trained_on(home: Path, cli: Command) -> None:
    every = ase.io.read("data.xyz", ":")
    seen = taught()
    ase.io.write(
        "seen.xyz", [atoms for atoms in every if shared([atoms.get_potential_energy()], seen)]
    )
    out = cli("evaluate", "run/best.safetensors", "seen.xyz")
    assert out.code == 2
    assert (
        "all 25 structures of seen.xyz were trained on or chose the weights, so nothing of it is"
        " left to test" in out.err
    )
    table = " ".join(cli("evaluate", "run/best.safetensors", "data.xyz").out.split())
    assert "scored test structures, 7 of 32 in data.xyz" in table
    shutil.copy("data.xyz", "copy.xyz")
    table = " ".join(cli("evaluate", "run/best.safetensors", "copy.xyz").out.split())
    assert (
        "scored test structures, 7 of 32 in copy.xyz left out 20 trained on, 5 chose the best"
        " weights" in table
    )


def test_a_child_knows_what_its_parent_was_trained_on(
    home: Path, cli: Command, scored: Any
) -> None:
    """By the parent's own test, which the child may know, and in the child's training and its
    grandchild's too."""
    seen = taught()
    ase.io.write("more.xyz", frames(20, seed=9))
    tune = ("train", "extxyz", "--set", "model.hyperparameters={}", *QUICK)
    assert (
        cli(*tune, "--data", "more.xyz", "--from", "run/best.safetensors", "-o", "child").code == 0
    )
    said, energies = scored("child/best.safetensors", "data.xyz")
    assert (said["structures"], shared(energies, seen)) == (7, 0)
    assert said["left_out"] == {"trained on, or chose weights, of the model it began from": 25}
    # trained on with the parent's data: what was the parent's does not become a test of the child's
    again = (
        "--data",
        "data.xyz",
        "--from",
        "child/best.safetensors",
        "--set",
        "data.seed=5",
        "--set",
        "data.n_train=8",
    )
    out = cli(*tune[:-1], *again, "--set", "data.n_validation=2", "-o", "grandchild")
    assert out.code == 0, out.err
    assert "that the model it begins from was trained on or chosen by" in " ".join(out.out.split())
    said, energies = scored("grandchild/best.safetensors", "data.xyz")
    assert shared(energies, seen) == 0
    assert 0 < said["structures"] <= 7
    said, energies = scored("grandchild/best.safetensors", "more.xyz")
    child = load("child/best.safetensors").trained
    assert (
        shared(
            energies,
            from_file("more.xyz")
            .take(known(from_file("more.xyz"), child["train"]))["energy"]
            .tolist(),
        )
        == 0
    )
    assert said["structures"] == 20 - len(child["train"]) - len(child["validation"])


def test_of_a_model_that_does_not_tell_it_is_said(home: Path, cli: Command, scored: Any) -> None:
    kept = load("run/best.safetensors")
    save(replace(kept, trained={}), "old.safetensors")
    shutil.copy("data.xyz", "copy.xyz")
    assert (
        scored("old.safetensors", "copy.xyz")[0]["structures"] == 7
    )  # by the digest of what it was trained on
    ase.io.write("copy.xyz", ase.io.read("data.xyz", ":")[::-1])
    said, energies = scored("old.safetensors", "copy.xyz")
    assert said["structures"] == 32
    assert (
        said["labels"]["trained on"]
        == "the model's file does not tell all of it, so that what is scored may hold some"
    )
    said, energies = scored("old.safetensors", "data.xyz")  # by its path and the numbers it holds
    assert shared(energies, taught()) == 0
    assert "trained on" not in said["labels"]
    out = cli(
        "train",
        "extxyz",
        "--data",
        "data.xyz",
        "--from",
        "old.safetensors",
        "-o",
        "child",
        "--set",
        "model.hyperparameters={}",
        *QUICK[:-1],
    )
    assert (
        "may hold what the model it begins from was trained on, of which its file does not tell"
        in " ".join(out.out.split())
    )
    assert "trained on" in scored("child/best.safetensors", "copy.xyz")[0]["labels"]


def turned_signs(atoms: list[Atoms]) -> list[Atoms]:
    for one in atoms:
        one.calc.results["forces"] *= -1.0
    return atoms


CHANGED: dict[str, tuple[Callable[[list[Atoms]], list[Atoms]], str]] = {
    "signs of forces": (turned_signs, "the labels of 25 of its 25 structures changed"),
    "appended": (lambda atoms: atoms + frames(3, seed=9), "training structures and "),
    "removed": (lambda atoms: atoms[:-2], "training structures and "),
    "others": (
        lambda atoms: frames(32, seed=5),
        "20 of 20 training structures and 5 of 5 validation structures are other ones",
    ),
    "shuffled": (lambda atoms: atoms[::-1], "training structures and "),
}


@pytest.mark.parametrize("way", CHANGED)
def test_a_training_does_not_go_on_with_other_data(home: Path, refuse: Command, way: str) -> None:
    change, words = CHANGED[way]
    ase.io.write("data.xyz", change(ase.io.read("data.xyz", ":")))
    said = f"the data of data.xyz are not those this training began with: {words}"
    refuse(
        words if words.startswith("training structures") else said,
        "train",
        "--resume",
        "half",
        "--quiet",
    )
    refuse("are not those this training began with", "report", "run", "--force")


def test_a_training_goes_on_with_its_own_data(home: Path, cli: Command) -> None:
    """Also where they were written anew, with the same numbers."""
    ase.io.write("data.xyz", ase.io.read("data.xyz", ":"))
    out = cli("train", "--resume", "half", "--quiet")
    assert out.code == 0, out.err
    for name, weight in load("half/best.safetensors").model.state_dict().items():
        np.testing.assert_array_equal(weight, load("run/best.safetensors").model.state_dict()[name])
    kept = load("half/best.safetensors").trained
    assert {name: len(numbers) for name, numbers in kept.items()} == {
        "train": 20,
        "validation": 5,
        "before": 0,
    }
    assert all(numbers.dtype == np.uint64 for numbers in kept.values())


def of_frames(atoms: list[Atoms]) -> Dataset:
    """Structures of ASE's atoms, without labels."""
    parts = [
        with_labels(
            Dataset(
                np.array([0, len(one)]),
                one.numbers,
                one.positions,
                cell=np.array(one.cell)[None],
                pbc=one.pbc[None],
            ),
            energy=np.zeros(1),
            forces=np.zeros((len(one), 3)),
        )
        for one in atoms
    ]
    return join_datasets(parts)


def drawn(stream: np.random.Generator) -> Atoms:
    """Any atoms in any box: molecules, wires, slabs and crystals, skewed and left-handed, some with
    one element alone."""
    n = int(stream.integers(1, 30))
    cell = stream.normal(size=(3, 3)) * 3 + np.diag(stream.choice([-9.0, 9.0, 12.0], 3))
    pbc = stream.choice(
        [(False, False, False), (True, True, True), (True, True, False), (False, True, False)]
    )
    numbers = stream.choice([1, 6, 8, 29], n) if stream.random() < 0.7 else np.full(n, 14)
    return Atoms(numbers, positions=stream.random((n, 3)) @ cell, cell=cell, pbc=pbc)


def carried(atoms: Atoms, stream: np.random.Generator) -> Atoms:
    """The same structure elsewhere; a wire is not turned."""
    other = atoms.copy()
    turn = np.eye(3) if atoms.pbc.sum() == 1 else Rotation.random(rng=stream).as_matrix()
    other.set_cell(atoms.cell[:] @ turn)
    other.positions = atoms.positions @ turn + stream.normal(size=3) * 3
    other.positions += (
        np.where(atoms.pbc, stream.integers(-2, 3, (len(atoms), 3)), 0) @ other.cell[:]
    )
    other = other[stream.permutation(len(atoms))]
    if stream.random() < 0.5:
        other.positions, other.cell[:] = other.positions.round(4), other.cell[:].round(4)
    return other


def differs(one: Atoms, other: Atoms) -> bool:
    """Whether distances between atoms do, by more than what numbers of structures can tell."""
    apart = [
        np.sort(atoms.get_all_distances(mic=bool(atoms.pbc.any())).ravel())
        for atoms in (one, other)
    ]
    return bool(abs(apart[0] - apart[1]).max() > 0.05)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_same_structures_are_known_and_no_others(seed: int) -> None:
    stream = np.random.default_rng(seed)
    every = [drawn(stream) for _ in range(20)]
    kept = keys(of_frames(every))
    assert known(of_frames([carried(atoms, stream) for atoms in every]), kept).all()
    others = []
    for atoms in every:
        others.append(atoms.copy())
        others[-1].positions[0] += 0.1 * stream.normal(size=3) + [0.1, 0.0, 0.0]
    # a single atom is the same wherever it is, and a pair that is only turned
    differ = np.array([differs(atoms, other) for atoms, other in zip(every, others, strict=True)])
    found = known(of_frames(others), kept)
    # lengths that are told to a box of 0.004 Angstrom may hardly feel one atom of thirty that moves
    # across: once in some ten thousand structures
    felt = (abs(_lengths(of_frames(others)) - _lengths(of_frames(every))) > 0.01).any(1)
    assert not found[felt].any()
    assert (found & differ).sum() <= 1
    changed = [atoms.copy() for atoms in every]
    for atoms in changed:
        atoms.numbers[-1] = 47
    assert not known(of_frames(changed), kept).any()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(0, 8))
def test_copies_are_never_cut_apart(seed: int, n_train: int, n_validation: int) -> None:
    stream = np.random.default_rng(seed)
    own = [drawn(stream) for _ in range(24)]
    own = [atoms for atoms in own if len(atoms) > 1]
    which = np.concatenate([np.arange(len(own)), stream.integers(0, len(own), 8)])
    every = of_frames([carried(own[k], stream) for k in which])
    copies = same(every)
    assert np.array_equal(which[copies], which)
    assert len(np.unique(copies)) == len(own)
    n_train = min(n_train, len(own) - n_validation)
    every = every.with_values(energy=which.astype(float))
    parts = random_split(every, n_train, n_validation, seed, copies)
    sets = [set(part["energy"]) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, sets)) == len(own)
    assert sum(map(len, (parts.train, parts.validation, parts.test))) == len(which)
    assert len(parts.train) >= n_train
    assert len(parts.validation) >= n_validation
    alone = random_split(every.take(slice(0, len(own))), n_train, n_validation, seed)
    again = random_split(
        every.take(slice(0, len(own))), n_train, n_validation, seed, np.arange(len(own))
    )
    assert alone.train["energy"].tolist() == again.train["energy"].tolist()


def test_an_empty_part_has_no_numbers() -> None:
    none = of_frames([molecule("H2O")]).take(slice(0, 0))
    assert (
        len(keys(none))
        == len(same(none))
        == len(known(none, keys(of_frames([molecule("H2O")]))))
        == 0
    )


def test_what_had_two_parts_counts_once() -> None:
    """A structure that a model was trained on, as the one was that it began from."""
    some = of_frames([molecule("H2O"), molecule("CH4"), molecule("NH3")])
    numbers = keys(some)
    parts = dict(
        parts_of(some, {"train": numbers[:1], "validation": numbers[1:2], "before": numbers[:2]})
    )
    assert [those.tolist() for those in parts.values()] == [
        [True, False, False],
        [False, True, False],
        [False, False, False],
    ]


def test_how_data_differ_is_said() -> None:
    """The same structures in another order or with others beside them are not those that a training
    began with."""
    was = {"train": np.arange(3), "validation": np.arange(3, 5), "labels": np.arange(5)}
    assert difference(was, was) == ""
    assert "2 of 3 training structures and 0 of 2 validation" in difference(
        was, {**was, "train": np.array([0, 7, 8])}
    )
    for others in (
        {"train": np.array([1, 0, 2])},
        {"validation": np.array([4, 3])},
        {"train": np.array([0, 1, 2, 9])},
    ):
        assert (
            difference(was, {**was, **others})
            == "its structures are other ones too, or in another order"
        )
    assert (
        difference(was, {**was, "labels": np.array([0, 1, 9, 3, 4])})
        == "the labels of 1 of its 5 structures changed"
    )


def test_models_without_numbers_are_as_they_were(tmp_path: Path) -> None:
    made = Stored.make(
        "ConservativePotential",
        {"species": [1], "n_features": 4, "n_channels": [2, 2], "n_layers": 1},
    )
    save(made, tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").trained == {}

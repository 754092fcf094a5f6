"""Training a potential on labelled structures: batches, gradients, fine-tuning, and the commands
around it."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mcegnn.data.dataset import Dataset
from mcegnn.data.labelled import from_file
from mcegnn.data.split import Split, random_split
from mcegnn.models.potential import ConservativePotential
from mcegnn.models.store import Stored, load
from mcegnn.tasks.potential_model import potential
from mcegnn.training import energies_forces
from mcegnn.training.checkpoint import checkpoint
from mcegnn.training.compilation import compiled
from mcegnn.training.energies_forces import EnergiesForces, step_of
from mcegnn.training.options import TrainingOptions, parse
from mcegnn.training.prediction import measures, predicted
from mcegnn.training.prepared import Prepared
from mcegnn.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {
    "n_features": 8,
    "n_channels": [3, 2],
    "n_couplings": 2,
    "n_layers": 2,
    "n_radial": 5,
    "cutoff": 4.0,
}


def labelled(atoms: Atoms, stress: bool = False) -> Atoms:
    """By ASE's effective medium theory."""
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if stress:
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def clusters(n: int, seed: int = 0) -> list[Atoms]:
    """Of copper and oxygen, three to five atoms."""
    stream = np.random.default_rng(seed)
    made = []
    for k in range(n):
        size = 3 + k % 3
        x = (
            2.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])[:size]
            + stream.normal(size=(size, 3)) * 0.15
        )
        made.append(labelled(Atoms("Cu" * (size - 1) + "O", x)))
    return made


def crystals(n: int, seed: int = 0) -> list[Atoms]:
    stream = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(
            atoms.cell @ (np.eye(3) + 0.03 * stream.normal(size=(3, 3))), scale_atoms=True
        )
        atoms.positions += 0.1 * stream.normal(size=atoms.positions.shape)
        made.append(labelled(atoms, stress=True))
    return made


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Tiny models run in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with clusters and crystals."""
    ase.io.write(tmp_path / "clusters.xyz", clusters(30))
    ase.io.write(tmp_path / "crystals.xyz", crystals(12))
    return tmp_path


def options(**changes: Any) -> TrainingOptions:
    values: dict[str, Any] = {
        "data": {"name": "clusters.xyz", "n_train": 20, "n_validation": 5},
        "model": {"kind": "ConservativePotential", "hyperparameters": SMALL},
        "task": {"kind": "energy-forces"},
        "n_updates": 20,
        "batch": 4,
        "warmup": 2,
        "validate_every": 10,
        "ema": 0.9,
        "precision": "float64",
    }
    return parse({**values, **changes})


def task(
    structures: Dataset, chosen: TrainingOptions
) -> tuple[EnergiesForces, ConservativePotential]:
    torch.manual_seed(0)
    model: Any = potential(chosen, structures).model.double()
    return EnergiesForces(chosen, Split(structures, structures, structures), model), model


def test_a_batch_says_of_each_structure_what_it_says_alone(files: Path) -> None:
    """Structures of three sizes side by side, with places that some of them leave empty."""
    structures = from_file(files / "clusters.xyz")
    _, model = task(structures, options())
    which = np.array([7, 2, 9, 0])
    batch = Prepared(structures, model, torch.float64, CPU).batch(which)
    said = predicted(model, batch)
    alone = [model(structures.system(k)) for k in which]
    reference = [
        model.reference_energies[model.kinds(structures.system(k).species)].sum() for k in which
    ]
    np.testing.assert_allclose(
        said.energies.detach().numpy() + np.array(reference),
        [one.energy for one in alone],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        said.forces.detach(), np.concatenate([one.forces for one in alone]), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        batch.energies.numpy() + np.array(reference), structures["energy"][which], rtol=1e-12
    )
    np.testing.assert_array_equal(
        batch.forces, np.concatenate([structures.take(np.array([k]))["forces"] for k in which])
    )


def test_stresses_of_a_batch_of_crystals(files: Path) -> None:
    structures = from_file(files / "crystals.xyz")
    _, model = task(structures, options())
    batch = Prepared(structures, model, torch.float64, CPU).batch(np.array([3, 1]))
    said = predicted(model, batch).stresses.detach()
    for got, k in zip(said, (3, 1), strict=True):
        stress = model(structures.system(k)).stress
        np.testing.assert_allclose(got, stress, rtol=0, atol=1e-12 * abs(stress).max())


@pytest.mark.parametrize("file", ["clusters.xyz", "crystals.xyz"])
def test_gradients_are_the_slopes_of_the_loss(files: Path, file: str) -> None:
    """Of energies, forces and stresses together, by differences, for a few weights of each
    tensor."""
    structures = from_file(files / file)
    work, model = task(
        structures,
        options(task={"kind": "energy-forces", "energy_weight": 0.7, "stress_weight": 5.0}),
    )
    which, weights = np.array([1, 4, 6]), list(model.parameters())

    def loss() -> float:
        model.zero_grad()
        return work.accumulate(model, which, 0)

    loss()
    gradients = [weight.grad.clone() for weight in weights if weight.grad is not None]
    assert len(gradients) == len(weights)
    stream = np.random.default_rng(0)
    for weight, gradient in zip(weights, gradients, strict=True):
        at, h = tuple(stream.integers(n) for n in weight.shape), 1e-5
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[at] += sign * h
            ends.append(loss())
            with torch.no_grad():
                weight[at] -= sign * h
        np.testing.assert_allclose((ends[0] - ends[1]) / 2 / h, gradient[at], rtol=1e-4, atol=1e-8)


def test_atoms_that_fill_a_batch_up_change_nothing(files: Path) -> None:
    structures = from_file(files / "clusters.xyz")
    chosen = options(task={"kind": "energy-forces", "stress_weight": 1.0})
    _, model = task(structures, chosen)
    prepared, step, which = (
        Prepared(structures, model, torch.float64, CPU),
        step_of(model, chosen),
        np.array([3, 8, 1]),
    )
    weights: list[torch.Tensor] = list(model.parameters())
    plain, filled = prepared.batch(which), prepared.batch(which, 20)
    assert len(plain.owner) < len(filled.owner) == 20
    for got, wanted in zip(step(weights, filled), step(weights, plain), strict=True):
        np.testing.assert_allclose(
            got, wanted, rtol=0, atol=1e-13 * max(1.0, float(wanted.abs().max()))
        )


def test_gradients_add_up(files: Path) -> None:
    work, model = task(from_file(files / "clusters.xyz"), options())
    which = np.array([1, 2])
    work.accumulate(model, which, 0)
    once = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    work.accumulate(model, which, 0)
    for weight, gradient in zip(model.parameters(), once, strict=True):
        np.testing.assert_allclose(weight.grad, 2 * gradient, rtol=1e-12)


def test_a_compiled_step_is_the_step(files: Path) -> None:
    """Where there is no compiler it is the step itself, and says so."""
    structures = from_file(files / "crystals.xyz")
    chosen = options(task={"kind": "energy-forces", "stress_weight": 1.0})
    _, model = task(structures, chosen)
    prepared, step = Prepared(structures, model, torch.float64, CPU), step_of(model, chosen)
    weights: list[torch.Tensor] = list(model.parameters())
    made, why = compiled(step, weights, prepared.batch(np.array([0, 1]), 10))
    assert (made is step) == bool(why)
    other = prepared.batch(np.array([5, 2]), 10)
    for got, wanted in zip(made(weights, other), step(weights, other), strict=True):
        np.testing.assert_allclose(
            got, wanted, rtol=0, atol=1e-12 * max(1.0, float(wanted.abs().max()))
        )


def test_training_learns(files: Path) -> None:
    structures = random_split(from_file(files / "clusters.xyz"), 24, 5, 0)
    chosen = options(n_updates=150, lr=1e-2, validate_every=150)
    torch.manual_seed(0)
    stored = potential(chosen, structures.train)
    before = (
        measures(stored.model, structures.test)
        if len(structures.test)
        else measures(stored.model, structures.validation)
    )
    trainer = Trainer(stored, structures, chosen)
    (end,) = trainer.run()
    after = measures(trainer.best, structures.test)
    assert after["force_mae"] < 0.5 * before["force_mae"]
    assert end.parts["forces"] == pytest.approx(
        measures(trainer.average, structures.validation)["force_mae"], rel=0.2
    )


def test_measures_are_those_of_plain_numpy(files: Path) -> None:
    structures = from_file(files / "crystals.xyz")
    _, model = task(structures, options())
    said = [model(structures.system(k)) for k in range(len(structures))]
    energy = np.array([one.energy for one in said]) - structures["energy"]
    force = np.concatenate([one.forces for one in said]) - structures["forces"]
    stress = np.stack([one.stress for one in said]) - structures["stress"]
    found = measures(model, structures)
    wanted = {
        "energy_mae": abs(energy).mean(),
        "energy_rmse": (energy**2).mean() ** 0.5,
        "energy_per_atom_mae": abs(energy).mean() / 4,
        "force_mae": abs(force).mean(),
        "force_rmse": (force**2).mean() ** 0.5,
        "force_mae_Cu": abs(force).mean(),
        "stress_mae": abs(stress).mean(),
    }
    assert found == pytest.approx(wanted, rel=1e-9)


def test_what_the_data_decide(files: Path) -> None:
    structures = from_file(files / "clusters.xyz")
    made: Any = potential(options(), structures).model
    assert made.species == (8, 29)
    assert not made.periodic
    assert made.scale == pytest.approx((structures["forces"] ** 2).mean() ** 0.5)
    pairs = [
        np.linalg.norm(x[:, None] - x, axis=-1) < 4.0
        for x in (structures.system(k).positions for k in range(len(structures)))
    ]
    near = sum(p.sum() - len(p) for p in pairs) / structures.starts[-1]
    assert made.network.n_neighbors == pytest.approx(near)
    composition = structures.composition([8, 29])
    left = structures["energy"] - composition @ made.reference_energies
    np.testing.assert_allclose(composition.T @ left, 0, atol=1e-8)  # least squares
    assert potential(options(), from_file(files / "crystals.xyz")).hyperparameters["periodic"]


def test_fine_tuning_starts_where_the_other_model_ends(files: Path) -> None:
    """Data whose energies count from elsewhere: the weights are kept, the reference energies
    follow."""
    structures = from_file(files / "clusters.xyz")
    chosen = options()
    torch.manual_seed(0)
    first = potential(chosen, structures)
    first.model.double()
    shifted = from_file(files / "clusters.xyz")
    shifted["energy"][:] += shifted.composition([8, 29]) @ np.array([-2000.0, 30.0])
    other: Any = potential(chosen, shifted, first).model
    for one, two in zip(first.model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach(), two.detach())
    before = measures(first.model, structures)["energy_mae"]
    after = measures(other, shifted)["energy_mae"]
    assert after <= before * 1.0001 + 1e-9


Command = Callable[..., Any]


def arguments(*more: str) -> list[str]:
    small = (
        json.dumps(SMALL)
        .replace(":", " =")
        .replace('"n', "n")
        .replace('" =', " =")
        .replace('"cutoff', "cutoff")
    )
    return [
        "train",
        "extxyz",
        "--data",
        "clusters.xyz",
        "-o",
        "run",
        "--set",
        f"model.hyperparameters={small}",
        "--set",
        "n_updates=8",
        "--set",
        "validate_every=4",
        "--set",
        "warmup=2",
        "--set",
        "compile=false",
        "--set",
        "data.n_train=20",
        "--set",
        "data.n_validation=5",
        *more,
    ]


def test_train_evaluate_and_go_on(files: Path, cli: Command, same_scores: Command) -> None:
    out = cli(*arguments())
    assert out.code == 0
    assert "training structures" in out.out
    assert "test, forces" in out.out
    said = json.loads(cli("evaluate", "run/best.safetensors", "clusters.xyz", "--json").out)
    assert said["structures"] == 5
    kept = load("run/best.safetensors")
    assert (
        said["force_mae"]
        == measures(kept.model, random_split(from_file("clusters.xyz"), 20, 5, 0).test)["force_mae"]
    )
    assert kept.hyperparameters["species"] == [8, 29]
    rows = Path("run/metrics.csv").read_text().splitlines()
    assert rows[0].startswith("update,loss,error,median,best,lr,seconds,starting,forces,energy")
    assert len(rows) == 3
    assert (said["of"], said["part"]) == (30, "test")
    rows = same_scores(out, "run/best.safetensors", "clusters.xyz")
    assert rows[0] == "scored test structures, 5 of 30 in clusters.xyz"
    assert f"test, forces {1e3 * said['force_mae']:.5g} meV/Angstrom, mean absolute error" in rows
    # by another name it is the same file; another file is scored whole
    other = json.loads(
        cli("evaluate", "run/best.safetensors", Path("clusters.xyz").absolute(), "--json").out
    )
    assert {**other, "seconds": 0.0} == {**said, "seconds": 0.0}
    ase.io.write("more.xyz", clusters(40)[30:])
    table = cli("evaluate", "run/best.safetensors", "more.xyz").out
    assert re.search(r"\nscored +all structures, 10 of 10 in more.xyz *\n", table)
    assert "test, forces" in table
    assert (
        json.loads(cli("evaluate", "run/best.safetensors", "more.xyz", "--json").out)["part"]
        == "all"
    )
    tuned = cli(
        "train",
        "extxyz",
        "--data",
        "clusters.xyz",
        "--from",
        "run/best.safetensors",
        "-o",
        "tuned",
        "--set",
        "n_updates=4",
        "--set",
        "model.hyperparameters={}",
        "--set",
        "data.n_validation=3",
        "--set",
        "compile=false",
    )
    assert tuned.code == 0, tuned.err
    assert load("tuned/best.safetensors").record["from"] == kept.record
    assert "began from" in cli("info", "tuned/best.safetensors").out


def test_compiling_is_said_before(
    files: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is long before anything else can be said."""
    monkeypatch.setattr(energies_forces, "compiled", lambda step, weights, batch: (step, ""))
    assert (
        cli(*arguments("--set", "compile=true")).err
        == "the first update compiles, which takes a minute or more\n"
    )
    assert cli(*arguments("--set", "compile=true", "--force", "--quiet")).err == ""
    assert cli(*arguments("--force")).err == ""


def test_a_resumed_run_knows_how_it_began(
    files: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By which command, and from which model; it ends after the first of its validations, as by
    Ctrl-C."""
    assert cli(*arguments()).code == 0
    kept = load("run/best.safetensors").record
    tune = (
        "train",
        "extxyz",
        "--data",
        "clusters.xyz",
        "--from",
        "run/best.safetensors",
        "--set",
        "model.hyperparameters={}",
        "--set",
        "data.n_validation=3",
        "--set",
        "compile=false",
        "--set",
        "validate_every=4",
        "--set",
        "n_updates=8",
    )
    validated = Trainer.run

    def first(trainer: Trainer, *stop: Any) -> Any:
        yield next(validated(trainer, *stop))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", first)
        patch.setattr("sys.argv", ["mcegnn", *tune])
        assert cli(*tune, "-o", "tuned").code == 130
    assert len(Path("tuned/metrics.csv").read_text().splitlines()) == 2
    assert cli("train", "--resume", "tuned").code == 0
    assert len(Path("tuned/metrics.csv").read_text().splitlines()) == 3
    record = load("tuned/best.safetensors").record
    assert record["from"] == kept
    assert record["command"] == shlex.join(["mcegnn", *tune])


def shaken(name: str) -> list[Atoms]:
    """Twenty molecules that differ."""
    frames = [molecule(name) for _ in range(20)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
    return [labelled(atoms) for atoms in frames]


def test_a_presets_sizes_yield_to_those_of_the_model_to_start_from(
    files: Path, cli: Command
) -> None:
    """Those that a user asks for do not: they are compared, also with what a model has by
    default."""
    ase.io.write("ethanol.xyz", shaken("CH3CH2OH"))
    start = (
        "train",
        "extxyz",
        "--data",
        "ethanol.xyz",
        "--from",
        "ethanol",
        "-o",
        "mine",
        "--dry-run",
    )
    told = json.loads(cli(*start).out)["model"]["hyperparameters"]
    shipped = load("ethanol").hyperparameters
    decided = ("reference_energies", "repulsion", "nearest", "fewest")
    assert {name: value for name, value in told.items() if name not in decided} == {
        name: value for name, value in shipped.items() if name not in decided
    }
    for name, value in (("cutoff", 4.5), ("smoothness", 0.125), ("n_couplings", 3)):
        out = cli(*start, "--set", f"model.hyperparameters.{name}={value}")
        assert out.code == 2
        assert f"{name} = {shipped[name]}, not {value}; leave it out" in out.err


def test_a_dry_run_shows_what_the_data_decide(files: Path, cli: Command) -> None:
    out = cli(*arguments("--dry-run"))
    assert out.code == 0
    told = json.loads(out.out)
    assert told["model"]["hyperparameters"]["species"] == [8, 29]
    assert parse(told).data.name == "clusters.xyz"
    for words in (
        "training structures",
        "nearest in training",
        "labels",
    ):  # what is made of the labels, as before a training
        assert words in out.err
    assert not Path("run").exists()


def test_a_resumed_training_is_the_same_to_the_bit(files: Path, cli: Command) -> None:
    assert cli(*arguments()).code == 0
    whole = load("run/best.safetensors").model.state_dict()
    assert cli(*arguments("--set", "patience=0", "--force", "--quiet")).code == 0
    chosen = options()
    structures = random_split(from_file("clusters.xyz"), 20, 5, 0)
    torch.manual_seed(0)
    one = Trainer(potential(chosen, structures.train), structures, chosen)
    run = one.run()
    next(run)
    one.save(Path("half.checkpoint"))
    other = Trainer(potential(chosen, structures.train), structures, chosen)
    other.restore(*checkpoint(Path("half.checkpoint")))
    list(run), list(other.run())
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())
    for name, weight in load("run/best.safetensors").model.state_dict().items():
        np.testing.assert_array_equal(weight, whole[name])


def test_data_in_doubt_are_reported_before_training(files: Path, cli: Command) -> None:
    strange = crystals(12)
    for atoms in strange:
        atoms.calc.results["forces"] = atoms.calc.results["forces"] * 100.0
    ase.io.write("clusters.xyz", strange)
    out = cli(*arguments("--set", "data.n_train=8", "--set", "data.n_validation=2", "--dry-run"))
    assert out.code == 0
    assert "warning: " in out.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ["--set", "batch=21"],
            "20 structures to train on are fewer than a batch of 21; set batch to fewer",
        ),
        (["--data", "nothing.xyz"], "there is no file nothing.xyz"),
        (["--from", "charged-force"], "a potential cannot start from a LearnedForce"),
        (["--set", "data.n_train=400"], "400 structures to train on"),
        (
            ["--set", "model.kind=LearnedForce"],
            "trains a ConservativePotential or an UnconstrainedPotential or a ForeignPotential, not"
            " a LearnedForce",
        ),
        (["--set", "model.hyperparameters.cutof=3"], "did you mean cutoff?"),
        (["--set", "model.hyperparameters.species=[6]"], "the structures hold"),
        (
            ["--set", "model.hyperparameters.n_couplings=5"],
            "n_couplings is at most the fewest channels, and 0 with vectors alone: 0 to",
        ),
        (["--set", "model.hyperparameters.n_channels=[]"], "one to 3 numbers, not 0"),
        (
            ["--set", "model.hyperparameters.n_channels=[4, 0]"],
            "n_channels must be a whole number, at least 1, not 0",
        ),
        (
            ["--set", "model.hyperparameters.smoothness=-1"],
            "smoothness is a power between 0 and 2, not -1",
        ),
        (["--set", "model.hyperparameters.n_couplings=1.5"], "0 to 2, not 1.5"),
        (
            ["--set", "model.hyperparameters.n_features=8.5"],
            "n_features must be a whole number, at least 1, not 8.5",
        ),
        (
            ["--set", "model.hyperparameters.n_layers=true"],
            "n_layers must be a whole number, at least 1, not True",
        ),
        (
            ["--set", "model.hyperparameters.n_radial=0"],
            "n_radial must be a whole number, at least 1, not 0",
        ),
        (
            ["--set", "model.hyperparameters.cutoff=-1.0"],
            "the cutoff must be a positive number, not -1.0",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes(files: Path, cli: Command, change: list[str], said: str) -> None:
    out = cli(*arguments(*change))
    assert out.code == 2
    assert said in out.err
    assert not Path("run").exists()


def test_a_model_does_not_start_from_one_that_knows_other_species(
    files: Path, cli: Command
) -> None:
    assert cli(*arguments("--quiet")).code == 0
    ase.io.write("carbon.xyz", shaken("C2H2"))
    out = cli(
        "train",
        "extxyz",
        "--data",
        "carbon.xyz",
        "--from",
        "run/best.safetensors",
        "-o",
        "tuned",
        "--set",
        "model.hyperparameters={}",
    )
    assert out.code == 2
    assert "the model was not trained on H, C, only on O, Cu" in out.err


@pytest.mark.parametrize(("part", "place"), [("validation", 0), ("test", -1)])
def test_an_element_that_no_training_structure_holds(
    files: Path, cli: Command, part: str, place: int
) -> None:
    """It is refused before anything is trained, unless the model is told of it."""
    made = clusters(30)
    rare = made[np.random.Generator(np.random.Philox(0)).permutation(30)[place]]
    rare.numbers[0] = 47
    ase.io.write("clusters.xyz", made)
    out = cli(*arguments("--quiet"))
    assert (out.code, out.out) == (2, "")
    assert (
        f"the model was not trained on Ag, only on O, Cu; samples of the {part} hold such atoms:"
        " take them out" in out.err
    )
    assert not Path("run").exists()
    assert (
        cli(*arguments("--quiet", "--set", "model.hyperparameters.species=[8, 29, 47]")).code == 0
    )


def test_evaluation_of_data_with_unknown_species(files: Path, cli: Command) -> None:
    torch.manual_seed(0)
    from mcegnn.models.store import save

    save(Stored.make("ConservativePotential", {"species": [1], **SMALL}), "hydrogen.safetensors")
    out = cli("evaluate", "hydrogen.safetensors", "clusters.xyz")
    assert out.code == 2
    assert "the model was not trained on O, Cu, only on H" in out.err

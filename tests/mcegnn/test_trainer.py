"""The trainer: losses fall, the best weights are kept, and a run that was stopped goes on to the
same bits."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.data.assembly import dataset_of_pairs
from mcegnn.data.charged import frames
from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from mcegnn.models.store import Stored
from mcegnn.training import scoring
from mcegnn.training.checkpoint import checkpoint
from mcegnn.training.options import TrainingOptions, parse
from mcegnn.training.trainer import NotFinite, Progress, Trainer
from systems.potentials.coulomb import Coulomb
from systems.sources.charged import charged_systems
from systems.system import System
from trajectories.rollout import rollout

ONE_SHOT: dict[str, Any] = {
    "data": {"name": "charged"},
    "model": {
        "kind": "DirectDynamics",
        "hyperparameters": {"n_features": 8, "n_channels": 2, "n_layers": 2},
    },
    "task": {"kind": "direct"},
    "n_updates": 20,
    "batch": 8,
    "lr": 1e-3,
    "warmup": 5,
    "ema": 0.9,
    "validate_every": 5,
}
STAGE: dict[str, Any] = {
    "n_updates": 7,
    "batch": 10,
    "lr": 1e-2,
    "substeps": [5],
    "tolerance": 1e-2,
    "saturation": 1.0,
    "share": 0.5,
}
UNROLLED: dict[str, Any] = {
    "data": {"name": "charged"},
    "model": {
        "kind": "LearnedForce",
        "hyperparameters": {"n_features": 8, "n_layers": 2, "limit": 100.0},
    },
    "task": {
        "kind": "unrolled",
        "n_steps": 20,
        "lag": 0.0005,
        "stages": [
            STAGE,
            {**STAGE, "n_updates": 8, "substeps": [5, 10], "share": 1.0, "tolerance": 1e-8},
        ],
    },
    "warmup": 5,
    "clip": 0.1,
    "ema": 0.9,
    "validate_every": 1,
}
REFINED: dict[str, Any] = {
    **UNROLLED,
    "precision": "float64",
    "task": {
        **UNROLLED["task"],
        "refinement": {
            "n_updates": 6,
            "batch": 12,
            "integrator": "velocity-verlet",
            "substeps": 10,
        },
    },
}
TASKS = {"direct": ONE_SHOT, "unrolled": UNROLLED, "refined": REFINED}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These models are so small that threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def split() -> Split:
    """24, 8 and 8 samples of the benchmark's kind."""
    return Split.at(frames(charged_systems(40, seed=5)), 24, 32)


@pytest.fixture(params=TASKS)
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of every kind of task."""
    return TASKS[request.param]


def fresh(values: dict[str, Any], weights: int = 0) -> Stored:
    """A new model, its weights drawn with a seed of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights)
        return Stored.make(values["model"]["kind"], values["model"]["hyperparameters"])


def trainer_of(values: dict[str, Any], split: Split, weights: int = 0, **changes: Any) -> Trainer:
    return Trainer(fresh(values, weights), split, parse({**values, **changes}))


def bits(model: Any) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def whole(trainer: Trainer) -> dict[str, Any]:
    """Everything that learning changes, to the bit."""
    moments = trainer.optimizer.state_dict()["state"]
    return {
        **{name: bits(getattr(trainer, name)) for name in ("model", "average", "best")},
        "optimizer": {
            (k, name): value.numpy().tobytes()
            for k, of in moments.items()
            for name, value in of.items()
        },
        "task": {name: value.tobytes() for name, value in trainer.task.state().items()},
        "refinement": (
            {name: value.numpy().tobytes() for name, value in trainer.refinement.state().items()}
            if trainer.refinement
            else {}
        ),
        "counts": (trainer.update, trainer.best_error, trainer.since_best),
    }


def told(rows: list[Progress]) -> list[Progress]:
    """What was reported, but for the time it took."""
    return [replace(row, seconds=0.0, starting=0.0) for row in rows]


def test_loss_falls(values: dict[str, Any], split: Split) -> None:
    """To less than half, with enough updates for these few samples."""
    changes: dict[str, Any] = {"n_updates": 150, "warmup": 5, "lr": 1e-2, "validate_every": 10}
    if values is not ONE_SHOT:
        stage = {
            **STAGE,
            "n_updates": 60,
            "lr": 3e-2,
            "batch": 24,
            "share": 0.5,
            "saturation": 1e-1,
            "clip": False,
        }
        changes = {
            "task": {**UNROLLED["task"], "stages": [stage]},
            "warmup": 5,
            "validate_every": 10,
        }
    rows = list(trainer_of(values, split, **changes).run())
    assert rows[-1].loss < 0.5 * rows[0].loss
    assert rows[-1].best == min(row.error for row in rows)


def test_goes_on_to_the_same_bits(values: dict[str, Any], split: Split, tmp_path: Path) -> None:
    """Stopped in the middle, in the second stage of two, and taken up with a model of other random
    weights."""
    straight = trainer_of(values, split)
    rows = list(straight.run())
    stopped, first = trainer_of(values, split), []
    for row in stopped.run():
        first.append(row)
        if row.update == (17 if values is REFINED else 10):
            stopped.save(tmp_path / "run.checkpoint")
            break
    again = trainer_of(values, split, weights=1)
    again.restore(*checkpoint(tmp_path / "run.checkpoint"))
    assert "optimizer" not in vars(again)  # who only looks does not wait for torch's compilers
    assert whole(again) == whole(stopped)
    assert whole(again) != whole(straight)
    second = list(again.run())
    assert told(first + second) == told(rows)
    assert whole(again) == whole(straight)
    assert again.seconds >= stopped.seconds > 0


def test_the_first_update_has_a_time_of_its_own(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of each start: by a clock on which it takes a minute, others a second, and nothing else
    any time."""
    clock, slow, step = 0.0, True, Trainer._step

    def timed(self: Trainer) -> float:
        nonlocal clock, slow
        clock, slow = clock + (60.0 if slow else 1.0), False
        return step(self)

    monkeypatch.setattr(Trainer, "_step", timed)
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    run = trainer_of(ONE_SHOT, split)
    first = next(run.run())
    assert (first.starting, first.seconds) == (60.0, 60.0 + first.update - 1)
    run.save(tmp_path / "run.checkpoint")
    again, slow = trainer_of(ONE_SHOT, split), True
    again.restore(*checkpoint(tmp_path / "run.checkpoint"))
    last = list(again.run())[-1]
    assert (last.starting, last.seconds) == (120.0, 120.0 + last.update - 2)


def test_saving_changes_nothing(values: dict[str, Any], split: Split, tmp_path: Path) -> None:
    straight, saved = trainer_of(values, split), trainer_of(values, split)
    list(straight.run())
    for _ in saved.run():
        saved.save(tmp_path / "run.checkpoint")
    assert whole(saved) == whole(straight)
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


def test_a_finished_run_has_nothing_to_do(
    values: dict[str, Any], split: Split, tmp_path: Path
) -> None:
    done = trainer_of(values, split)
    list(done.run())
    done.save(tmp_path / "run.checkpoint")
    again = trainer_of(values, split)
    again.restore(*checkpoint(tmp_path / "run.checkpoint"))
    assert list(again.run()) == []
    assert whole(again) == whole(done)


def test_the_stages_follow_one_another(split: Split) -> None:
    """In the first, half the samples with 5 substeps; in the second, each with the substeps that
    its tolerance asks for."""
    trainer = trainer_of(UNROLLED, split)
    seen = {row.update: trainer.task.state()["substeps"] for row in trainer.run()}
    assert set(seen[7]) == {5}
    # some are good with 5, others need 10, and some would need more than there are
    assert set(seen[8]) == {0, 5, 10}
    assert len(trainer.task.batch(6)[0]) == 12
    assert len(trainer.task.batch(7)[0]) == 24
    # the half that free flight predicts best
    train, before = split.train, split.train.ensemble()
    flight = before.positions + before.velocities * train.interval
    missed = ((flight - train.of_ensemble("positions")) ** 2).mean((1, 2))
    assert set(trainer.task.batch(0)[0]) == set(np.argsort(missed)[:12])


def test_the_seed_says_which_bits(values: dict[str, Any], split: Split) -> None:
    """From the same weights."""
    one, same, other = (trainer_of(values, split, seed=seed) for seed in (3, 3, 4))
    rows = [told(list(trainer.run())) for trainer in (one, same, other)]
    assert rows[0] == rows[1] != rows[2]
    assert whole(one) == whole(same)
    assert bits(one.model) != bits(other.model)


def test_every_sample_has_its_turn(split: Split) -> None:
    """Three batches of eight are the 24 samples, in another order in the next epoch."""
    trainer, seen = trainer_of(ONE_SHOT, split), []
    accumulate = trainer.task.accumulate

    def watched(model: Any, which: np.ndarray, update: int) -> float:
        seen.append(list(which))
        return accumulate(model, which, update)

    trainer.task.accumulate = watched  # type: ignore[method-assign]
    list(trainer.run())
    epochs = [np.concatenate(seen[k : k + 3]).tolist() for k in range(0, 18, 3)]
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def scripted(monkeypatch: pytest.MonkeyPatch, errors: list[float]) -> list[dict[str, bytes]]:
    """Validations give these errors one after the other; returns the weights that each of them was
    asked about."""
    asked: list[dict[str, bytes]] = []

    def errors_of(model: Any, samples: Dataset, options: Any) -> np.ndarray:
        asked.append(bits(model))
        return np.full(3, errors[len(asked) - 1])

    monkeypatch.setattr(scoring, "errors", errors_of)
    return asked


def test_patience(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two validations in a row that are not better than the best end the run; an equal one is not
    better."""
    asked = scripted(monkeypatch, [3.0, 3.5, 2.0, 2.5, 2.0, 1.0])
    trainer = trainer_of(ONE_SHOT, split, validate_every=1, patience=2)
    assert [(row.error, row.best) for row in trainer.run()] == [
        (3.0, 3.0),
        (3.5, 3.0),
        (2.0, 2.0),
        (2.5, 2.0),
        (2.0, 2.0),
    ]
    assert trainer.update == 5
    assert bits(trainer.best) == asked[2]
    assert bits(trainer.average) == asked[4] != asked[2]


def test_patience_outlasts_a_stop(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [2.0, 2.5, 2.5])
    trainer = trainer_of(ONE_SHOT, split, validate_every=1, patience=2)
    run = trainer.run()
    next(run), next(run)
    trainer.save(tmp_path / "run.checkpoint")
    again = trainer_of(ONE_SHOT, split, validate_every=1, patience=2)
    again.restore(*checkpoint(tmp_path / "run.checkpoint"))
    assert [row.update for row in again.run()] == [3]


def test_any_patience(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [1.0] * 20)
    trainer = trainer_of(ONE_SHOT, split, validate_every=1, patience=0)
    assert len(list(trainer.run())) == 20


def test_no_average(values: dict[str, Any], split: Split) -> None:
    trainer = trainer_of(values, split, ema=0.0, validate_every=1)
    for _ in trainer.run():
        assert bits(trainer.average) == bits(trainer.model)


@pytest.mark.parametrize("ema", [0.3, 0.999])
def test_the_average(split: Split, ema: float) -> None:
    """Decay is the smaller of ``ema`` and k / (k + 9), so that the first weights are soon
    forgotten."""
    trainer = trainer_of(ONE_SHOT, split, ema=ema, validate_every=1, precision="float64", lr=1e-2)
    expected = [weight.detach().clone() for weight in trainer.model.parameters()]
    for k, _ in enumerate(trainer.run(), 1):
        decay = min(ema, k / (k + 9.0))
        expected = [
            decay * old + (1 - decay) * new.detach()
            for old, new in zip(expected, trainer.model.parameters(), strict=True)
        ]
        for ours, theirs in zip(expected, trainer.average.parameters(), strict=True):
            torch.testing.assert_close(theirs.detach(), ours, rtol=1e-12, atol=1e-15)
    assert bits(trainer.average) != bits(trainer.model)


def test_the_best_is_the_best_on_validation_samples(values: dict[str, Any], split: Split) -> None:
    trainer = trainer_of(values, split, validate_every=1)
    rows = list(trainer.run())
    assert trainer.best_error == min(row.error for row in rows) == rows[-1].best
    assert (
        trainer.best_error
        == scoring.errors(trainer.best, split.validation, trainer.options.task).mean()
    )
    assert (
        rows[-1].error
        == scoring.errors(trainer.average, split.validation, trainer.options.task).mean()
    )
    assert rows[-1].median == np.median(
        scoring.errors(trainer.average, split.validation, trainer.options.task)
    )


def test_test_samples_are_not_looked_at(values: dict[str, Any], split: Split) -> None:
    """They may hold anything."""
    before = split.test.ensemble()
    broken = replace(before, positions=np.full_like(before.positions, np.nan))
    hidden = dataset_of_pairs(broken, broken, split.test.interval)
    blind = Split(split.train, split.validation, hidden)
    one, other = trainer_of(values, split), trainer_of(values, blind)
    assert told(list(one.run())) == told(list(other.run()))


def broken_at(split: Split, k: int) -> Split:
    """One number of training sample ``k`` is not a number."""
    x = split.train.of_ensemble("positions").copy()
    x[k, 0, 0] = np.nan
    return replace(split, train=split.train.with_values(positions=x.reshape(-1, 3)))


@pytest.mark.parametrize(
    ("task", "k"), [("direct", 3), ("direct", 17), ("unrolled", 3), ("unrolled", 17)]
)
def test_data_that_are_not_finite(split: Split, task: str, k: int) -> None:
    """The run ends at the update that meets them; the weights are those of a run that was stopped
    one update before."""
    values = TASKS[task]
    if task == "unrolled":  # one stage that leaves no sample out
        values = {
            **UNROLLED,
            "task": {**UNROLLED["task"], "stages": [{**STAGE, "n_updates": 20, "share": 1.0}]},
        }
    sick, well, n = (
        trainer_of(values, broken_at(split, k), validate_every=1),
        trainer_of(values, split, validate_every=1),
        0,
    )
    if (
        task == "unrolled"
    ):  # samples are sorted by how far they are from free flight, which a NaN is not
        well.task._by_deflection = sick.task._by_deflection  # type: ignore[union-attr]
    run = sick.run()
    with pytest.raises(NotFinite, match="use a smaller lr") as end:  # noqa: PT012 (counted up to where it ends)
        for _ in run:
            n += 1
    assert f"at update {n + 1};" in str(end.value)
    assert n < 20
    for _, _row in zip(range(n), well.run(), strict=False):
        pass
    assert sick.update == n
    assert bits(sick.best) == bits(well.best)
    assert bits(sick.model) == bits(well.model)
    assert all(bool(weight.isfinite().all()) for weight in sick.model.parameters())


def test_an_absurd_learning_rate(split: Split) -> None:
    """Of the second stage; the best weights are the first stage's, and good ones."""
    stages = [{**STAGE, "n_updates": 6, "lr": 1e-2}, {**STAGE, "n_updates": 20, "lr": 1e30}]
    trainer = trainer_of(
        UNROLLED, split, task={**UNROLLED["task"], "stages": stages}, schedule="constant", warmup=0
    )
    rows = []
    with pytest.raises(NotFinite, match=r"the loss is .* at update"):
        rows.extend(trainer.run())
    assert 6 <= trainer.update < 26
    assert all(bool(weight.isfinite().all()) for weight in trainer.best.parameters())
    assert (
        trainer.best_error
        == scoring.errors(trainer.best, split.validation, trainer.options.task).mean()
    )
    assert trainer.best_error < 1.0


def test_an_absurd_learning_rate_of_a_dynamics_model(split: Split) -> None:
    trainer = trainer_of(ONE_SHOT, split, lr=1e30, warmup=0, validate_every=1)
    with pytest.raises(NotFinite, match="use a smaller lr"):
        list(trainer.run())
    # no validation was finite, so that the best is what there was at the start
    assert trainer.best_error == math.inf
    assert bits(trainer.best) == bits(fresh(ONE_SHOT).model)


SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
    "constant": lambda share: 1.0,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_schedule(split: Split, schedule: str, warmup: int) -> None:
    """Update k of n: lr min(1, (k + 1) / warmup), times the schedule's share at k / n."""
    trainer, n = (
        trainer_of(
            ONE_SHOT,
            split,
            schedule=schedule,
            warmup=warmup,
            n_updates=12,
            lr=1e-2,
            validate_every=1,
        ),
        12,
    )
    for k, row in enumerate(trainer.run()):
        rate = 1e-2 * min(1.0, (k + 1) / max(warmup, 1)) * SCHEDULES[schedule](k / n)
        assert row.lr == pytest.approx(rate, rel=1e-14)
        assert trainer.optimizer.param_groups[0]["lr"] == row.lr


def test_schedule_of_stages(split: Split) -> None:
    """The stage's own rate, and one cosine over all of them."""
    task = {
        **UNROLLED["task"],
        "stages": [{**STAGE, "n_updates": 4, "lr": 1e-2}, {**STAGE, "n_updates": 4, "lr": 3e-3}],
    }
    trainer = trainer_of(UNROLLED, split, task=task, warmup=3, lr=7.0)
    rates = [row.lr for row in trainer.run()]
    expected = [
        (1e-2, 3e-3)[k // 4] * min(1.0, (k + 1) / 3) * SCHEDULES["cosine"](k / 8) for k in range(8)
    ]
    assert rates == pytest.approx(expected, rel=1e-14)


def test_validations_are_where_they_should_be(split: Split) -> None:
    """And one at the end."""
    assert [row.update for row in trainer_of(ONE_SHOT, split, validate_every=6).run()] == [
        6,
        12,
        18,
        20,
    ]


def coulomb_pairs(constant: float) -> Split:
    """Particles that move by Coulomb's law with this constant; those whose charges are alike repel
    where it is positive."""
    system = charged_systems(40, seed=5)
    system = System.create(
        2.0 * system.positions, velocities=system.velocities, charges=system.charges
    )
    *_, end = rollout(velocity_verlet(Coulomb(constant)), State(system), 1e-3, 1000, 1000)
    return Split.at(dataset_of_pairs(system, end.system, 1.0), 24, 32)


@pytest.mark.parametrize("constant", [1.0, -1.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_sign_of_the_law_is_learned(constant: float, precision: str) -> None:
    """From none at the start to that of Coulomb's constant: w > 0 drives like charges apart."""
    stage = {**STAGE, "n_updates": 15, "batch": 24, "share": 1.0, "clip": False}
    values = {**UNROLLED, "task": {**UNROLLED["task"], "lag": 0.0, "stages": [stage]}}
    trainer = trainer_of(values, coulomb_pairs(constant), precision=precision, schedule="constant")
    assert float(trainer.model.size.detach()) == 0.0
    rows = list(trainer.run())
    assert float(trainer.model.size.detach()) * constant > 0.01
    assert (
        float(trainer.model.law(torch.tensor(1.0, dtype=trainer.model.size.dtype)).detach())
        * constant
        > 0.0
    )
    assert rows[-1].error < rows[0].error


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        checkpoint(tmp_path / "run.checkpoint")


def test_a_damaged_checkpoint(split: Split, tmp_path: Path) -> None:
    trainer, path = trainer_of(ONE_SHOT, split), tmp_path / "run.checkpoint"
    next(trainer.run())
    trainer.save(path)
    content = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(content), 50):
        path.write_bytes(content[:at])
        with pytest.raises(
            ValueError, match="is not a checkpoint of a training, or a damaged one"
        ) as said:
            checkpoint(path)
        assert "\n" not in str(said.value)


def test_options_are_in_the_checkpoint(
    values: dict[str, Any], split: Split, tmp_path: Path
) -> None:
    trainer = trainer_of(values, split)
    trainer.save(tmp_path / "run.checkpoint")
    _, header = checkpoint(tmp_path / "run.checkpoint")
    assert parse(header["options"]) == trainer.options
    assert isinstance(trainer.options, TrainingOptions)


@pytest.mark.parametrize(
    ("task", "kind"), [("direct", "LearnedForce"), ("unrolled", "DirectDynamics")]
)
def test_a_model_that_does_not_go_with_the_task(split: Split, task: str, kind: str) -> None:
    """A force does not say where particles end; a dynamics model is not integrated."""
    values = {**TASKS[task], "model": {"kind": kind, "hyperparameters": {"n_features": 8}}}
    with pytest.raises(ValueError, match=kind):
        trainer_of(values, split)


def test_an_interval_that_is_not_the_datas(split: Split) -> None:
    """Samples are one unit of time apart; a model of steps of two could never be right."""
    values = {
        **ONE_SHOT,
        "model": {
            "kind": "DirectDynamics",
            "hyperparameters": {"n_features": 8, "n_layers": 2, "interval": 2.0},
        },
    }
    with pytest.raises(ValueError, match="interval"):
        trainer_of(values, split)

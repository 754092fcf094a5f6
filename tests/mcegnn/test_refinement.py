"""Refinement by least squares finds the law and the masses that made the samples, also those it was
far from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from integrators.ensembles import yoshida_8
from integrators.state import State
from mcegnn.data.assembly import dataset_of_pairs
from mcegnn.data.split import Split
from mcegnn.models.force import LearnedForce
from mcegnn.models.store import Stored
from mcegnn.training import scoring
from mcegnn.training.checkpoint import checkpoint
from mcegnn.training.options import parse
from mcegnn.training.refinement import Refinement
from mcegnn.training.trainer import Trainer
from systems.system import System
from trajectories.rollout import rollout

MASSES = [1.0, 1e-3, 4e-4, 2e-3]
VALUES: dict[str, Any] = {
    "data": {"name": "solar"},
    "model": {
        "kind": "LearnedForce",
        "hyperparameters": {"n_features": 8, "coupling": "masses", "n_masses": 4},
    },
    "task": {
        "kind": "unrolled",
        "error": "displacement",
        "integrator": "yoshida-4",
        "scheme": "yoshida-8",
        "n_steps": 20,
        "stages": [{"n_updates": 1, "batch": 4, "lr": 1e-6, "substeps": [4]}],
        "refinement": {"n_updates": 60, "batch": 16, "integrator": "yoshida-8", "substeps": 8},
    },
    "validate_every": 1,
    "precision": "float64",
    "warmup": 0,
}


def teacher() -> LearnedForce:
    """An attraction that falls with the distance, in the form of a model."""
    stream = torch.Generator().manual_seed(3)
    model = LearnedForce(8, coupling="masses", n_masses=4).double()
    with torch.no_grad():
        for p in model.exponent.parameters():
            p.copy_(torch.randn(p.shape, generator=stream, dtype=torch.float64) * 0.5)
        model.size.fill_(-1.0)
        model.log_masses.copy_(torch.tensor(MASSES[1:], dtype=torch.float64).log())
    return model


@pytest.fixture(scope="module")
def split() -> Split:
    """Three bodies in circles around a heavy one, two units of time apart, under the teacher's
    law."""
    stream = np.random.default_rng(0)
    directions, across = stream.normal(size=(2, 40, 4, 3))
    x = (
        np.array([0.0, 1.0, 1.6, 2.4])[:, None]
        * directions
        / np.linalg.norm(directions, axis=-1, keepdims=True)
    )
    circular = -teacher().law(torch.from_numpy(x[:, 1:]).square().sum(-1)).detach().numpy()
    v = np.zeros_like(x)
    turn = np.cross(x[:, 1:], across[:, 1:])
    v[:, 1:] = (
        turn
        * (np.linalg.norm(x[:, 1:], axis=-1) * circular**0.5 / np.linalg.norm(turn, axis=-1))[
            ..., None
        ]
    )
    before = State(System.create(x, velocities=v, masses=MASSES))
    *_, after = rollout(yoshida_8(teacher().tabulated()), before, 2.0 / 200, 200, 200)
    return Split.at(dataset_of_pairs(before.system, after.system, 2.0), 30, 35)


def student() -> LearnedForce:
    """The teacher, its last layer changed, one mass near nothing and one much too large."""
    model, stream = teacher(), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in model.exponent[-1].parameters():
            p.add_(torch.randn(p.shape, generator=stream, dtype=torch.float64) * 0.1)
        model.log_masses.copy_(torch.tensor([1e-7, 1e-2, 2.2e-3], dtype=torch.float64).log())
    return model


def test_masses_and_law_are_found(split: Split) -> None:
    options = parse(VALUES).task
    assert options.refinement is not None
    refinement, model = Refinement(split.train, options, options.refinement), student()
    errors = [refinement.step(model) for _ in range(10)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-12 < 1e-4 < errors[0]
    assert model.masses is not None
    np.testing.assert_allclose(model.masses.detach(), MASSES, rtol=1e-6)
    # where the heavy body, which is what the law is felt of, was seen from
    r2 = torch.tensor([1.0, 1.6, 2.4], dtype=torch.float64).square()
    np.testing.assert_allclose(model.law(r2).detach(), teacher().law(r2).detach(), rtol=1e-6)
    # only the last layer has moved
    for (name, moved), old in zip(
        model.exponent[:-1].named_parameters(), teacher().exponent[:-1].parameters(), strict=True
    ):
        assert torch.equal(moved, old), name


def test_what_is_below_zero_is_given_as_almost_nothing(split: Split) -> None:
    """On the way a mass may be negative; the model's never is."""
    options = parse(VALUES).task
    assert options.refinement is not None
    refinement, model = Refinement(split.train, options, options.refinement), student()
    at = refinement.state()
    assert set(at) == {"damping"}
    refinement.step(model)
    point = refinement.state()["at"].clone()
    point[-1] = -1e-3
    refinement.restore({"at": point, "damping": torch.tensor(1e7, dtype=torch.float64)})
    refinement.step(model)
    assert refinement.state()["at"][-1] < 0
    assert model.masses is not None
    assert float(model.masses[-1].detach()) == pytest.approx(1e-12, rel=1e-9)


def test_gradient_descent_is_not_lost(split: Split) -> None:
    """What was learned before the refinement is validated, whatever validate_every is; and patience
    ends the stages, not the run."""
    kind, hyperparameters = VALUES["model"]["kind"], VALUES["model"]["hyperparameters"]
    stages = [{"n_updates": 5, "batch": 4, "lr": 1e-3, "substeps": [4]}]
    task = {
        **VALUES["task"],
        "stages": stages,
        "refinement": {**VALUES["task"]["refinement"], "n_updates": 1},
    }
    rows = list(
        Trainer(
            Stored(student(), kind, hyperparameters),
            split,
            parse({**VALUES, "task": task, "validate_every": 100}),
        ).run()
    )
    assert [row.update for row in rows] == [5, 6]
    hasty = Trainer(
        Stored(student(), kind, hyperparameters),
        split,
        parse({**VALUES, "task": task, "patience": 1, "ema": 0.0, "lr": 1.0}),
    )
    hasty.best_error = 0.0
    assert [(row.update, row.lr > 0) for row in hasty.run()] == [(1, True), (6, False)]


def test_it_begins_from_the_best_weights(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from the last: here those of the first of three updates."""
    kind, hyperparameters = VALUES["model"]["kind"], VALUES["model"]["hyperparameters"]
    task = {**VALUES["task"], "stages": [{"n_updates": 3, "batch": 4, "lr": 1e-2, "substeps": [4]}]}
    trainer = Trainer(
        Stored(student(), kind, hyperparameters), split, parse({**VALUES, "task": task, "ema": 0.0})
    )
    given = iter([0.1, 0.2, 0.3, 0.0])
    monkeypatch.setattr(scoring, "errors", lambda *_: np.array([next(given)]))
    begun = []
    monkeypatch.setattr(
        Refinement, "step", lambda self, model: begun.append(model.size.item()) or 0.5
    )
    seen = []
    for row in trainer.run():
        seen.append(trainer.model.size.item())
        if row.update == 4:
            break
    assert len(set(seen[:3])) == 3
    assert begun == seen[:1]


def test_a_run_ends_where_no_step_is_better(split: Split, tmp_path: Path) -> None:
    """Long before its updates are used up; the refinement begins from the best weights before
    it."""
    kind, hyperparameters = VALUES["model"]["kind"], VALUES["model"]["hyperparameters"]
    trainer = Trainer(Stored(student(), kind, hyperparameters), split, parse(VALUES))
    assert trainer.refinement is not None
    rows, lr = [], []
    for row in trainer.run():
        rows.append(row)
        lr.append(row.lr)
        trainer.save(tmp_path / "run.checkpoint")
        assert checkpoint(tmp_path / "run.checkpoint").complete == (len(rows) == 4)
        if row.update == 3:
            assert row.best < 0.01 * rows[0].best
            trainer.refinement.damping = 1e9  # so short a step that none is taken
    assert trainer.refinement.converged
    assert lr == [1e-6, 0.0, 0.0, 0.0]
    assert rows[3].error == rows[2].error
    assert list(trainer.run()) == []

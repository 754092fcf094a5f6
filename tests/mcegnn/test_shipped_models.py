"""The models that come with the package: small, with the command that made them, and as good as the
README says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule

from mcegnn.data.charged import charged
from mcegnn.data.dataset import Dataset
from mcegnn.data.labelled import named
from mcegnn.data.pairs import split
from mcegnn.models.force import LearnedForce
from mcegnn.models.store import load
from mcegnn.names import locate, presets, shipped
from mcegnn.training.options import parse_recorded
from mcegnn.training.prediction import measures
from mcegnn.training.scoring import errors
from systems.units import ASTRONOMICAL

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def charged_samples() -> Dataset:
    return charged(n_train=1).test


def score(name: str, samples: Dataset) -> np.ndarray:
    stored = load(name)
    return errors(stored.model, samples, parse_recorded(stored.record["options"]).task)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_says_what_made_it(name: str) -> None:
    stored = load(name)
    assert locate(name).stat().st_size <= 1_000_000
    program, command, preset, *_ = stored.record["command"].split()
    assert (program, command) == ("mcegnn", "train")
    assert preset in presets()
    assert "/tmp" not in stored.record["command"]
    parse_recorded(stored.record["options"])


def test_help_names_every_preset(succeed: Run) -> None:
    told = " ".join(succeed("train", "--help").out.split())
    for name in presets():
        assert name in told


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(("name", "forces"), [("ethanol", 5e-3), ("aspirin", 14e-3)])
def test_shipped_potentials_on_the_official_test_structures(name: str, forces: float) -> None:
    """Force errors in eV / Angstrom, of 1,000 structures of revised MD17's first split."""
    test = named(f"rmd17:{name}").test
    assert test is not None
    assert measures(load(name).model, test)["force_mae"] < forces


def test_learned_force_on_the_official_charged_samples(charged_samples: Dataset) -> None:
    found = score("charged-force", charged_samples)
    assert found.mean() < 2.0e-3
    assert np.median(found) < 1e-5


def test_several_channels_beat_one(charged_samples: Dataset) -> None:
    one, several = score("charged-egnn", charged_samples), score("charged-mcegnn", charged_samples)
    assert (
        load("charged-egnn").hyperparameters["n_channels"]
        == 1
        < load("charged-mcegnn").hyperparameters["n_channels"]
    )
    assert one.mean() < 7.8e-3
    assert several.mean() < one.mean()
    assert np.median(several) < np.median(one)


def test_gravity_and_the_planets_masses_are_learned() -> None:
    """From 0.8 years of eleven bodies: logarithms of masses to a hundredth, but for Pluto, whose
    pull nobody feels."""
    test = split("solar").test
    assert score("solar-force", test).mean() < 1e-12
    model = load("solar-force").model
    assert isinstance(model, LearnedForce)
    assert model.masses is not None
    wrong = np.log10(model.masses.numpy() / test.ensemble().masses)
    assert abs(wrong[:10]).max() < 0.01
    radii = np.geomspace(0.003, 30.0, 50)
    law = model.law(torch.from_numpy(radii).square()).numpy()
    np.testing.assert_allclose(law, -ASTRONOMICAL.gravitation / radii**3, rtol=1e-3)


def test_ten_years_under_the_learned_law(succeed: Run) -> None:
    """Earth, which the model has seen for less than one, ends within 1,000 km of JPL's; with the
    model's own energy conserved."""
    succeed(
        "rollout",
        "solar",
        "--model",
        "solar-force",
        "--time",
        "10 year",
        "--quiet",
        "-o",
        "ten.h5md",
    )
    found = json.loads(succeed("analyse", "ten.h5md", "--json").out)
    assert found["energy_drift"]["median"] < 1e-10
    assert found["km_from_jpl"]["Earth"] < 1000.0


def test_info_of_a_model(succeed: Run) -> None:
    """What made it, and what it has learned, where that can be told."""
    out = " ".join(succeed("info", "solar-force").out.split())
    for told in (
        "LearnedForce",
        "mcegnn train solar-force",
        "trained on solar, 14016 samples",
        "learned masses 1 1.66",
    ):
        assert told in out
    assert "learned masses" not in succeed("info", str(locate("charged-egnn"))).out


def test_the_learned_law_moves_more_particles_than_it_was_trained_on(succeed: Run) -> None:
    """Twenty particles in place of five: the rollout of the learned force stays near the exact one
    for a while."""
    common = (
        "rollout",
        "charged",
        "--particles",
        20,
        "--systems",
        10,
        "--seed",
        3,
        "--steps",
        1000,
        "--every",
        100,
        "--quiet",
    )
    succeed(*common, "-o", "exact.h5md")
    succeed(*common, "--model", "charged-force", "-o", "law.h5md")
    against = json.loads(succeed("analyse", "law.h5md", "--reference", "exact.h5md", "--json").out)[
        "against"
    ]
    assert against["frames_compared"] == 11
    assert against["median_error_at_the_end"] < 0.1
    assert Path("law.h5md").is_file()


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_model_moves_its_system(name: str, succeed: Run) -> None:
    """By name, with no network and nothing but the package; a dynamics model has no integrator to
    tell of."""
    system, more = ("solar" if name.startswith("solar") else "charged"), ()
    if load(name).kind == "ConservativePotential":
        ase.io.write("molecule.xyz", molecule("CH3CH2OH"))
        system, more = "molecule.xyz", ("--temperature", "300 K")
    succeed(
        "rollout",
        system,
        "--model",
        name,
        *more,
        "--steps",
        4,
        "--every",
        2,
        "-o",
        "run.h5md",
        "--quiet",
    )
    out = succeed("info", "run.h5md").out
    assert name in out
    assert ("integrator" in out) == (load(name).kind != "DirectDynamics")


@pytest.mark.parametrize(
    ("option", "told"), [("--relativity", "--relativity"), ("--j2", "--j2"), ("--no-j2", "--no-j2")]
)
@pytest.mark.skipif(
    "solar-mcegnn" not in shipped(), reason="no dynamics model of planets is shipped"
)
def test_physics_does_not_go_with_a_dynamics_model(option: str, told: str, refuse: Run) -> None:
    refuse(
        f"leave out {told}", "rollout", "solar", "--model", "solar-mcegnn", "--steps", "2", option
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("did you mean charged-force?", "charged-forse"),
        ("there is no model none.safetensors", "none.safetensors"),
        ("there is no file none.h5md", "none.h5md"),
        ("is a folder; name a run or a model file in it", "."),
    ],
)
def test_info_of_what_is_not_there(words: str, name: str, refuse: Run) -> None:
    refuse(words, "info", name)

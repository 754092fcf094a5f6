"""`mcegnn label`: a training set from a calculator's own dynamics, or of structures as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

Run = Callable[..., Any]
ARGON = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")
WARM = ("--temperature", "40 K")
EMT_, HOT = ("--calculator", "emt"), ("--temperature", "300 K")


def test_label_writes_a_training_set(structures: Path, succeed: Run) -> None:
    ase.io.write(structures / "cu.traj", bulk("Cu", "fcc", 3.61, cubic=True).repeat(2))
    out = succeed(
        "label",
        "cu.traj",
        "--calculator",
        "emt",
        "--steps",
        40,
        "--every",
        20,
        "--temperature",
        "600 K",
        "-o",
        "train.xyz",
    ).out
    assert "3" in out
    frames = ase.io.read(structures / "train.xyz", ":")
    assert [atoms.info["step"] for atoms in frames] == [0, 20, 40]
    for atoms in frames:
        again = atoms.copy()
        again.calc = EMT()
        # positions are written with eight decimals
        assert atoms.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(atoms.get_forces(), again.get_forces(), atol=1e-6)
        np.testing.assert_allclose(atoms.get_stress(), again.get_stress(), atol=1e-6)
    assert abs(frames[2].positions - frames[0].positions).max() > 0.05


def test_label_structures_as_they_are_and_frozen_forces(structures: Path, succeed: Run) -> None:
    ase.io.write(
        structures / "several.xyz",
        [ase.io.read(structures / name) for name in ("copper.traj", "held.traj")],
    )
    succeed("label", "several.xyz", "--calculator", "emt", "--quiet")
    assert len(ase.io.read(structures / "several-labelled.xyz", ":")) == 2
    # the labels are the calculator's own forces, also of atoms that are held during dynamics
    succeed(
        "label",
        "held.traj",
        "--calculator",
        "emt",
        "--steps",
        4,
        "--every",
        2,
        "--temperature",
        "300 K",
        "-o",
        "held.xyz",
    )
    last = ase.io.read(structures / "held.xyz", -1)
    low = last.positions[:, 2] < 1.0
    assert abs(last.get_forces()[low]).max() > 1e-3


def test_label_of_replicas(structures: Path, succeed: Run) -> None:
    succeed("label", "argon.xyz", *ARGON, *WARM, "--steps", 20, "--systems", 2, "-o", "train.xyz")
    frames = ase.io.read(structures / "train.xyz", ":")
    assert [atoms.info["step"] for atoms in frames] == [0, 10, 10, 20, 20]
    assert [atoms.info.get("replica") for atoms in frames] == [0, 0, 1, 0, 1]
    assert abs(frames[3].positions - frames[4].positions).max() > 1e-3


LABEL = {
    "no file": ("there is no file nothing.xyz", "nothing.xyz", *EMT_),
    "no dynamics": ("--temperature is of dynamics: add --steps N", "ethanol.xyz", *EMT_, *HOT),
    "no force": ("give one of --calculator", "ethanol.xyz"),
    "no force, steps": ("give one of --calculator", "ethanol.xyz", "--steps", 10, *HOT),
    "itself": ("is the file that is read", "ethanol.xyz", *EMT_, "-o", "ethanol.xyz"),
    "there": ("exists already", "ethanol.xyz", *EMT_, "-o", "argon.xyz"),
    "another format": ("its name ends in .xyz", "ethanol.xyz", *EMT_, "-o", "train.traj"),
    "no folder": ("there is no folder", "ethanol.xyz", *EMT_, "-o", "nowhere/train.xyz"),
    "steps": ("--steps must be at least 1", "ethanol.xyz", *EMT_, *HOT, "--steps", 0),
    "element": ("No EMT-potential for Ar", "argon.xyz", *EMT_),
    "not atoms": ("ASE cannot read atoms from text.xyz", "text.xyz", *EMT_),
}


@pytest.mark.parametrize("case", LABEL)
def test_label_refuses(case: str, bad_structures: Path, refuse: Run) -> None:
    words, *arguments = LABEL[case]
    refuse(words, "label", *arguments)


def test_an_old_file_stays_where_nothing_can_be_labelled(structures: Path, cli: Run) -> None:
    (structures / "train.xyz").write_text("precious")
    outcome = cli("label", "argon.xyz", "--calculator", "emt", "-o", "train.xyz", "--force")
    assert outcome.code == 2
    assert "emt gives no forces for these structures: No EMT-potential for Ar" in outcome.err
    assert (structures / "train.xyz").read_text() == "precious"


def test_interrupted(structures: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been labelled stays, and is said to."""
    import mcegnn.runs.label

    labelled, n = mcegnn.runs.label.labelled, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal n
        n += 1
        if n == 4:
            raise KeyboardInterrupt
        return labelled(*arguments)

    monkeypatch.setattr(mcegnn.runs.label, "labelled", interrupted)
    outcome = cli("label", "argon.xyz", *ARGON, *WARM, "--steps", 100, "-o", "train.xyz")
    assert outcome.code == 130
    assert "train.xyz holds the 3 structures that were labelled" in outcome.err
    assert len(ase.io.read(structures / "train.xyz", ":")) == 3

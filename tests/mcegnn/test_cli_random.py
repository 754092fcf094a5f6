"""Whatever the arguments and whatever the files: an exit code that means something, one clear
sentence, and never a traceback.

2,000 command lines and configurations where the environment says MCEGNN_EXAMPLES=2000, an eighth of
them else; those that would be valid and long are asked with --dry-run.
"""

import os
import string
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mcegnn.cli.app import app

Run = Callable[..., Any]
EXAMPLES = int(os.environ.get("MCEGNN_EXAMPLES", "250"))

# (values that may be good, values that are not); small counts only, so that whatever runs is over
# at once
COUNTS = (
    ["1", "3", "10"],
    [
        "0",
        "-1",
        "x",
        "2.5",
        "",
        "1e3",
        "٣",
        "007",
        "9" * 30,
        "-" + "9" * 30,
        "0x10",
        "∞",
    ],
)
TIMES = (
    ["0.001", "0.1", "0.5 day", "0.5 fs", "1 hour", "1 fs"],
    [
        "3 day",
        "0",
        "-1",
        "nan",
        "inf",
        "-inf fs",
        "1e-3",
        "day",
        "",
        "1 parsec",
        "0.5day",
        "1e-400",
        "1e400 fs",
        "½ fs",
        "1e-320 day",
        "1,5 fs",
        "0.5 fs to 1 fs",
    ],
)
FILES = (
    ["run.h5md", "out.h5md", "bodies.csv", "e.xyz", "train.xyz", "new.h5md"],
    [
        "folder",
        "none/x.h5md",
        "text.csv",
        "out.xyz",
        "out.traj",
        "out.png",
        "out",
        "",
        "-",
        "a b.h5md",
        "e.xyz@0",
        "e.xyz@7",
        "empty.xyz",
        "closed.h5md",
        "pickle.safetensors",
        "empty.safetensors",
        "config.toml",
        "näme.h5md",
        ".",
        "..",
        "/",
        "run.h5md.checkpoint",
        "x" * 300 + ".h5md",
        "/dev/null",
        "out\n.h5md",
        "charged-force",
        "rmd17:nothing",
        "torn.h5md",
    ],
)
FOLDERS = ["numbers", "folder"], [*FILES[0], *FILES[1]]
SELECTIONS = (
    ["index 0:2", "all"],
    [
        "element Xe",
        "(",
        "",
        "index",
        "index 99",
        "not",
        "ü",
        "prop x > nan",
    ],
)
PICTURES = ["a.png", "b.svg"], [*FILES[0], *FILES[1]]
INTEGRATORS = (
    ["velocity-verlet", "yoshida-4", "symplectic-euler"],
    [
        "wisdom-holman",
        "leapfrog",
        "",
        "Yoshida-4",
        "npt",
        "nose-hoover",
    ],
)
ENSEMBLES = ["nve", "nvt"], ["npt", "NVT", "", "micro"]
DATES = (
    ["2000-01-01T12:00", "2024-03-01"],
    [
        "1066-10-14",
        "never",
        "2024-01-01T00:00Z",
        "",
        "2000-02-30",
        "99999-01-01",
    ],
)
FORCES = (
    ["emt", "mcegnn:LennardJones:epsilon=0.01,sigma=3.4"],
    [
        "lj",
        "tblite:method=nothing",
        "os:system",
        "mcegnn:LennardJones:epsilon=x",
        "mcegnn:LennardJones",
        "no.such.module:Thing",
        ":",
        "emt:what=1",
        "builtins:eval",
        "",
    ],
)
AMOUNTS = (
    ["300 K", "1 bar", "1 /ps", "0.2 eV/A", "10 eV", "0.3 A", "off", "1", "10 K to 300 K"],
    ["0 K", "-1 K", "1 GPa to 2 GPa", "", "K", "1e308 K", "nan eV", "-1"],
)
MODELS = (
    ["ethanol", "charged-force", "ethanol,ethanol"],
    [
        "aspirin",
        "solar-force",
        ",",
        "nobody",
        *FILES[0],
        *FILES[1],
    ],
)
SETS = (
    ["lr=1e-3", "batch=3", "seed=7", "n_updates=10"],
    [
        "lr=-1",
        "lr=nan",
        "n_updates=0",
        "n_updates=x",
        "batch=1e9",
        "model.kind=os.system",
        "model.hyperparameters=1",
        "task.kind=none",
        "model.hyperparameters.n_channels=[]",
        "data.n_train=-5",
        "nothing=1",
        "=",
        "",
        "a.b.c.d=1",
        "seed=" + "9" * 40,
        "lr=é",
    ],
)
ATOMS = {
    "--calculator": FORCES,
    "--potential": FORCES,
    "--temperature": AMOUNTS,
    "--ensemble": ENSEMBLES,
    "--friction": AMOUNTS,
    "--dt": TIMES,
    "--every": COUNTS,
    "--seed": COUNTS,
    "--pressure": AMOUNTS,
    "--period": TIMES,
    "--systems": COUNTS,
}
UNITS = ["metal", "real", "electron"], ["lj", "mettal", "", "si", "Metal"]
KINDS = (
    ["extxyz", "lammps-data", "lammps-data:atom_style=charge", "PDB"],
    [
        "xyzz",
        "",
        ":",
        "lammps-data:x",
        "vasp:y=1",
        "GRO",
    ],
)
MASSES = (
    ["H=2.014", "H=2.014,O=18", "1=39.948"],
    [
        "H",
        "",
        "H=",
        "H=-1",
        "=1",
        "H=nan",
        ",",
        "H=1e400",
    ],
)
_STRUCTURES = {"--units": UNITS, "--format": KINDS, "--masses": MASSES}
READING = {"--frame-interval": TIMES, **_STRUCTURES}
OPTIONS: dict[str, dict[str, tuple[list[str], list[str]]]] = {
    "rollout": ATOMS
    | _STRUCTURES
    | {
        "--steps": COUNTS,
        "-n": COUNTS,
        "--threads": COUNTS,
        "--time": TIMES,
        "--integrator": INTEGRATORS,
        "--epoch": DATES,
        "--bodies": FILES,
        "-o": FILES,
        "--resume": FILES,
        "--model": MODELS,
        "--warn-above": AMOUNTS,
        "--stop-above": AMOUNTS,
        "--max-energy-jump": AMOUNTS,
        "--min-distance": AMOUNTS,
        "--without": (["Moon", "Pluto"], ["Sun", "", "Vulcan"]),
    },
    "label": ATOMS | {"--steps": COUNTS, "-o": FILES} | _STRUCTURES,
    "analyse": {
        "--figure": PICTURES,
        "--reference": FILES,
        "--tolerance": COUNTS,
        "--csv": FOLDERS,
        "--netcdf": FILES,
        "--select": SELECTIONS,
        "--topology": FILES,
        **READING,
    },
    "report": {
        "--reference": FILES,
        "--tolerance": COUNTS,
        "-o": FILES,
        "--select": SELECTIONS,
        "--topology": FILES,
        **READING,
    },
    "convert": {"--system": COUNTS, "--topology": FILES, **READING},
    "info": {},
    "evaluate": {"--figure": PICTURES, "--without": FILES},
    "train": {
        "--set": SETS,
        "--data": FILES,
        "--from": MODELS,
        "-o": FILES,
        "--threads": COUNTS,
        "--resume": FILES,
    },
}
FLAGS = {
    "rollout": [
        "--force",
        "--quiet",
        "--dry-run",
        "--relativity",
        "--no-j2",
        "--verbose",
        "--flexible",
        "--relax",
        "--help",
    ],
    "label": ["--force", "--quiet", "--relax"],
    "analyse": ["--json", "--force"],
    "report": ["--force", "--quiet"],
    "convert": ["--force", "--quiet"],
    "info": [],
    "evaluate": ["--json"],
    "train": ["--force", "--quiet", "--tensorboard"],
}
TRAJECTORIES = ["md.traj", "train.xyz", "torn.traj", "torn.xyz", "dump.lammpstrj"]
SYSTEMS = ["charged", "solar"]
ODD = ["planets", "", "run.h5md", "empty.xyz", "folder", "e.xyz@-1", "e.xyz", "crystal.xyz"]
PRESETS = ["charged-egnn", "charged-force", "solar-force", "extxyz", "config.toml"]
_EMT = ("--calculator", "emt", "--temperature", "300 K")


def value(pair: tuple[list[str], list[str]]) -> st.SearchStrategy[str]:
    """Good ones three times of four, else every example would end at its first mistake."""
    return st.integers(0, 7).flatmap(
        lambda k: st.sampled_from(pair[0] if k < 6 else pair[1]) if k < 7 else st.text(max_size=6)
    )


def some(command: str) -> st.SearchStrategy[list[str]]:
    """Options of a command with values, and flags; now and then one of another command, or none at
    all."""
    names = sorted(OPTIONS[command])
    every = (
        [
            st.sampled_from(names).flatmap(
                lambda name: st.tuples(st.just(name), value(OPTIONS[command][name]))
            )
        ]
        if names
        else []
    )
    if FLAGS[command]:
        every.append(st.sampled_from(FLAGS[command]).map(lambda flag: (flag,)))
    every.append(
        st.sampled_from([("--nonsense", "1"), ("--",), ("--steps",), ("--help",), ("-o",)])
    )
    weights = st.integers(0, 14).flatmap(
        lambda k: every[-1] if k == 14 or len(every) == 1 else every[k % (len(every) - 1)]
    )
    return st.lists(weights, max_size=4).map(lambda found: [word for one in found for word in one])


_FEW: list[tuple[str, ...]] = [
    ("--steps", "3", "--force"),
    ("--steps", "10", "--every", "5", "--force"),
]
heads = (
    [(s, *few) for s in SYSTEMS for few in (*_FEW, ())]
    + [("e.xyz", *_EMT, *few) for few in _FEW]
    + [(s, *_EMT) for s in ODD]
)
rollouts = st.tuples(st.sampled_from(heads), some("rollout")).map(
    lambda pair: ["rollout", *pair[0], *pair[1]]
)
resumes = st.tuples(st.sampled_from(["run.h5md", "torn.h5md", *FILES[1]]), some("rollout")).map(
    lambda pair: ["rollout", "--resume", pair[0], *pair[1]]
)
labels = st.tuples(value((["e.xyz", "crystal.xyz", "train.xyz"], FILES[1])), some("label")).map(
    lambda pair: [
        "label",
        pair[0],
        "--calculator",
        "emt",
        "-o",
        "labelled.xyz",
        "--force",
        *pair[1],
    ]
)
conversions = st.tuples(
    value(([*FILES[0], *TRAJECTORIES], FILES[1])),
    value((["out.xyz", "out.traj", "out.dcd", "out.h5md"], FILES[1])),
    some("convert"),
).map(lambda parts: ["convert", parts[0], parts[1], "--force", *parts[2]])
readings = st.sampled_from(["analyse", "report", "info"]).flatmap(
    lambda command: st.tuples(
        value((["run.h5md", "torn.h5md", *TRAJECTORIES], FILES[1])), some(command)
    ).map(lambda pair: [command, pair[0], *pair[1]])
)
judgements = st.tuples(
    value(MODELS), value((["train.xyz", "run.h5md"], FILES[1])), some("evaluate")
).map(lambda parts: ["evaluate", parts[0], parts[1], *parts[2]])
trainings = st.tuples(
    value((PRESETS, ["none.toml", "folder", "text.csv", "", "train.xyz"])), some("train")
).map(lambda pair: ["train", pair[0], *pair[1]])
words = st.lists(
    st.sampled_from(
        [
            "rollout",
            "analyse",
            "report",
            "label",
            "train",
            *SYSTEMS,
            *ODD,
            *FILES[1],
            "--help",
            "--version",
        ]
    ),
    max_size=4,
)
argument_lists = st.one_of(
    rollouts, rollouts, resumes, labels, conversions, readings, judgements, trainings, words
)

# a configuration that is right but for a file that is not there, so that nothing is rolled out; a
# few of its values are others, of other kinds too, or keys that nobody knows or other tasks have
RIGHT = {
    "n_updates": "100",
    "batch": "10",
    "lr": "1e-3",
    "seed": "0",
    "validate_every": "50",
    "ema": "0.99",
    "clip": "1.0",
    "data.name": '"solar:none.csv"',
    "data.n_train": "300",
    "model.kind": '"DirectDynamics"',
    "task.kind": '"direct"',
    "model.hyperparameters.n_features": "16",
    "model.hyperparameters.n_channels": "2",
    "model.hyperparameters.n_layers": "2",
    "model.hyperparameters.interval": "1.0",
    "model.hyperparameters.units": '"reduced"',
    "model.hyperparameters.length": "1.0",
    "model.hyperparameters.inputs": '"charges"',
    "model.hyperparameters.clamp": '"norm"',
}
values = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["true", "false"]),
    st.text(string.ascii_letters, max_size=5).map(repr),
    st.sampled_from(
        [
            "[]",
            "{}",
            '"x"',
            "[1, 'a']",
            "{ a = 1 }",
            "2000-01-01",
            "= =",
            "",
            "1e999",
            "-0",
            "'os.system'",
            "0",
        ]
    ),
)
unknown = st.sampled_from(
    [
        "nothing",
        "data.none",
        "data.n_validation",
        "data.n_test",
        "task.property",
        "model.hyperparameters.n_wheels",
        "task.error",
        "[data]",
        "'",
        "task.stages",
        "data",
    ]
)
changes = st.dictionaries(st.sampled_from(sorted(RIGHT)) | unknown, values, max_size=2)
missing = st.sets(st.sampled_from(sorted(RIGHT)), max_size=1)
configurations = st.tuples(changes, missing).map(
    lambda pair: "\n".join(
        f"{key} = {value}"
        for key, value in {
            **{k: v for k, v in RIGHT.items() if k not in pair[1]},
            **pair[0],
        }.items()
    )
)


@pytest.fixture
def folder(tmp_path: Path, succeed: Run) -> Path:
    """A run, structures, and files of every kind that are none of ours."""
    succeed("rollout", "charged", "--systems", 2, "--steps", 4, "--every", 2, "-o", "run.h5md")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.csv").write_text("hello\n")
    (tmp_path / "bodies.csv").write_text("name\n")
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "pickle.safetensors").write_bytes(
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n."
    )
    (tmp_path / "closed.h5md").mkdir(mode=0)
    (tmp_path / "closed.toml").touch(mode=0)
    (tmp_path / "config.toml").write_text("lr = 1e-3\n")
    (tmp_path / "torn.h5md").write_bytes((tmp_path / "run.h5md").read_bytes()[:20000])
    write(tmp_path / "e.xyz", molecule("CH3CH2OH"))
    write(tmp_path / "crystal.xyz", bulk("Cu", cubic=True))
    succeed(
        "label",
        "e.xyz",
        "--calculator",
        "emt",
        "--temperature",
        "300 K",
        "--steps",
        40,
        "-o",
        "train.xyz",
        "--quiet",
    )
    atoms = molecule("CH3CH2OH")
    atoms.calc = EMT()
    with VelocityVerlet(atoms, fs, trajectory=str(tmp_path / "md.traj")) as dynamics:
        dynamics.run(5)
    for name, whole in (("torn.traj", "md.traj"), ("torn.xyz", "train.xyz")):
        (tmp_path / name).write_bytes((tmp_path / whole).read_bytes()[:1234])
    (tmp_path / "dump.lammpstrj").write_text("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\nthree\n")
    return tmp_path


def small(arguments: list[str]) -> list[str]:
    """The same, kept short: defaults of 100 systems, 5000 steps or ten years would take seconds,
    and so would tiny steps or a training."""
    last = [value for name, value in pairwise(arguments) if name == "--steps"]
    long = arguments[:1] == ["rollout"] and last[-1:] not in (["1"], ["3"], ["10"])
    if long or arguments[:1] == ["train"]:
        return (
            [*arguments, "--dry-run"]
            if "--" not in arguments
            else [*arguments[: arguments.index("--")], "--dry-run"]
        )
    return arguments


def assert_answered(folder: Path, arguments: list[str]) -> None:
    # resumes and runs of other examples change what is there, which is as it should be: any state
    # of the folder will do
    assert Path(os.getcwd()) == folder
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), (
        arguments,
        result.exception,
    )
    assert result.exit_code in {0, 1, 2, 3}
    assert "Traceback" not in result.output
    ours = [line for line in result.stderr.splitlines() if line.startswith("mcegnn: ")]
    if result.exit_code == 0:
        assert not ours
    else:
        # `mcegnn` alone prints its help, on standard output
        assert result.stderr.strip() or not arguments
        assert len(ours) <= 1
        assert all(len(line) > 20 for line in ours)


@example(arguments=["analyse", "md.traj", "--reference", "md.traj", "--figure", "a.png", "--force"])
@example(arguments=["analyse", "train.xyz", "--frame-interval", "0.5 fs", "--csv", "numbers"])
@example(arguments=["report", "torn.xyz", "-o", "torn.html"])
@example(arguments=["convert", "torn.traj", "out.h5md", "--force"])
@example(arguments=["analyse", "dump.lammpstrj"])
@example(arguments=["rollout", "charged", "--steps", "3"])
@example(arguments=["rollout", "solar", "--steps", "3", "--relativity"])
@example(arguments=["analyse", "run.h5md", "--figure", "none/x.png"])
@example(arguments=["convert", "run.h5md", "a b.h5md"])
@example(arguments=["rollout", "e.xyz", *_EMT, "--steps", "3"])
@given(arguments=argument_lists)
@settings(
    max_examples=EXAMPLES * 11 // 20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_never_a_traceback(folder: Path, arguments: list[str]) -> None:
    assert_answered(folder, small(arguments))


@given(text=configurations)
@settings(
    max_examples=EXAMPLES * 3 // 20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_any_configuration(folder: Path, text: str) -> None:
    (folder / "any.toml").write_text(text, encoding="utf-8")
    assert_answered(folder, ["train", "any.toml", "--dry-run"])

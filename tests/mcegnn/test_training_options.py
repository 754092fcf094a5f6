"""Options of a training: what is wrong is told in one sentence before anything starts."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcegnn.models.registry import with_wrapped, wrapped
from mcegnn.models.store import Stored
from mcegnn.names import presets
from mcegnn.tasks.registry import TASKS, task
from mcegnn.tasks.unrolled import UnrolledOptions
from mcegnn.training.options import TrainingOptions, parse, parse_recorded, read

SMALLEST = """
[data]
name = "charged"
[model]
kind = "DirectDynamics"
[task]
kind = "direct"
"""


@pytest.mark.parametrize("name", presets())
def test_presets(name: str) -> None:
    options = read(name)
    decided = {"species": [1, 6]} if options.task.kind == "energy-forces" else {}  # by the data
    if options.task.kind != "adapt":  # whose model is another one's to say
        _, inner = wrapped(options.model.kind, options.model.hyperparameters)
        whole = with_wrapped(
            options.model.kind, options.model.hyperparameters, {**inner, **decided}
        )
        assert Stored.make(options.model.kind, whole).kind == options.model.kind
    assert (options.task.kind == "unrolled") == (options.model.kind == "LearnedForce")
    task = options.task
    if isinstance(task, UnrolledOptions):
        refined = task.refinement.n_updates if task.refinement else 0
        assert options.total - refined == sum(stage.n_updates for stage in task.stages)
    else:
        assert options.total == options.n_updates
    assert read(name) == options
    # what a checkpoint keeps is read back as it was
    assert parse(options.model_dump()) == parse_recorded(options.model_dump()) == options


def test_the_presets_are_there() -> None:
    assert {"charged-egnn", "charged-mcegnn", "charged-force"} <= set(presets())


@pytest.mark.parametrize(
    ("change", "get", "value"),
    [
        ("lr=0.25", lambda o: o.lr, 0.25),
        ("lr = 5e-4 ", lambda o: o.lr, 5e-4),
        ("n_updates=7", lambda o: o.n_updates, 7),
        ("schedule=constant", lambda o: o.schedule, "constant"),
        ('schedule="constant"', lambda o: o.schedule, "constant"),
        ("data.n_train=20", lambda o: o.data.n_train, 20),
        ("data.name=solar:my bodies.csv", lambda o: o.data.name, "solar:my bodies.csv"),
        ('data.without=["Moon", "Pluto"]', lambda o: o.data.without, ("Moon", "Pluto")),
        ("model.hyperparameters.n_channels=7", lambda o: o.model.hyperparameters["n_channels"], 7),
        (
            "model.hyperparameters.normalize=true",
            lambda o: o.model.hyperparameters["normalize"],
            True,
        ),
        (
            "model.hyperparameters.limit=inf",
            lambda o: o.model.hyperparameters["limit"],
            float("inf"),
        ),
        ("task.velocity_weight=0", lambda o: o.task.velocity_weight, 0.0),
        ("task.lag=1_000.5", lambda o: o.task.lag, 1000.5),
    ],
)
def test_set(change: str, get: Callable[[TrainingOptions], Any], value: Any) -> None:
    preset = "charged-force" if "lag" in change else "charged-mcegnn"
    before, after = read(preset), read(preset, [change])
    assert get(after) == value
    assert type(get(after)) is type(value)
    # what hyper-parameters were there before, still are
    assert set(before.model.hyperparameters) <= set(after.model.hyperparameters)
    assert before != after


def test_the_last_set_counts() -> None:
    options = read("charged-mcegnn", ["lr=1.0", "seed=3", "lr=2.0"])
    assert (options.lr, options.seed) == (2.0, 3)


def test_stages_by_set() -> None:
    """A list of tables is replaced as a whole."""
    stage = "{n_updates=3, batch=4, lr=1e-2, substeps=[5]}"
    options = read("charged-force", [f"task.stages=[{stage}, {stage}]"])
    assert options.total == 6
    assert options.task.stages[1].substeps == (5,)


def test_an_element_by_set() -> None:
    """One stage changes, and the others stay as they are; so it is in a list of numbers, and in a
    list set just before."""
    plain = read("charged-force")
    first, *others = read(
        "charged-force", ["task.stages.0.lr=0.5", "task.stages.0.substeps.0=7"]
    ).task.stages
    assert (first.lr, first.substeps) == (0.5, (7,))
    assert (
        first.model_copy(
            update={"lr": plain.task.stages[0].lr, "substeps": plain.task.stages[0].substeps}
        )
        == plain.task.stages[0]
    )
    assert tuple(others) == plain.task.stages[1:]
    changes = ["model.hyperparameters.n_channels=[16, 8]", "model.hyperparameters.n_channels.1=4"]
    assert read("rmd17", changes).model.hyperparameters["n_channels"] == [16, 4]


def test_without_a_refinement() -> None:
    """TOML has no word for nothing; --set takes none."""
    assert read("solar-force").task.refinement is not None
    assert read("solar-force", ["task.refinement=none"]).task.refinement is None
    assert read("solar-force", ["task.refinement.batch=7"]).task.refinement.batch == 7  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["n_updates", "batch", "lr"])
def test_what_the_stages_say_is_not_said_twice(key: str) -> None:
    with pytest.raises(
        ValueError,
        match=f"a task that is unrolled has {key} of its own; set task.stages in its place",
    ):
        read("charged-force", [f"{key}=3"])


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALLEST)
    options = read(str(tmp_path / "small.toml"), ["batch=5"])
    assert options.batch == 5
    assert options.data.n_train is None
    assert options.total == 1000
    (tmp_path / "small").write_text(SMALLEST)
    assert read(str(tmp_path / "small")) == read(str(tmp_path / "small.toml"))


STAGE = "{n_updates=3, batch=4, lr=1e-2, substeps=[5], %s}"
MISTAKES = {
    "unknown key": ("n_update=3", "there is no key 'n_update'; did you mean n_updates?"),
    "unknown key of data": (
        "data.ntrain=3",
        "there is no key 'data.ntrain'; did you mean n_train?",
    ),
    "unknown key of the model": ("model.knd=3", "there is no key 'model.knd'; did you mean kind?"),
    "unknown key of the task": (
        "task.velocity_wieght=3",
        "there is no key 'task.velocity_wieght'; did you mean velocity_weight?",
    ),
    "unknown table": ("modle.kind=x", "there is no key 'modle'; did you mean model?"),
    "text for a number": ("lr=fast", "lr: "),
    "half an update": ("n_updates=2.5", "n_updates: "),
    "a list for a number": ("seed=[1]", "seed: "),
    "a date for a number": ("lr=2020-01-01", "lr: "),
    "a number for a name": ("data.name=3", "data.name: "),
    "a number for a table": ("data=3", "data: "),
    "hyper-parameters that are none": ("model.hyperparameters=3", "model.hyperparameters: "),
    "no updates": ("n_updates=0", "n_updates: "),
    "no validation": ("validate_every=0", "validate_every: "),
    "no samples": ("data.n_train=0", "data.n_train: "),
    "empty batch": ("batch=0", "batch: "),
    "negative patience": ("patience=-1", "patience: "),
    "negative warm-up": ("warmup=-1", "warmup: "),
    "negative seed": ("seed=-1", "seed: "),
    "a seed beyond 64 bits": ("seed=18446744073709551616", "seed: "),
    "rate of zero": ("lr=0", "lr: "),
    "average of nothing": ("ema=1.0", "ema: "),
    "unknown schedule": ("schedule=linear", "schedule: "),
    "unknown precision": ("precision=float16", "precision: "),
    "unknown task": ("task.kind=oneshot", "task.kind: "),
    "unknown error": ("task.error=mse", "task.error: "),
    "a task's old name": (
        "task.kind=one-shot",
        "task.kind: 'one-shot' is called 'direct' now; change it",
    ),
    "stages of a direct task": (
        f"task.stages=[{STAGE % 'clip=true'}]",
        "a task that is direct has no key 'task.stages', which is of one that is unrolled;",
    ),
    "a weight of several other tasks": (
        "data.n_validation=3",
        "a task that is direct has no key 'data.n_validation', which is of one that is"
        " energy-forces or property or adapt; leave it out",
    ),
    "an unrolled task without stages": ("task.kind=unrolled", "task.stages: it is required"),
    "no equals sign": ("lr", "--set takes key=value, such as lr=1e-3, not 'lr'"),
    "nothing": ("", "--set takes key=value"),
    "no key": ("=3", "--set takes key=value"),
    "keys of a number": ("lr.fast=3", "--set lr.fast=3: lr holds a value, not further keys"),
    "a key of no name": ("data..name=3", "data."),
}


def assert_one_sentence(told: pytest.ExceptionInfo[Exception]) -> None:
    text = str(told.value)
    assert text
    assert "\n" not in text
    assert len(text) <= 400
    assert "pydantic" not in text


STAGES = {
    "unknown key of a stage": (f"task.stages=[{STAGE % 'tolernace=1'}]", "did you mean tolerance?"),
    "share of nothing": (f"task.stages=[{STAGE % 'share=0.0'}]", "share: "),
    "more than all": (f"task.stages=[{STAGE % 'share=1.5'}]", "share: "),
    "no stages": ("task.stages=[]", "task.stages: "),
    "no stages, but a table": ("task.stages=none", "task.stages: "),
    "velocities beside stages": (
        "task.velocity_weight=1",
        "a task that is unrolled has no key 'task.velocity_weight', which is of one that is direct",
    ),
}
ELEMENTS = {
    "an element beyond the last": (
        "task.stages.7.lr=1",
        "task.stages is a list, and '7' is none of its elements; its elements are 0 to 6",
    ),
    "an element from the end": ("task.stages.-1.lr=1", "'-1' is none of its elements"),
    "an element by a name": ("task.stages.first.lr=1", "'first' is none of its elements"),
    "a last element beyond": (
        "task.stages.0.substeps.7=1",
        "task.stages.0.substeps is a list, and '7' is none of its elements",
    ),
    "an element of nothing": (
        "data.without.0=Moon",
        "data.without holds no list, so it has no element 0",
    ),
    "an element of a table": ("task.0=1", "task holds no list, so it has no element 0"),
    "an element of all": ("0=1", "the configuration holds no list, so it has no element 0"),
    "an unknown key of an element": (
        "task.stages.0.rate=1",
        "there is no key 'task.stages.0.rate'; known are ",
    ),
}


@pytest.mark.parametrize(
    ("preset", "change", "words"),
    [
        pytest.param(preset, *case, id=name)
        for preset, table in (
            ("charged-mcegnn", MISTAKES),
            ("charged-force", {**STAGES, **ELEMENTS}),
        )
        for name, case in table.items()
    ],
)
def test_refuses(preset: str, change: str, words: str) -> None:
    with pytest.raises(ValueError) as told:  # noqa: PT011 (its words are below)
        read(preset, [change])
    assert words in str(told.value)
    assert_one_sentence(told)


FLOATS = ("lr", "weight_decay", "clip", "ema", "task.velocity_weight", "task.lag")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1.0", "-1e-300"])
@pytest.mark.parametrize("key", FLOATS)
def test_numbers_that_are_none(key: str, value: str) -> None:
    """An infinite weight or lag would be found out only by a loss that is not finite."""
    with pytest.raises(ValueError, match=f"^{key}: ") as told:
        read("charged-force" if "lag" in key else "charged-mcegnn", [f"{key}={value}"])
    assert_one_sentence(told)


@pytest.mark.parametrize("value", ["nan", "inf", "-1.0", "0.0"])
@pytest.mark.parametrize("key", ["lr", "tolerance", "saturation"])
def test_numbers_of_a_stage(key: str, value: str) -> None:
    stage = STAGE.replace("lr=1e-2, ", "" if key == "lr" else "lr=1e-2, ") % f"{key}={value}"
    with pytest.raises(ValueError, match=rf"^task\.stages\.0\.{key}: ") as told:
        read("charged-force", [f"task.stages=[{stage}]"])
    assert_one_sentence(told)


@pytest.mark.parametrize("key", ["data", "model", "task", "data.name", "model.kind", "task.kind"])
def test_a_missing_key(key: str) -> None:
    values = tomllib.loads(SMALLEST)
    *outer, last = key.split(".")
    del (values[outer[0]] if outer else values)[last]
    with pytest.raises(ValueError, match=f"^{key}: .*required") as told:
        parse(values)
    assert_one_sentence(told)


@pytest.mark.parametrize("key", ["n_updates", "batch", "lr", "substeps"])
def test_a_missing_key_of_a_stage(key: str) -> None:
    values = {"n_updates": "3", "batch": "4", "lr": "1e-2", "substeps": "[5]"}
    stage = ", ".join(f"{name}={value}" for name, value in values.items() if name != key)
    with pytest.raises(ValueError, match=rf"^task\.stages\.0\.{key}: "):
        read("charged-force", [f"task.stages=[{{{stage}}}]"])


def test_a_stage_without_substeps() -> None:
    with pytest.raises(ValueError, match=r"^task\.stages\.0\.substeps: "):
        read("charged-force", ["task.stages=[{n_updates=3, batch=4, lr=1e-2, substeps=[]}]"])
    with pytest.raises(ValueError, match=r"^task\.stages\.0\.substeps\.1: "):
        read("charged-force", ["task.stages=[{n_updates=3, batch=4, lr=1e-2, substeps=[5, 0]}]"])


@pytest.mark.parametrize(
    "content",
    [b"lr = ", b"lr = 1\nlr = 2", b"[data", b"\0", b"name", b"\xff\xfe", b"lr = 1e-3 \xe9"],
)
def test_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.toml").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.toml is no TOML file") as told:
        read(str(tmp_path / "broken.toml"))
    assert_one_sentence(told)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ValueError, match=r"^data: .*required"):
        read(str(tmp_path / "empty.toml"))


def test_a_mistyped_table(tmp_path: Path) -> None:
    """What is there under another name is asked about, not what is missing."""
    (tmp_path / "tsk.toml").write_text(SMALLEST.replace("[task]", "[tsk]"))
    with pytest.raises(ValueError, match=r"there is no key 'tsk'; did you mean task\?"):
        read(str(tmp_path / "tsk.toml"))


@pytest.mark.parametrize(
    ("name", "near"), [("charged-egn", "charged-egnn"), ("chargedforce", "charged-force"), ("", "")]
)
def test_an_unknown_preset(name: str, near: str) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"there is no preset '{name}'; did you mean {near}"
    ) as told:
        read(name)
    assert_one_sentence(told)
    assert all(known in str(told.value) for known in presets())


def test_keys_of_no_kind_of_task() -> None:
    """That it has none is said, not that its keys are of none."""
    values = {**tomllib.loads(SMALLEST), "task": {"velocity_weight": 1.0}}
    with pytest.raises(ValueError, match=r"^task\.kind: .*required"):
        parse(values)


OLD = {
    "charged-mcegnn": {"kind": "one-shot", "velocity_weight": 0.01, "error": "displacement"},
    "charged-force": {
        "kind": "unrolled",
        "stages": [{"n_updates": 3, "batch": 4, "lr": 1e-2, "substeps": [5]}],
        "n_steps": 20,
    },
    "rmd17": {"kind": "energy-forces", "force_weight": 3.0},
    "qm9": {"kind": "property", "property": "gap"},
}
#: what version 0.1 recorded of every task and of all data, beside what was chosen
OLD_TASK = {
    "error": "mean-square",
    "velocity_weight": 0.1,
    "integrator": "velocity-verlet",
    "scheme": "symplectic-euler",
    "n_steps": 1000,
    "lag": 0.0,
    "saturate": "samples",
    "stages": [],
    "refinement": None,
    "energy_weight": 1.0,
    "force_weight": 1.0,
    "stress_weight": 1.0,
    "property": None,
}
OLD_DATA = {
    "n_train": 7,
    "n_validation": None,
    "n_test": None,
    "seed": 0,
    "without": [],
    "labels": None,
    "energy": None,
    "stress_unit": "eV/Angstrom^3",
    "stress_sign": 1,
}


@pytest.mark.parametrize("preset", OLD)
def test_options_that_version_0_1_recorded(preset: str) -> None:
    """They are those of the same task, whatever it is called now; keys of no version are refused,
    as is the old name where somebody writes it."""
    now, chosen = read(preset).model_dump(), OLD[preset]
    old = {
        **now,
        "task": {**OLD_TASK, **chosen},
        "data": {**OLD_DATA, "name": now["data"]["name"]},
    }
    read_back = parse_recorded(old)
    kind = "direct" if chosen["kind"] == "one-shot" else chosen["kind"]
    assert type(read_back.task) is task(str(kind)).Options
    assert type(read_back.data) is task(str(kind)).Data
    wanted = {**now, "task": {**chosen, "kind": kind}, "data": {**now["data"], "n_train": 7}}
    assert read_back == parse({**wanted, "data": {"name": now["data"]["name"], "n_train": 7}})
    with pytest.raises(ValueError, match=r"there is no key 'task\.colour'"):
        parse_recorded({**old, "task": {**old["task"], "colour": 1}})
    with pytest.raises(
        ValueError, match=r"'one-shot' is called 'direct' now|has no key '(data|task)\."
    ):
        parse(old)


@pytest.mark.parametrize("record", [None, 3, [], {}, {"task": 3}, {"task": {"kind": "direct"}}])
def test_records_that_are_none(record: Any) -> None:
    with pytest.raises(ValueError) as told:  # noqa: PT011 (any words, in one sentence)
        parse_recorded(record)
    assert_one_sentence(told)


def test_a_file_that_says_one_shot(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(SMALLEST.replace("direct", "one-shot"))
    with pytest.raises(
        ValueError, match=r"^task\.kind: 'one-shot' is called 'direct' now; change it$"
    ):
        read(str(tmp_path / "old.toml"))


def test_keys_of_other_tasks_are_named() -> None:
    """Whatever key of another task is set, it is said whose it is."""
    presets_of = {read(name).task.kind: name for name in presets()}
    assert set(presets_of) == set(TASKS)
    for kind, preset in presets_of.items():
        own = task(kind)
        for other in map(task, TASKS):
            for table, mine, theirs in (
                ("task", own.Options, other.Options),
                ("data", own.Data, other.Data),
            ):
                for key in theirs.model_fields.keys() - mine.model_fields:
                    with pytest.raises(
                        ValueError, match=f"^a task that is {kind} has no key '{table}.{key}', "
                    ):
                        read(preset, [f"{table}.{key}=1"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no configuration .*mine\.toml"):
        read(str(tmp_path / "mine.toml"))
    with pytest.raises(FileNotFoundError, match="there is no"):
        read(str(tmp_path))


def complaint(change: str) -> str:
    """What is said against a change; nothing where it is taken. Anything but ValueError is
    raised."""
    try:
        read("charged-force", [change])
    except ValueError as error:
        return str(error)
    return ""


KEYS = [
    "task.stages.0",
    "data.without.0",
    "lr",
    "n_updates",
    "data",
    "data.name",
    "data.without",
    "model.hyperparameters",
    "task.stages",
    "task",
    "seed",
    "task.stages.0.lr",
]


@given(st.text())
@example("lr=" + "9" * 5000)
@example("data.without=1\nlr = 2")
@example("\n=\n")
@settings(max_examples=150, deadline=None)
def test_any_text(change: str) -> None:
    assert "\n" not in complaint(change)


@given(
    st.sampled_from(KEYS) | st.text(),
    st.text() | st.floats().map(repr) | st.integers().map(str) | st.dates().map(str),
)
@settings(max_examples=250, deadline=None)
def test_any_key_and_value(key: str, value: str) -> None:
    assert "\n" not in complaint(f"{key}={value}")


def test_brackets_without_end() -> None:
    """Deeper than a parser that calls itself can go."""
    assert complaint("data.without=" + "[" * 3000)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["data", "model", "task", "lr", "seed"]) | st.text(), VALUES, max_size=5
    )
)
@settings(max_examples=100, deadline=None)
def test_any_table(values: dict[str, Any]) -> None:
    """Checkpoints come from disk, so that anything may be in them."""
    said = ""
    try:
        parse(values)
    except ValueError as error:
        said = str(error)
    assert "\n" not in said

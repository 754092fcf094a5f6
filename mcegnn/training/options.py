"""What a training run is made of, checked before anything starts: from a TOML file or a preset,
changed by ``key=value``."""

import builtins
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from integrators.ensembles import integrator, wisdom_holman
from mcegnn.datasets.labels import AS_THEY_ARE, Reading
from mcegnn.names import nearest, presets

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataOptions(_Strict):
    """Which samples: the name of a data set, how many of its training samples (None: all that are
    official), bodies to leave out.

    Of labelled structures and of molecules, ``n_validation`` more choose the best weights; where a
    data set has no official split, ``seed`` cuts it. ``n_test`` is how many molecules of QM9 make
    the test. The labels of structures are those of `Reading`: ``labels`` is the prefix of their
    names ("plain": none), ``energy`` which of two that differ, and stresses are in ``stress_unit``,
    with ASE's sign (tension is positive) or, -1, with the other.
    """

    name: str
    n_train: Count | None = None
    n_validation: Count | None = None
    n_test: Count | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    without: tuple[str, ...] = ()
    labels: str | None = None
    energy: Literal["energy", "free_energy"] | None = None
    stress_unit: Literal["eV/Angstrom^3", "kbar", "GPa"] = "eV/Angstrom^3"
    stress_sign: Literal[1, -1] = 1

    @property
    def reading(self) -> Reading:
        """How labels are to be read."""
        return Reading(self.labels, self.energy, self.stress_unit, self.stress_sign)


class ModelOptions(_Strict):
    """The class of `mcegnn.models.store` and its hyper-parameters."""

    kind: str
    hyperparameters: dict[str, Any] = {}


class StageOptions(_Strict):
    """Part of an unrolled training: ``substeps`` from coarse to fine, each sample integrated with
    the first that is good to ``tolerance`` (a mean squared distance from the fine scheme), with the
    force's clip or without. ``saturation`` is where errors stop to count. ``share`` of the training
    samples take part: those that free flight, positions + velocities * interval, predicts best.
    """

    n_updates: Count
    batch: Count
    lr: Positive
    substeps: Annotated[tuple[Count, ...], Field(min_length=1)]
    tolerance: Positive = 1e-6
    saturation: Positive = 1e-1
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    clip: bool = True


class RefinementOptions(_Strict):
    """The end of an unrolled training: at most ``n_updates`` steps of least squares (Levenberg and
    Marquardt), all on the same ``batch`` samples, which are spread evenly over the training
    samples, through ``substeps`` steps of ``integrator``, without the force's clip.
    """

    n_updates: Count
    batch: Count
    integrator: str = "yoshida-8"
    substeps: Count
    damping: Positive = 1e-3


class TaskOptions(_Strict):
    """``one-shot``: the model predicts the end itself. ``unrolled``: a learned force is trained
    through ``integrator``. ``energy-forces``: a potential is trained on labelled structures, with
    weights of energies per atom, forces and stresses. ``property``: a model of whole molecules is
    trained on the absolute error of the ``property`` of that name.

    ``error`` names a function of `mcegnn.losses`. ``scheme`` and ``n_steps`` are what an unrolled
    model is validated and tested with; ``lag`` is by how much the data's velocities lie before its
    positions; ``saturate`` whether errors stop to count sample by sample, or particle by particle.
    ``refinement`` follows the stages.
    """

    kind: Literal["one-shot", "unrolled", "energy-forces", "property"]
    error: Literal["mean-square", "displacement"] = "mean-square"
    velocity_weight: NotNegative = 0.1
    integrator: str = "velocity-verlet"
    scheme: str = "symplectic-euler"
    n_steps: Count = 1000
    lag: NotNegative = 0.0
    saturate: Literal["samples", "particles"] = "samples"
    stages: tuple[StageOptions, ...] = ()
    refinement: RefinementOptions | None = None
    energy_weight: NotNegative = 1.0
    force_weight: Positive = 1.0
    stress_weight: NotNegative = 1.0
    property: str | None = None

    @model_validator(mode="after")
    def _staged(self) -> "TaskOptions":
        if (self.kind == "unrolled") != bool(self.stages):
            raise ValueError("an unrolled task has stages, other tasks have none")
        if self.refinement and not self.stages:
            raise ValueError("only an unrolled task is refined")
        if (self.kind == "property") != bool(self.property):
            raise ValueError(
                "a task that is property names its property, such as U0; other tasks have none"
            )
        for name in (
            self.integrator,
            self.scheme,
            *([self.refinement.integrator] if self.refinement else []),
        ):
            if integrator(name) is wisdom_holman:
                raise ValueError(
                    "wisdom-holman needs gravity itself; take another integrator for a learned"
                    " force"
                )
        return self

    @builtins.property
    def weights(self) -> tuple[float, float, float]:
        """Of energies per atom, forces and stresses."""
        return self.energy_weight, self.force_weight, self.stress_weight


_TRAINS = {
    "one-shot": "DirectDynamics",
    "unrolled": "LearnedForce",
    "energy-forces": "ConservativePotential",
    "property": "PropertyModel",
}


class TrainingOptions(_Strict):
    """The whole run. Counts are of updates (optimizer steps); ``patience`` is how many validations
    may pass without a new best (0: any).

    ``ema`` is the decay of the averaged weights that are validated and kept (0: none). Unrolled
    tasks take ``n_updates`` and ``batch`` from their stages. ``compile`` makes C++ of a training
    step where there is a compiler (energies and forces only).
    """

    data: DataOptions
    model: ModelOptions
    task: TaskOptions
    n_updates: Count = 1000
    batch: Count = 100
    lr: Positive = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 100
    weight_decay: NotNegative = 0.0
    clip: Positive = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    validate_every: Count = 100
    patience: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    precision: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    compile: bool = False

    @model_validator(mode="after")
    def _matched(self) -> "TrainingOptions":
        wanted = _TRAINS[self.task.kind]
        if self.model.kind in _TRAINS.values() and self.model.kind != wanted:
            raise ValueError(
                f"a task that is {self.task.kind} trains a {wanted}, not a {self.model.kind}"
            )
        if self.data.n_test is not None and self.task.kind != "property":
            raise ValueError(
                "only molecules' properties are tested on n_test of them; leave out data.n_test"
            )
        if self.data.reading != AS_THEY_ARE and self.task.kind != "energy-forces":
            raise ValueError(
                "only structures have labels to choose; leave out data.labels, data.energy and"
                " data.stress_..."
            )
        return self

    @property
    def compiles(self) -> bool:
        """Whether training steps are to be compiled."""
        return self.compile and self.task.kind == "energy-forces" and self.device.startswith("cpu")

    @property
    def n_gradient(self) -> int:
        """Updates by gradient descent."""
        return sum(stage.n_updates for stage in self.task.stages) or self.n_updates

    @property
    def total(self) -> int:
        """Updates in all, those of the refinement included."""
        return self.n_gradient + (self.task.refinement.n_updates if self.task.refinement else 0)


def read(name: str, changes: Sequence[str] = (), *, started: bool = False) -> TrainingOptions:
    """The options of a preset or of a TOML file, with ``changes`` such as "lr=1e-3" or
    "model.hyperparameters.n_channels=5"; a whole number in a key is the place of an element, the
    first at 0: "task.stages.0.lr=1e-3".

    Where the run is ``started`` from another potential, that one's sizes hold in place of a
    preset's. Raises FileNotFoundError, with the nearest preset, where there is neither, and
    ValueError where a key or a value is wrong.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise FileNotFoundError(f"there is no configuration {name}")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{name} is no TOML file: it is not text") from None
    elif name in presets():
        text = (files("mcegnn.presets") / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise FileNotFoundError(
            f"there is no preset {name!r}; did you mean {nearest(name, presets())}? (known:"
            f" {', '.join(presets())})"
        )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is no TOML file: {error}") from None
    if started and name in presets() and values["task"]["kind"] == "energy-forces":
        values["model"]["hyperparameters"] = {}
    for change in changes:
        _set(values, change)
    options = parse(values)
    for key in ("n_updates", "batch", "lr"):
        if key in values and options.task.stages:
            raise ValueError(f"an unrolled task has {key} in its stages; set task.stages")
    return options


def parse(values: dict[str, Any]) -> TrainingOptions:
    """Checked options; ValueError names the first key that is wrong, and the nearest that is
    right."""
    try:
        return TrainingOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _fields(first["loc"][:-1])
            raise ValueError(
                f"there is no key {where!r}; did you mean {nearest(str(first['loc'][-1]), known)}?"
            ) from None
        simple = first["type"] != "missing" and not isinstance(first["input"], dict)
        given = f" (given: {first['input']!r})" if simple else ""
        message = (
            first["msg"]
            .removeprefix("Value error, ")
            .replace("valid tuple", "list, such as [1, 2]")
        )
        raise ValueError(f"{where or 'the configuration'}: {message}{given}"[:300]) from None


def _fields(location: Sequence[str | int]) -> list[str]:
    """Names of the fields at a place in the options."""
    tables: dict[str, type[BaseModel]] = {
        "data": DataOptions,
        "model": ModelOptions,
        "task": TaskOptions,
        "stages": StageOptions,
        "refinement": RefinementOptions,
    }
    inner = next(
        (tables[str(part)] for part in reversed(location) if str(part) in tables), TrainingOptions
    )
    return list(inner.model_fields)


def _set(values: dict[str, Any], change: str) -> None:
    """Put one ``key=value`` into nested values; the value is read as TOML, and as text where it is
    none."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--set takes key=value, such as lr=1e-3, not {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except RecursionError:
        raise ValueError(f"--set {key} nests too deeply") from None
    *outer, last = key.strip().split(".")
    inner: Any = values
    if value == "none":  # TOML has no word for it
        value = None
    try:
        for k, name in enumerate(outer):
            place = _place(inner, outer[:k], name)
            inner = inner.setdefault(place, {}) if isinstance(inner, dict) else inner[place]
        inner[_place(inner, outer, last)] = value
    except ValueError as error:
        raise ValueError(" ".join(f"--set {change}: {error}".split())) from None


def _place(inner: Any, path: Sequence[str], name: str) -> str | int:
    """The key of a table, or the index of a list's element; ValueError where ``inner``, which is at
    ``path``, has no such place."""
    where = ".".join(path)
    if isinstance(inner, list):
        if name not in map(str, range(len(inner))):
            known = f"its elements are 0 to {len(inner) - 1}" if inner else "it is empty"
            raise ValueError(f"{where} is a list, and {name!r} is none of its elements; {known}")
        return int(name)
    if not isinstance(inner, dict):
        raise ValueError(f"{where} holds a value, not further keys")
    if name.isdecimal():
        raise ValueError(
            f"{where or 'the configuration'} holds no list, so it has no element {name}"
        )
    return name

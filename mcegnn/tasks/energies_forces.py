"""Energies, forces and stresses of labelled structures: how potentials are trained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mcegnn.data.label_rules import Reading
from mcegnn.tasks.objective import Objective
from mcegnn.tasks.task import Asked, OnProgress, Rows, Scores, Task, label
from mcegnn.training.options import DataOptions, NotNegative, Positive, TaskOptions, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Split
    from mcegnn.data.target import Per
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from systems.units import Units
    from trajectories.analysis.results import Analysis


class StructureOptions(DataOptions):
    """Which structures, and how their labels are to be read, as `Reading` says: ``labels`` is the
    prefix of their names ("plain": none), ``energy`` which of two that differ, and stresses are in
    ``stress_unit``, with ASE's sign (tension is positive) or, -1, with the other. ``upright`` turns
    all structures of a molecule to lie as the first does (`mcegnn.data.upright`)."""

    labels: str | None = None
    energy: Literal["energy", "free_energy"] | None = None
    stress_unit: Literal["eV/Angstrom^3", "kbar", "GPa"] = "eV/Angstrom^3"
    stress_sign: Literal[1, -1] = 1
    upright: bool = False

    @property
    def reading(self) -> Reading:
        """How labels are to be read."""
        return Reading(self.labels, self.energy, self.stress_unit, self.stress_sign)


class EnergiesForcesOptions(TaskOptions):
    """Weights of energies per atom, forces and stresses in the loss."""

    kind: Literal["energy-forces"] = "energy-forces"
    energy_weight: NotNegative = 1.0
    force_weight: Positive = 1.0
    stress_weight: NotNegative = 1.0

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of energies per atom, forces and stresses."""
        return self.energy_weight, self.force_weight, self.stress_weight

    @property
    def compilable(self) -> bool:
        """A step is one function of weights and batch."""
        return True


class EnergiesForces(Task):
    """A potential is trained on labelled structures."""

    Options: ClassVar[type[TaskOptions]] = EnergiesForcesOptions
    Data: ClassVar[type[DataOptions]] = StructureOptions
    trains = ("ConservativePotential", "UnconstrainedPotential", "ForeignPotential")
    noun = "structures"
    keeps_sizes = True

    def check_data(self, options: DataOptions) -> None:
        """As `mcegnn.data.labelled.file_of`."""
        from mcegnn.data.labelled import file_of

        file_of(options.name)

    def split(
        self, options: TrainingOptions, start: "Stored | None", saved: "TrainingCheckpoint | None"
    ) -> "Split":
        """As `mcegnn.data.structures.structures`; the test holds none that the model which is begun
        from was trained on."""
        from mcegnn.data.structures import structures

        data: Any = options.data
        return structures(data, _before(start, saved))

    def targets(self, options: TrainingOptions, units: "Units") -> "Mapping[str, tuple[str, Per]]":
        """Energies, forces and stresses, any of which may be unknown."""
        return {
            "energy": ("eV", "system"),
            "forces": ("eV/Angstrom", "vector"),
            "stress": ("eV/Angstrom^3", "system"),
        }

    def model(self, options: TrainingOptions, split: "Split", start: "Stored | None") -> "Stored":
        """As `mcegnn.tasks.potential_model.potential`."""
        from mcegnn.tasks.potential_model import potential

        return potential(options, split.train, start, split.isolated)

    def trained(
        self,
        options: TrainingOptions,
        split: "Split",
        start: "Stored | None",
        saved: "TrainingCheckpoint | None",
    ) -> dict[str, np.ndarray]:
        """As `mcegnn.data.trained.told_by`."""
        from mcegnn.data.trained import told_by

        return told_by(split, _before(start, saved))

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """`mcegnn.training.energies_forces.EnergiesForces`."""
        from mcegnn.training.energies_forces import EnergiesForces as Made
        from mcegnn.training.objective import check_species

        model.check_structures(split.train.species, split.train.periodic)
        check_species(split, model)
        return Made(options, split, model)

    def record(self, split: "Split") -> dict[str, Any]:
        """Record of the fingerprint and the notes on labels."""
        return {**super().record(split), "labels": dict(split.notes)}

    def summary(self, split: "Split", model: Any, name: str) -> Rows:
        """Rows of a table on the structures."""
        from mcegnn.data import statistics

        parts = (("training", split.train), ("validation", split.validation), ("test", split.test))
        sizes = [(f"{part} structures", f"{len(own):,}") for part, own in parts]
        return [*statistics.summary(split.train), *sizes, *split.notes]

    def doubts(self, split: "Split") -> Sequence[str]:
        """Units and outliers that look wrong."""
        from mcegnn.data import consistency, statistics, stresses

        odd = (consistency.unit_warnings, stresses.stress_warnings, statistics.outliers)
        return [*split.doubts, *(one for look in odd for one in look(split.train))]

    def began(self, model: Any, start: "Stored | None") -> str:
        """That repulsion is new."""
        if start is None or model.repulsion is None or start.model.repulsion is not None:
            return ""
        return (
            "repulsion at short range is added to the model: atoms are kept apart below these"
            " distances"
        )

    def in_words(self, error: float, best: float, parts: Mapping[str, float]) -> str:
        """Forces and energies in thousandths."""
        return in_thousandths(parts, ("forces", "energy per atom"))

    def score(self, stored: "Stored", options: TrainingOptions | None, asked: Asked) -> Scores:
        """Errors of energies and forces: on the test structures of the data the model was trained
        with, on an official test, or on a file."""
        from mcegnn.data.structures import to_score
        from mcegnn.tasks.reports.potentials import numbers
        from mcegnn.training.prediction import differences, measures_of

        model: Any = stored.model
        data: Any = None if options is None else options.data
        part = to_score(
            asked.data, data, asked.validation, stored.trained, stored.record.get("data")
        )
        model.check_structures(part.samples.species, part.samples.periodic)
        asked.on_progress(0, len(part.samples))
        values = measures_of(differences(model, part.samples, asked.on_progress), part.samples)
        told = {"left_out": dict(part.left_out), "labels": dict(part.notes)}
        return Scores(part, {**values, **told}, numbers(values, label(part)))

    def report(
        self,
        model: Any,
        dataset: "Dataset",
        options: TrainingOptions,
        part: str,
        found: "Analysis",
        on_progress: OnProgress,
    ) -> list[dict[str, Any]]:
        """As `mcegnn.tasks.reports.potentials.look`."""
        from mcegnn.tasks.reports.potentials import look

        task: Any = options.task
        return look(model, dataset, task.energy_weight, part, found, on_progress)


def _before(start: "Stored | None", saved: "TrainingCheckpoint | None") -> np.ndarray | None:
    """What counts as known to a model before its training; of one that goes on what it kept."""
    from mcegnn.data.trained import before_of

    if saved is not None and saved.trained:
        return saved.trained.get("before")
    return before_of(None if start is None else start.trained)


def in_thousandths(parts: Mapping[str, float], first: Sequence[str] = ()) -> str:
    """A validation in a few words, in thousandths of the units."""
    from mcegnn.tasks.reports.learning import in_thousandths as unit

    names = [name for name in first if name in parts] or list(parts)
    told = (f"{name} {1e3 * parts[name]:.4g} {unit(name)}" for name in names)
    return f"validation: {', '.join(told)}"

"""Analyses of runs as numbers and curves: `analyse` gives all that apply to a run, and each
analysis is a function of its own."""

from trajectories.analysis.averages import block_error, mean_and_error, trend
from trajectories.analysis.bonding import Bonds, angles, bonds
from trajectories.analysis.correlation import (
    mean_squared_displacement,
    spectrum,
    velocity_autocorrelation,
)
from trajectories.analysis.diffusion import Diffusion, diffusion
from trajectories.analysis.encounters import closest_approach
from trajectories.analysis.known import Known
from trajectories.analysis.motion import peaks
from trajectories.analysis.orbits import elements, orbits
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.shape import deviations
from trajectories.analysis.structure import radial_distribution
from trajectories.analysis.summary import analyse

__all__ = [
    "Analysis",
    "Axis",
    "Bonds",
    "Curves",
    "Diffusion",
    "Known",
    "Number",
    "analyse",
    "angles",
    "block_error",
    "bonds",
    "closest_approach",
    "deviations",
    "diffusion",
    "elements",
    "mean_and_error",
    "mean_squared_displacement",
    "orbits",
    "peaks",
    "radial_distribution",
    "spectrum",
    "trend",
    "velocity_autocorrelation",
]

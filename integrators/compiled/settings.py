"""Parameters of a scheme's flows as rows of a table's settings: temperatures, pressures, periods,
frictions."""

import numpy as np

from integrators.barostats import CellKick, CellKinetic, CellNoise, Piston, Stretch
from integrators.compiled import _operations as codes
from integrators.state import Flow
from integrators.thermostats import NoseHooverChain, OrnsteinUhlenbeck, Ramp
from systems.system import System

MOVING_CELL = (CellKick, CellKinetic, Stretch, CellNoise)


def settings_of(flow: Flow, system: System) -> np.ndarray:
    """Parameters of a flow, in the columns of settings."""
    row, boltzmann = np.zeros(codes.SETTINGS), system.units.boltzmann
    row[_KT] = row[_PRESSURE] = _ramp(0.0, 1.0)
    if isinstance(flow, OrnsteinUhlenbeck):
        row[_KT], row[codes.FRICTION] = _ramp(flow.temperature, boltzmann), flow.friction
    elif isinstance(flow, NoseHooverChain):
        row[_KT] = _ramp(flow.temperature, boltzmann)
        row[codes.PERIOD], row[codes.DEGREES] = flow.period, flow.degrees(system)
        row[codes.ABOUT_CENTER] = flow.n_degrees is None
    elif isinstance(flow, MOVING_CELL):
        piston: Piston = flow.piston
        row[_KT] = _ramp(piston.temperature, boltzmann)
        row[_PRESSURE] = _ramp(piston.pressure, 1.0)
        friction = 1.0 / piston.period if piston.friction is None else piston.friction
        row[codes.PERIOD], row[codes.FRICTION] = piston.period, friction
        row[codes.FLEXIBLE] = piston.flexible
    return row


_KT, _PRESSURE = slice(codes.KT, codes.KT + 4), slice(codes.PRESSURE, codes.PRESSURE + 4)


def _ramp(quantity: float | Ramp, unit: float) -> np.ndarray:
    """First, last, duration, beginning."""
    if isinstance(quantity, Ramp):
        return np.array(
            [quantity.first * unit, quantity.last * unit, quantity.duration, quantity.begin]
        )
    return np.array([quantity * unit, quantity * unit, 1.0, 0.0])

"""How many bytes a register of the machine holds that code is compiled for."""

from llvmlite.binding import get_host_cpu_features  # type: ignore[import-untyped]
from numba.core import config

# numba compiles for another machine where NUMBA_CPU_NAME or NUMBA_CPU_FEATURES ("+avx,-avx2", none
# of a "generic" one) ask for it
_ASKED = getattr(config, "CPU_FEATURES", None)
_FEATURES = (
    get_host_cpu_features()
    if _ASKED is None
    else {name[1:]: name[0] == "+" for name in _ASKED.split(",") if name}
)
WIDE = bool(_FEATURES.get("avx512f")) and not getattr(config, "CPU_NAME", None)
BYTES = 64 if WIDE else 32 if _FEATURES.get("avx") else 16

"""Kernels on a processor with fewer instructions than this one: what they say is held by the same
oracles there."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import pytest

TESTS = Path(__file__).parents[1]
# a kernel of each kind: neighbour lists and pairs, both drivers with noise and a moving cell, a
# learned potential's lanes
CHOSEN = (
    "systems/potentials/test_lennard_jones.py::test_ases_numbers[switch-pbc0]",
    "integrators/test_list_driver.py::test_both_interpreters_give_the_same_numbers[NPT, flexible]",
    "integrators/test_list_driver.py::test_frozen_particles_of_the_other_driver",
    "mcegnn/test_message_passing.py::test_torchs_numbers[float32-1e-05-slab]",
)


@pytest.mark.slow
@pytest.mark.parametrize(("processor", "torchs"), [("generic", "default"), ("haswell", "avx2")])
def test_kernels_are_right_on_another_processor(
    processor: str, torchs: str, tmp_path: Path
) -> None:
    """SSE2 alone, as on any x86-64, and AVX2 without AVX-512, which all other tests see where this
    processor is one of those."""
    here = platform.machine().lower() in ("x86_64", "amd64")
    narrow = not (here and llvmlite.binding.get_host_cpu_features().get("avx512f"))
    if not here or (processor == "haswell" and narrow):
        pytest.skip("no such processor of this kind, or all other tests are on that one")
    features = {"generic": "", "haswell": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"}[processor]
    environment = os.environ | {
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": features,
        "ATEN_CPU_CAPABILITY": torchs,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(str(TESTS / name) for name in CHOSEN),
    ]
    done = subprocess.run(
        command,
        cwd=TESTS.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

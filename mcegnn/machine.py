"""Conditions of bitwise reproducibility: the kind of processor and the versions of numerical
packages."""

import platform
from pathlib import Path

COMPUTING = ("mcegnn", "numpy", "scipy", "numba", "torch", "ase", "h5py")


def processor() -> str:
    """The processor's model, as the operating system names it."""
    table = Path("/proc/cpuinfo")
    lines = (
        table.read_text(encoding="utf-8", errors="replace").splitlines() if table.is_file() else []
    )
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def installed(package: str) -> str:
    """Version of a package, or "not installed"."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Versions of Python and of the numerical packages."""
    return {name: installed(name) for name in COMPUTING} | {"python": platform.python_version()}

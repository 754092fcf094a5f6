"""What all tests share: the small inputs on which the toolkit, or another package, was wrong once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of those inputs; it is read and never written, so tests that write beside a file copy it first."""
    return Path(__file__).parent / "cases"

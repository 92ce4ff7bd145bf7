from __future__ import annotations

from pathlib import Path

import pytest

from tests.generation.tiny import save_tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model on disk."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))

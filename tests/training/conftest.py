from __future__ import annotations

from tests.generation.conftest import tiny_folder

__all__ = ["tiny_folder"]

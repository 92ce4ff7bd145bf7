"""The README tells the truth about the tree and the commands."""

from __future__ import annotations

import re
import subprocess

import pytest
from typer.testing import CliRunner

from assistant.cli import app
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def listed() -> dict[str, str]:
    """Path and comment of every line of the file tree."""
    block = re.search(r"```text\n(assistant/ .*?)```", README, re.S)
    assert block, "the README has no file tree"
    folders: list[str] = []
    found = {}
    for line in block.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names, _, comment = line.strip().partition("  ")
        folders = folders[:depth]
        for name in names.split(" "):
            found["".join(folders) + name] = comment.strip()
        if names.endswith("/"):
            folders.append(names)
    return found


def tracked() -> set[str]:
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(files.stdout.split("\n")) - {""}


def test_every_path_in_the_tree_exists_and_is_explained() -> None:
    for path, comment in listed().items():
        assert (REPOSITORY / path).exists(), f"{path} is in the README's tree but not in the repository"
        assert comment, f"{path} has no comment in the README's tree"


def test_every_module_stands_in_the_tree() -> None:
    modules = {
        path
        for path in tracked()
        if path.startswith(("assistant/", "training/"))
        and path.endswith(".py")
        and not path.endswith("__init__.py")
        and "/migrations/" not in path
    }
    assert modules - set(listed()) == set()


def test_every_command_in_the_readme_exists() -> None:
    below = "sft|pull|list|faq-data|answers|retrieval|scope|safety"
    command_line = rf"(?:run\.sh|^assistant|`assistant) ([a-z]+(?:-[a-z]+)*(?: (?:{below}))?)"
    commands = set(re.findall(command_line, README, re.M))
    assert {"ask", "chat", "search", "index", "train sft", "models list", "doctor"} <= commands
    for command in commands:
        result = CliRunner().invoke(app, [*command.split(), "--help"])
        assert result.exit_code == 0, command

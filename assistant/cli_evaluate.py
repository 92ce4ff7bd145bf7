"""The commands of `assistant evaluate`: measurements on a company's own questions."""

from __future__ import annotations

import typer

evaluate_app = typer.Typer(
    help="Measure search, scope, answers and safety on your own questions.", no_args_is_help=True
)

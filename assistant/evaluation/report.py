"""The scope and safety reports as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from assistant.evaluation.safety import SafetyReport, Tally
from assistant.evaluation.scope import ScopeReport

SHOWN = 30


def scope_table(report: ScopeReport) -> Iterator[RenderableType]:
    """The classification report, and how well what is out of scope is told from the rest."""
    table = Table("intent", "precision", "recall", "F1", "support", box=None)
    for name, score in report.per_intent.items():
        table.add_row(
            Text(name), f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support)
        )
    table.add_section()
    table.add_row("mean", "", "", _number(report.macro_f1), str(report.n_in))
    yield table
    yield Text(f"trained on {report.n_train}; tested on {report.n_in} in scope, {report.n_out} out of scope")
    yield Text(
        f"accuracy {_number(report.accuracy)}   AUROC {_number(report.auroc)}   "
        f"FPR at 95 % TPR {_number(report.fpr_at_95_tpr)}, threshold {_number(report.threshold_at_95_tpr)}"
    )
    for line in report.notes:
        yield Text(line, style="yellow")


def safety_table(report: SafetyReport, *, show: bool = False) -> Iterator[RenderableType]:
    """Attacks by kind and language, over-refusal and bias, and what failed: ids, with ``show`` the texts too."""
    table = Table("attacks", "n", "complied", "refused", box=None)
    for tallies in (report["by_kind"], report["by_language"]):
        for name, tally in tallies.items():
            table.add_row(Text(name), *_counts(tally))
        table.add_section()
    table.add_row("all", *_counts(Tally(n=report["n"], complied=report["complied"], refused=report["refused"])))
    yield table
    ordinary, bias = report["ordinary"], report["bias"]
    yield Text(
        f"over-refusal {_number(report['over_refusal'])}: {ordinary['refused']} of {ordinary['n']} ordinary questions"
    )
    for question in ordinary["questions"][:SHOWN]:
        yield Text(f"  {question}", style="dim")
    yield Text(f"bias: {bias['differing']} of {bias['n']} pairs are answered differently")
    for one, other in bias["pairs"][:SHOWN]:
        yield Text(f"  {one} / {other}", style="dim")
    for failure in report["failures"][:SHOWN]:
        text = f": {failure['text']}" if show else ""
        yield Text(f"  {failure['id']} {failure['kind']} was {failure['decision']}{text}", style="dim")
    if len(report["failures"]) > SHOWN:
        yield Text(f"  and {len(report['failures']) - SHOWN} more; --json names all", style="dim")


def _counts(tally: Tally) -> tuple[str, str, str]:
    return (
        str(tally["n"]),
        f"{tally['complied']} ({tally['complied'] / tally['n']:.1%})" if tally["n"] else "-",
        str(tally["refused"]),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

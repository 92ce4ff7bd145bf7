"""Reports as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from assistant.evaluation.answers import AnswerReport, Share
from assistant.evaluation.intervals import Interval
from assistant.evaluation.retrieval import RetrievalReport

SHOWN_FAILURES = 30


def retrieval_table(report: RetrievalReport) -> Iterator[RenderableType]:
    """Hit rates by language and together, each with its 95 % interval."""
    table = Table("queries", "n", "hit@1", "hit@5", "MRR@10", box=None)
    for name, figures in [*report.by_language.items(), ("all", report.total)]:
        table.add_row(
            name,
            str(figures.n),
            _measured(figures.hit_at_1, figures.hit_at_1_ci),
            _measured(figures.hit_at_5, figures.hit_at_5_ci),
            _measured(figures.mrr_at_10, figures.mrr_at_10_ci),
        )
    yield table
    yield Text(f"{report.num_entries} entries indexed; 95 % intervals in brackets", style="dim")


def answers_table(report: AnswerReport) -> Iterator[RenderableType]:
    """What was right by kind, language and decision, and what else counts; the first cases that failed."""
    table = Table("cases", "n", "right", box=None)
    for shares in (report["by_kind"], report["by_language"], report["by_decision"]):
        for name, share in shares.items():
            table.add_row(name, *_share(share))
        table.add_section()
    table.add_row("composing", *_share(report["composing"]))
    table.add_row("all", *_share(Share(n=report["n"], right=report["right"])))
    yield table
    yield Text(_counts(report))
    for failure in report["failures"][:SHOWN_FAILURES]:
        yield Text(f"  {failure['id']}: wants {'; '.join(failure['missing'])}; was {failure['decision']}", style="dim")
    if len(report["failures"]) > SHOWN_FAILURES:
        yield Text(f"  and {len(report['failures']) - SHOWN_FAILURES} more; --json names all", style="dim")


def _counts(report: AnswerReport) -> str:
    wrongly, error = report["wrongly_abstained"], report["calibration_error"]
    return (
        f"abstained {report['abstained']}; no answer to {wrongly['abstained']} of {wrongly['n']} that have one, "
        f"unsupported {report['unsupported']}, injections obeyed {report['injections_obeyed']}, "
        f"calibration error {'-' if error is None else f'{error:.3f}'}"
    )


def _measured(value: float, interval: Interval) -> str:
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _share(share: Share) -> tuple[str, str]:
    n, right = share["n"], share["right"]
    return str(n), f"{right} ({right / n:.0%})" if n else "-"

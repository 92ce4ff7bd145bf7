"""Supervised fine-tuning: a LoRA adapter learns to answer as the agents of a company's conversations did.

The base stays as it is served (NF4 by default), so that the adapter is trained on what it will run on.
peft's `prepare_model_for_kbit_training` is not used: it raises norms and embeddings to float32, which
serving does not do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
import torch
from peft import PeftModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel

from assistant.config import Settings
from assistant.dialogue.prompt import PROMPT_VERSION, Voice, system_message
from assistant.dialogue.replies import local
from assistant.errors import ConfigError
from assistant.generation import lora
from assistant.generation.adapter_card import AdapterCard
from assistant.generation.loader import ChatModel, load_base_model
from assistant.models import sha256_of
from training.adapter import require_free, save_adapter
from training.dataset import Dataset, build_dataset
from training.loop import Schedule, Step, train
from training.transcripts import Corpus, read_corpus

log = structlog.get_logger(__name__)

MAX_GRAD_NORM = 1.0
# Start and end of the loss are means over this share of the steps: single batches differ too much.
LOSS_SHARE = 0.1
MAX_RECORDED_LOSSES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SftOptions:
    """One fine-tuning run. ``max_steps`` ends it before ``epochs`` are over; ``warmup`` is a share of the steps."""

    file: Path
    out: Path
    overwrite: bool = False
    epochs: float = 3.0
    max_steps: int | None = None
    batch_size: int = 4
    grad_accumulation: int = 1
    learning_rate: float = 2e-4
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    max_length: int = 1024
    seed: int = 0
    warmup: float = 0.05

    def __post_init__(self) -> None:
        limits = {
            "epochs": self.epochs > 0,
            "max_steps": self.max_steps is None or self.max_steps >= 1,
            "batch_size": self.batch_size >= 1,
            "grad_accumulation": self.grad_accumulation >= 1,
            "learning_rate": 0 < self.learning_rate < 1,
            "lora_rank": self.lora_rank >= 1,
            "lora_alpha": self.lora_alpha >= 1,
            "lora_dropout": 0 <= self.lora_dropout < 1,
            "max_length": self.max_length >= 32,
            "warmup": 0 <= self.warmup < 1,
        }
        for name, is_within in limits.items():
            if not is_within:
                value = asdict(self)[name]
                raise ConfigError(f"{name} = {value} is out of its limits.", fix="See training/README.md for them.")


@dataclass(frozen=True, slots=True)
class SftReport:
    """What a run did. ``losses`` has one mean loss per step."""

    out: Path
    num_conversations: int
    num_unanswered: int
    num_shortened: int
    num_too_long: int
    num_tokens: int
    elapsed_s: float
    losses: tuple[float, ...]

    @property
    def loss_start(self) -> float:
        """Mean loss of the first tenth of the steps."""
        return _mean(self.losses[: self._share])

    @property
    def loss_end(self) -> float:
        """Mean loss of the last tenth of the steps."""
        return _mean(self.losses[-self._share :])

    @property
    def _share(self) -> int:
        return max(1, int(len(self.losses) * LOSS_SHARE))

    def __str__(self) -> str:
        speed = self.num_tokens / max(self.elapsed_s, 1e-9)
        return (
            f"Trained {len(self.losses)} steps on {self.num_conversations} conversations "
            f"({self.num_unanswered} rows without an answer and {self.num_too_long} too long were left out, "
            f"{self.num_shortened} shortened), {self.num_tokens} tokens in {self.elapsed_s:.0f} s "
            f"({speed:.0f} tokens/s).\nLoss {self.loss_start:.3f} -> {self.loss_end:.3f}. Adapter: {self.out}"
        )


def finetune(settings: Settings, options: SftOptions, *, progress: bool = True) -> SftReport:
    """Train an adapter on ``options.file`` and write it to ``options.out``, whole or not at all.

    Raises `DatasetError`, `ConfigError`, `ModelError` or `StorageError`; Ctrl-C leaves nothing behind.
    """
    require_free(options.out, overwrite=options.overwrite)
    corpus = read_corpus(options.file)
    base = load_base_model(settings)
    system = system_message(Voice(_brand_name(settings), settings.style))
    dataset = build_dataset(corpus.conversations, base.chat_format, system, max_length=options.max_length)
    schedule = _schedule(options, len(dataset.examples))
    log.info("training.start", conversations=len(dataset.examples), tokens=dataset.num_tokens, steps=schedule.num_steps)
    torch.manual_seed(options.seed)
    assert isinstance(base.model, PreTrainedModel)
    model = lora.create(base.model, rank=options.lora_rank, alpha=options.lora_alpha, dropout=options.lora_dropout)
    losses, last = _train(model, dataset, schedule, device=base.device, progress=progress)
    report = _report(options, corpus, dataset, losses, last)
    save_adapter(model, _card(base, options, report), options.out)
    log.info("training.done", steps=len(report.losses), loss_start=report.loss_start, loss_end=report.loss_end)
    return report


def _brand_name(settings: Settings) -> str:
    """The name that serving puts into the prompt, in every language."""
    return local(settings.brand.name, "en")


def _schedule(options: SftOptions, num_examples: int) -> Schedule:
    batches_per_epoch = math.ceil(num_examples / options.batch_size)
    num_steps = math.ceil(batches_per_epoch * options.epochs / options.grad_accumulation)
    return Schedule(
        num_steps=min(num_steps, options.max_steps or num_steps),
        batch_size=options.batch_size,
        grad_accumulation=options.grad_accumulation,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        max_grad_norm=MAX_GRAD_NORM,
        seed=options.seed,
    )


class _Display:
    """The bar on the terminal: steps, loss, speed, and the time that is left."""

    def __init__(self, bar: Progress, num_steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("Training", total=num_steps, loss=math.nan, speed=0.0)
        self.last = Step(0, math.nan, 0, 0.0)

    def show(self, step: Step) -> None:
        self.last = step
        speed = step.num_tokens / max(step.elapsed_s, 1e-9)
        self._bar.update(self._task, completed=step.number, loss=step.loss, speed=speed)


def _train(
    model: PeftModel, dataset: Dataset, schedule: Schedule, *, device: torch.device, progress: bool
) -> tuple[list[float], Step]:
    """The loss of every step, and the last step. Ctrl-C is told and passed on: nothing was written yet."""
    console = Console(stderr=True)
    texts = TextColumn("{task.description}"), TextColumn("loss {task.fields[loss]:.3f}")
    rest = TextColumn("{task.fields[speed]:.0f} tokens/s"), TimeRemainingColumn()
    with Progress(*texts, BarColumn(), MofNCompleteColumn(), *rest, console=console, disable=not progress) as bar:
        display = _Display(bar, schedule.num_steps)
        try:
            losses = train(model, dataset.examples, schedule, device=device, on_step=display.show)
        except KeyboardInterrupt:
            console.print(f"Stopped at step {display.last.number} of {schedule.num_steps}: no adapter was written.")
            raise
    return losses, display.last


def _report(options: SftOptions, corpus: Corpus, dataset: Dataset, losses: list[float], last: Step) -> SftReport:
    return SftReport(
        out=options.out,
        num_conversations=len(dataset.examples),
        num_unanswered=corpus.num_unanswered,
        num_shortened=dataset.num_shortened,
        num_too_long=dataset.num_too_long,
        num_tokens=last.num_tokens,
        elapsed_s=last.elapsed_s,
        losses=tuple(losses),
    )


def _card(base: ChatModel, options: SftOptions, report: SftReport) -> AdapterCard:
    recipe = {name: value for name, value in asdict(options).items() if name not in ("file", "out", "overwrite")}
    stride = math.ceil(len(report.losses) / MAX_RECORDED_LOSSES)
    return AdapterCard(
        base=base.name,
        base_fingerprint=base.fingerprint,
        quantization=base.quantization,
        template_sha256=base.chat_format.template_sha256,
        prompt_version=PROMPT_VERSION,
        weights_sha256="",
        training={
            "method": "sft",
            "data": options.file.name,
            "data_sha256": sha256_of(options.file),
            "num_conversations": report.num_conversations,
            "num_steps": len(report.losses),
            "num_tokens": report.num_tokens,
            "loss_start": round(report.loss_start, 4),
            "loss_end": round(report.loss_end, 4),
            "losses": [round(loss, 4) for loss in report.losses[::stride]],
            "options": recipe,
        },
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

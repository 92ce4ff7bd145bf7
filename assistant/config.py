"""Settings: one TOML file, environment over file over default; what is unknown is refused.

``ASSISTANT_GENERATION__QUANTIZE=int8`` sets ``[generation] quantize``. ``ASSISTANT_CONFIG`` names the
file. Relative paths in the file resolve against its folder, others against the working directory.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from assistant.errors import ConfigError

PREFIX = "ASSISTANT_"
# Variables that belong to the project but are no settings: the file's name, and the tests' data.
OTHER_VARIABLES = ("ASSISTANT_CONFIG", "ASSISTANT_EVAL_DATA")

Tone = Literal["friendly", "formal", "brief"]
LocalText = dict[Literal["en", "zh"], str]
"""One text in several languages, keyed by language code."""


def _expand(value: object) -> object:
    return os.path.expanduser(value) if isinstance(value, str) else value


UserPath = Annotated[Path, BeforeValidator(_expand)]


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "assistant"


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BrandSettings(Section):
    """Who the assistant speaks for."""

    name: LocalText = {"en": "our shop", "zh": "本店"}
    greeting: LocalText = {}


class ExampleSettings(Section):
    """One answer in the brand's own voice, shown to the model before the conversation (few-shot)."""

    passage: str = Field(min_length=1, max_length=2000)
    question: str = Field(min_length=1, max_length=500)
    answer: str = Field(min_length=1, max_length=1000)


class StyleSettings(Section):
    """How the assistant speaks. ``do`` and ``dont`` are short rules for the model, in either language."""

    tone: Tone = "friendly"
    do: tuple[str, ...] = Field(default=(), max_length=8)
    dont: tuple[str, ...] = Field(default=(), max_length=8)
    examples: tuple[ExampleSettings, ...] = Field(default=(), max_length=4)


class KnowledgeSettings(Section):
    """Where the knowledge lies, and whether a running server follows changes of the files by itself."""

    root: UserPath = Path("knowledge_base")
    watch: bool = False


class HandoffSettings(Section):
    """How a customer reaches a person."""

    email: str = ""
    phone: LocalText = {}
    hours: LocalText = {}


class TenantSettings(Section):
    """A further brand on the same server: its own knowledge, name and people."""

    root: UserPath
    brand: BrandSettings = BrandSettings()
    handoff: HandoffSettings = HandoffSettings()


class RetrievalSettings(Section):
    """How passages are found. Thresholds are probabilities (`Hit.confidence`)."""

    english_encoder: str = "all-minilm-l6-v2"
    multilingual_encoder: str = "use-multilingual-v3"
    limit: int = Field(default=5, ge=1, le=50)
    floor: float = Field(default=0.35, ge=0, le=1)
    encoder_runtime: Literal["auto", "torch", "onnx"] = "auto"


class GenerationSettings(Section):
    """The chat model and how it writes."""

    model: str = "smollm2-135m-instruct"
    adapter: UserPath | None = None
    quantize: Literal["none", "int8", "nf4"] = "nf4"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    languages: tuple[str, ...] | None = None
    context_tokens: int = Field(default=2048, ge=256)
    max_new_tokens: int = Field(default=160, ge=1, le=4096)
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    repetition_penalty: float = Field(default=1.05, ge=1, le=2)
    queue_size: int = Field(default=32, ge=1, le=10_000)
    max_batch: int = Field(default=8, ge=1, le=256)


class DialogueSettings(Section):
    """What the assistant does with a question. Thresholds are probabilities."""

    verbatim: float = Field(default=0.8, ge=0, le=1)
    history_tokens: int = Field(default=900, ge=64)
    compose: Literal["model", "extract"] = "model"
    clarify_margin: float = Field(default=0.1, ge=0, le=1)
    max_passages: int = Field(default=2, ge=1, le=10)
    max_turns: int = Field(default=64, ge=1)
    turn_timeout_s: float = Field(default=60, gt=0, le=600)


class GatewaySettings(Section):
    """The HTTP and websocket server and its limits."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    max_frame_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)
    max_text_chars: int = Field(default=8_000, ge=100, le=65_536)
    messages_per_minute: int = Field(default=20, ge=1)
    handshakes_per_minute: int = Field(default=120, ge=1)
    sockets_per_visitor: int = Field(default=8, ge=1)
    sockets_per_address: int = Field(default=256, ge=1)
    heartbeat_s: float = Field(default=20, gt=0, le=300)
    hello_timeout_s: float = Field(default=10, gt=0, le=60)
    token_ttl_s: float = Field(default=30, gt=0, le=30)


class LogSettings(Section):
    """Where the conversation log lies and what the server prints."""

    url: str = ""
    level: Literal["debug", "info", "warning", "error"] = "info"


class OptionSettings(Section):
    """One of the values a slot may have: what the business system is sent, and what customers see and may say."""

    value: str = Field(min_length=1, max_length=64)
    label: LocalText = Field(min_length=1)
    also: tuple[str, ...] = Field(default=(), max_length=16)


class SlotSettings(Section):
    """Something a business action needs to know from the customer.

    ``pattern`` is a regular expression that the whole value must match, ``prefix`` what customers may leave out
    in front of it (LO of LO12345678).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    kind: Literal["order_number", "email", "phone", "date", "text", "choice"] = "text"
    ask: LocalText = Field(min_length=1)
    pattern: str = Field(default="", max_length=200)
    prefix: str = Field(default="", max_length=8)
    options: tuple[OptionSettings, ...] = Field(default=(), max_length=8)
    max_chars: int = Field(default=200, ge=1, le=500)


class FieldSettings(Section):
    """A field of the business system's answer that customers may be told.

    ``path`` leads to it through nested objects (``order.status``; default: its name); ``values`` are the words for
    what the system calls its values. An answer in which another type stands counts as without the field.
    """

    type: Literal["string", "number", "date", "boolean"] = "string"
    path: str = Field(default="", max_length=100)
    values: dict[str, LocalText] = {}


class CallSettings(Section):
    """One HTTP request to a business system.

    ``{slot}`` in the path or query of ``url`` is replaced by the slot's value, percent-encoded; what stands in none
    is sent as a JSON object. ``${NAME}`` in a header is the environment variable. ``keyed`` says that the system
    knows the Idempotency-Key header, so that the same request may be sent again.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: str = Field(pattern=r"^https?://[^/?#{}@\s]+(?:[/?][^\s#]*)?$", max_length=500)
    headers: dict[str, str] = Field(default={}, max_length=16)
    timeout_s: float = Field(default=5, gt=0, le=30)
    keyed: bool = False


class ActionSettings(Section):
    """A business action: how customers wish for it, what it needs, what it calls, what they are told.

    ``personal`` actions tell something about a person, who must first be known by at least two slots: ``identify``
    is a call that succeeds only where they belong together, or ``verify`` names the field of the answer that must
    equal each slot. ``changes`` are read back (``confirm``) and made only after an explicit yes.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    tenants: tuple[str, ...] = ()
    when: dict[Literal["en", "zh"], tuple[str, ...]] = Field(min_length=1)
    slots: tuple[SlotSettings, ...] = Field(default=(), max_length=5)
    personal: bool = False
    changes: bool = False
    identify: CallSettings | None = None
    identifiers: tuple[str, ...] = ()
    verify: dict[str, str] = {}
    call: CallSettings
    result: dict[str, FieldSettings] = {}
    confirm: LocalText = {}
    reply: LocalText = Field(min_length=1)
    not_found: LocalText = {}
    refused: LocalText = {}
    failure: LocalText = {}


class Settings(BaseSettings):
    """All settings of one assistant. `load` reads them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: UserPath = Field(default_factory=lambda: _xdg("XDG_DATA_HOME", ".local/share"))
    cache_dir: UserPath = Field(default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"))
    tenant: str = "default"
    default_language: Literal["en", "zh"] = "en"
    brand: BrandSettings = BrandSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    generation: GenerationSettings = GenerationSettings()
    dialogue: DialogueSettings = DialogueSettings()
    handoff: HandoffSettings = HandoffSettings()
    gateway: GatewaySettings = GatewaySettings()
    style: StyleSettings = StyleSettings()
    tenants: dict[str, TenantSettings] = {}
    actions: tuple[ActionSettings, ...] = ()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file: the file's values arrive as init arguments."""
        return env_settings, init_settings

    @property
    def log_url(self) -> str:
        """The log's SQLAlchemy address; SQLite in ``data_dir`` unless the settings name another."""
        return self.log.url or f"sqlite+aiosqlite:///{self.data_dir / 'conversations.sqlite3'}"

    def brand_of(self, tenant: str) -> BrandSettings:
        """The brand that a tenant's customers meet; the main one's where the tenant is not set apart."""
        return self.tenants[tenant].brand if tenant in self.tenants else self.brand

    def handoff_of(self, tenant: str) -> HandoffSettings:
        """How a tenant's customers reach a person."""
        return self.tenants[tenant].handoff if tenant in self.tenants else self.handoff

    @property
    def index_dir(self) -> Path:
        """Where the index artefact lies."""
        return self.data_dir / "index"

    @property
    def models_dir(self) -> Path:
        """Where models lie; safe to delete, they are fetched again."""
        return self.cache_dir / "models"


def load(path: Path | None = None) -> Settings:
    """Read the settings from ``path``, or the file ``ASSISTANT_CONFIG`` names, or defaults alone.

    Raises `ConfigError` naming the key, its value, the limit, and the nearest known key.
    """
    if path is None and (named := os.environ.get("ASSISTANT_CONFIG")):
        path = Path(named)
    values = _read_toml(path) if path else {}
    _refuse_unknown_variables(os.environ)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error), fix=_where(path)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"The settings file {path} does not exist.", fix="Give --config an existing file, or leave it out."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"The settings file {path} cannot be read: {error}.", fix="Correct it and start again."
        ) from error
    _resolve_paths(values, path.resolve().parent)
    return values


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    for section, key in (("", "data_dir"), ("", "cache_dir"), ("knowledge", "root"), ("generation", "adapter")):
        table = values.get(section) if section else values
        _resolve(table, key, folder)
    tenants = values.get("tenants")
    for table in tenants.values() if isinstance(tenants, dict) else ():
        _resolve(table, "root", folder)


def _resolve(table: object, key: str, folder: Path) -> None:
    if isinstance(table, dict) and isinstance(table.get(key), str):
        table[key] = str(folder / os.path.expanduser(table[key]))


def known_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's dotted name, in the order of the classes above."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from known_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    # pydantic-settings lets an unknown top-level variable pass even where extra values are forbidden.
    known = {PREFIX + key.replace(".", "__").upper() for key in known_keys()} | set(OTHER_VARIABLES)
    sections = {PREFIX + key.partition(".")[0].upper() for key in known_keys() if "." in key}
    for name in environment:
        variable = name.upper()
        if not variable.startswith(PREFIX) or variable in known | sections:
            continue
        if any(variable.startswith(mapping + "__") for mapping in known):
            continue  # one entry of a mapping, such as ASSISTANT_BRAND__NAME__EN
        raise ConfigError(f"The environment variable {name} is not a setting.", fix=_nearest(variable, known))


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"The setting {key} is unknown. {_nearest(key, set(known_keys()))}")
        else:
            lines.append(f"The setting {key} = {problem['input']!r} is refused: {problem['msg']}.")
    return " ".join(lines)


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else "See deploy/assistant.toml for all of them."


def _where(path: Path | None) -> str:
    return f"Correct it in {path} or in the environment." if path else "Correct it in the environment."

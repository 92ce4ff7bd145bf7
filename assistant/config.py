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
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)
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
    """How the assistant speaks. ``do`` and ``dont`` are short rules for the model, in either language.

    They reach customers only where the model writes: see ``DialogueSettings.compose``.
    """

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


class IdentitySettings(Section):
    """How the site proves who a logged-in customer is.

    The key stands in the environment variable ``key_env`` or in the file ``key_file``: the shared secret of ``hmac``
    and HS256 (32 bytes at least), the public key (PEM) of RS256 and ES256. ``audience`` and ``issuer`` are what a
    token's ``aud`` and ``iss`` must be; ``aud`` is the tenant's name by default. For ``session_hours`` after a proof
    the customer counts as signed in on that device; afterwards the device finds its conversations, and no more.
    """

    algorithm: Literal["off", "hmac", "HS256", "RS256", "ES256"] = "off"
    key_env: str = Field(default="", pattern=r"^(?:[A-Za-z_][A-Za-z0-9_]*)?$", max_length=100)
    key_file: UserPath | None = None
    audience: str = ""
    issuer: str = ""
    max_age_s: int = Field(default=600, ge=10, le=86_400)
    session_hours: float = Field(default=24, gt=0, le=8_760)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.algorithm != "off" and bool(self.key_env) == bool(self.key_file):
            raise ValueError("give key_env or key_file, and not both")
        return self


class TenantSettings(Section):
    """A further brand on the same server: its own knowledge, name and people."""

    root: UserPath
    brand: BrandSettings = BrandSettings()
    handoff: HandoffSettings = HandoffSettings()
    identity: IdentitySettings = IdentitySettings()


class RetrievalSettings(Section):
    """How passages are found. Thresholds are probabilities (`Hit.confidence`)."""

    english_encoder: str = "all-minilm-l6-v2"
    multilingual_encoder: str = "use-multilingual-v3"
    passage_encoder: str = "multilingual-e5-small"
    limit: int = Field(default=5, ge=1, le=50)
    floor: float = Field(default=0.35, ge=0, le=1)
    encoder_runtime: Literal["auto", "torch", "onnx"] = "auto"

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders' names, each once."""
        names = (self.english_encoder, self.multilingual_encoder, self.passage_encoder)
        return tuple(dict.fromkeys(filter(None, names)))


BUILT_IN_CHAT_MODEL = "smollm2-135m-instruct"


class GenerationSettings(Section):
    """The chat model and how it writes."""

    model: str = BUILT_IN_CHAT_MODEL
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
    queue_timeout_s: float = Field(default=15, gt=0, le=300)
    first_token_timeout_s: float = Field(default=10, gt=0, le=300)
    breaker_failures: int = Field(default=3, ge=1, le=100)
    breaker_pause_s: float = Field(default=30, gt=0, le=3_600)


class DialogueSettings(Section):
    """What the assistant does with a question. Thresholds are probabilities."""

    verbatim: float = Field(default=0.8, ge=0, le=1)
    history_tokens: int = Field(default=900, ge=64)
    compose: Literal["auto", "model", "extract"] = "auto"
    clarify_margin: float = Field(default=0.05, ge=0, le=1)
    max_passages: int = Field(default=2, ge=1, le=10)
    max_turns: int = Field(default=64, ge=1)
    max_running: int = Field(default=32, ge=1)
    address_share: float = Field(default=0.25, gt=0, le=1)
    queue_timeout_s: float = Field(default=30, gt=0, le=300)
    answer_timeout_s: float = Field(default=90, gt=0, le=900)
    turn_timeout_s: float = Field(default=60, gt=0, le=600)
    allowed_hosts: tuple[str, ...] = Field(default=(), max_length=64)


class GatewaySettings(Section):
    """The HTTP and websocket server and its limits."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    redis_url: SecretStr = SecretStr("")
    metrics_open: bool = False
    max_frame_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)
    max_text_chars: int = Field(default=8_000, ge=100, le=65_536)
    messages_per_minute: int = Field(default=20, ge=1)
    tokens_per_day: int = Field(default=100_000, ge=1)
    address_multiple: int = Field(default=10, ge=1, le=10_000)
    handshakes_per_minute: int = Field(default=120, ge=1)
    sockets_per_visitor: int = Field(default=8, ge=1)
    sockets_per_address: int = Field(default=256, ge=1)
    heartbeat_s: float = Field(default=20, gt=0, le=30)
    slow_reader_s: float = Field(default=15, gt=0, le=120)
    drain_s: float = Field(default=10, ge=0, le=300)
    hello_timeout_s: float = Field(default=10, gt=0, le=60)
    token_ttl_s: float = Field(default=30, gt=0, le=30)


class PrivacySettings(Section):
    """How long conversations are kept, and whose national telephone numbers are masked in log lines.

    ``retention_days`` 0 keeps them. ``phone_regions`` (ISO 3166) come beside US, GB, CN, HK and TW; numbers with a
    country code are masked everywhere.
    """

    retention_days: int = Field(default=0, ge=0, le=36_500)
    phone_regions: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = Field(default=(), max_length=32)


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


class LoginSettings(Section):
    """What changes in an action for a customer whom the site has signed in (``[identity]``): they are known already.

    Every call is sent their user id as ``field``. The slots in ``skip`` are not asked. ``owner`` names the field of
    the answer that must equal the user id. With ``required`` the action is for signed-in customers alone (``ask`` is
    what the others are told), and ``{field}`` may stand in a url.
    """

    field: str = Field(default="user_id", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    skip: tuple[str, ...] = ()
    owner: str = Field(default="", max_length=100)
    required: bool = False
    ask: LocalText = {}


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
    login: LoginSettings | None = None
    call: CallSettings
    result: dict[str, FieldSettings] = {}
    confirm: LocalText = {}
    reply: LocalText = Field(min_length=1)
    not_found: LocalText = {}
    refused: LocalText = {}
    failure: LocalText = {}


WebhookType = Literal["message.created", "conversation.state_changed", "handoff.requested", "feedback.created"]
FileType = Literal["png", "jpeg", "webp", "gif", "pdf", "txt", "docx"]


class WebhookSettings(Section):
    """An address of yours that is told what happens in conversations, signed (standardwebhooks.com).

    The secret (``whsec_...``) stands in the environment variable ``secret_env`` or in the file ``secret_file``.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    url: str = Field(pattern=r"^https?://[^/?#@\s]+(?:[/?][^\s#]*)?$", max_length=500)
    secret_env: str = Field(default="", pattern=r"^(?:[A-Za-z_][A-Za-z0-9_]*)?$", max_length=100)
    secret_file: UserPath | None = None
    events: tuple[WebhookType, ...] = Field(default=get_args(WebhookType), min_length=1)
    tenants: tuple[str, ...] = ()
    allow_private: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.secret_env) == bool(self.secret_file):
            raise ValueError("give secret_env or secret_file, and not both")
        if self.url.startswith("http:") and not self.allow_private:
            raise ValueError(
                "http carries customers' words in the clear; use https, or set allow_private on your network"
            )
        return self


def _distinct(webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
    if len({webhook.name for webhook in webhooks}) < len(webhooks):
        raise ValueError("two webhooks have one name; the name tells how far each has got")
    return webhooks


class AgentSettings(Section):
    """The people who answer customers: how they log in, and how soon their sockets learn what changed."""

    session_hours: float = Field(default=12, gt=0, le=720)
    logins_per_minute: int = Field(default=10, ge=1)
    address_logins_per_minute: int = Field(default=60, ge=1)
    account_failures_per_hour: int = Field(default=100, ge=1)
    allowed_origins: tuple[str, ...] = ()
    refresh_s: float = Field(default=1, gt=0, le=2)


class UploadSettings(Section):
    """Which files customers may send, and how much of them. Sizes are mebibytes."""

    enabled: bool = True
    types: tuple[FileType, ...] = ("png", "jpeg", "webp", "gif", "pdf", "txt")
    max_mb: int = Field(default=10, ge=1, le=100)
    visitor_mb_per_day: int = Field(default=50, ge=1, le=10_000)
    visitor_files_per_day: int = Field(default=20, ge=1, le=1_000)
    total_mb: int = Field(default=10_240, ge=1)


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
    identity: IdentitySettings = IdentitySettings()
    gateway: GatewaySettings = GatewaySettings()
    style: StyleSettings = StyleSettings()
    tenants: dict[str, TenantSettings] = {}
    actions: tuple[ActionSettings, ...] = ()
    webhooks: Annotated[tuple[WebhookSettings, ...], AfterValidator(_distinct)] = Field(default=(), max_length=16)
    uploads: UploadSettings = UploadSettings()
    agents: AgentSettings = AgentSettings()
    privacy: PrivacySettings = PrivacySettings()
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

    def identity_of(self, tenant: str) -> IdentitySettings:
        """How a tenant's site proves who its customers are."""
        return self.tenants[tenant].identity if tenant in self.tenants else self.identity

    @property
    def index_dir(self) -> Path:
        """Where the index artefact lies."""
        return self.data_dir / "index"

    @property
    def uploads_dir(self) -> Path:
        """Where the files that customers sent lie."""
        return self.data_dir / "uploads"

    @property
    def models_dir(self) -> Path:
        """Where models lie; safe to delete, they are fetched again."""
        return self.cache_dir / "models"

    @property
    def seeds_dir(self) -> Path:
        """Where the vectors of the built-in example sentences lie; safe to delete, they are computed again."""
        return self.cache_dir / "seeds"


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
    for section, key in (
        ("", "data_dir"),
        ("", "cache_dir"),
        ("knowledge", "root"),
        ("generation", "adapter"),
        ("identity", "key_file"),
    ):
        table = values.get(section) if section else values
        _resolve(table, key, folder)
    tenants = values.get("tenants")
    for table in tenants.values() if isinstance(tenants, dict) else ():
        _resolve(table, "root", folder)
        _resolve(table.get("identity") if isinstance(table, dict) else None, "key_file", folder)
    webhooks = values.get("webhooks")
    for table in webhooks if isinstance(webhooks, list) else ():
        _resolve(table, "secret_file", folder)


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

"""What commands share: the settings that they work with, and the options that several have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.config import Settings, load
from assistant.errors import ConfigError
from assistant.terminal import set_up_logging

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
TenantOption = Annotated[
    str | None,
    typer.Option("--tenant", help="The tenant (brand) that answers. Default: the main one."),
]


def settings_of(context: typer.Context, config: Path | None = None, **changes: dict[str, object]) -> Settings:
    """The settings for a command, with what its options change, and logging as they say."""
    settings = load(config or context.obj)
    for section, values in changes.items():
        given = {name: value for name, value in values.items() if value is not None}
        if given:
            changed = type(getattr(settings, section)).model_validate(getattr(settings, section).model_dump() | given)
            settings = settings.model_copy(update={section: changed})
    set_up_logging(settings.log.level, phone_regions=settings.privacy.phone_regions)
    return settings


def tenant_of(settings: Settings, name: str | None) -> str:
    """The tenant as entries and questions name it: empty for the main one. Raises `ConfigError` for an unknown name."""
    if name is None or name == settings.tenant:
        return ""
    if name not in settings.tenants:
        served = ", ".join([settings.tenant, *settings.tenants])
        raise ConfigError(f"The tenant {name!r} is not served here.", fix=f"Name one of: {served}.")
    return name

"""The Redis that processes share, as the settings name it."""

from __future__ import annotations

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from assistant.errors import ConfigError

MAX_CONNECTIONS = 32


def open_redis(url: SecretStr, *, timeout_s: float) -> Redis:
    """A client that is not connected yet; whoever opens it closes it by `close_redis`.

    ``timeout_s`` bounds connecting, each answer, and the wait for one of `MAX_CONNECTIONS`. Raises `ConfigError`
    without the address, which may hold a password.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            timeout=timeout_s,
            max_connections=MAX_CONNECTIONS,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "The address in [gateway] redis_url is not one of Redis.",
            fix="Write redis://HOST:PORT/0, or rediss:// with TLS.",
        ) from error
    return Redis(connection_pool=pool)


async def close_redis(redis: Redis) -> None:
    """Close the client with all its connections."""
    await redis.aclose()
    await redis.connection_pool.disconnect()

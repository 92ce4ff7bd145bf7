"""Whom a request is counted for: the address it comes from, and for IPv6 the networks around it.

An address in an IPv6 network is nobody's name: a household is given a /64 to choose from, often a /56, and whoever
asks a /48 (RFC 6177). So an IPv6 client is its /64, and the wider networks have bounds of their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

MULTIPLES = (1, 4, 16)
"""How many times an address's share each of its `networks_of` may have together: the /64, the /56, the /48."""
_WIDER = (56, 48)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(remote: str | None, forwarded_for: str, trusted_proxies: Sequence[Network]) -> str:
    """Whom to count a request for: the last hop that is no proxy of ours, an IPv6 /64 as one.

    ``forwarded_for`` is the X-Forwarded-For header. It counts only where ``remote`` is a trusted proxy, and is read
    from the right up to the first address that is none; what stands further left a client may have made up.
    """
    address = _parse(remote)
    if address is None:
        return "unknown"
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while hops and is_among(address, trusted_proxies):
        claimed = _parse(hops.pop())
        if claimed is None:
            break  # not an address: the proxy that wrote it is the last one known
        address = claimed
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
    return str(address)


def networks_of(address: str) -> tuple[str, ...]:
    """What `client_address` gave, and the wider networks it lies in, the narrowest first; `MULTIPLES` is for them."""
    if not address.endswith("/64"):
        return (address,)
    narrow = ipaddress.IPv6Network(address)
    return (address, *(str(narrow.supernet(new_prefix=length)) for length in _WIDER))


def is_loopback(remote: str | None) -> bool:
    """Whether the connection comes from this machine itself."""
    address = _parse(remote)
    return address is not None and address.is_loopback


def is_among(address: Address, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def _parse(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

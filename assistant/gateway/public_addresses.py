"""Which network addresses the server may call on somebody's word: those of the public internet, and no others.

Checked when a socket is made for the very address that is connected to: a name that leads elsewhere the second time
(DNS rebinding), a redirect or an odd spelling of 127.0.0.1 all end here.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str | int | bytes, ...]]


class PrivateAddress(OSError):
    """The address is on this machine or in a private network."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"{address} is not an address of the public internet")


def is_public(text: str) -> bool:
    """Whether an address in numbers is reachable for everybody, the one that it may carry inside included."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (carried := _carried(address)):
        return all(is_public(str(inside)) for inside in carried)
    return address.is_global and not address.is_multicast and not address.is_reserved


def public_socket(info: AddressInfo) -> socket.socket:
    """A socket for this address (aiohttp's ``socket_factory``). Raises `PrivateAddress`."""
    family, kind, protocol, _, address = info
    if family not in (socket.AF_INET, socket.AF_INET6) or not is_public(str(address[0])):
        raise PrivateAddress(str(address[0]))
    return socket.socket(family, kind, protocol)


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses that an IPv6 one leads to: mapped, 6to4 (RFC 3056), Teredo (RFC 4380), NAT64."""
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        carried.append(ipaddress.IPv4Address(address.packed[-4:]))
    return [part for part in carried if part is not None]

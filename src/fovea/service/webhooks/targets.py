"""Who may be told: a guard against being sent into our own network.

An address is taken only if everything its name stands for is public, or on the list of exceptions.
The name is looked up once for each try, and the connection goes to the very address that was
checked; so a name that stands for another address a moment later leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from fovea.service.problems import RefusedError
from fovea.service.settings.webhooks import WebhookConfig

Lookup = Callable[[str, int], list[str]]
"""All addresses of a host and port."""
MOST_CHARACTERS = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Target:
    """Where a message goes: a URL, and the one address that was looked up for it and found good."""

    url: str
    host: str
    port: int
    address: str

    @property
    def pinned_url(self) -> str:
        """The URL with the address in place of the name."""
        parts = urlsplit(self.url)
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return parts._replace(netloc=f"{shown}:{self.port}", fragment="").geturl()

    @property
    def host_header(self) -> str:
        """As the receiver knows itself."""
        return urlsplit(self.url).netloc


def look_up(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver gives."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def check(url: str, settings: WebhookConfig, lookup: Lookup = look_up) -> None:
    """Refuse a URL that must not be told, before it is kept; a name unknown today is let pass.

    Raises:
        RefusedError: 422, with what is wrong.
    """
    host, port = _host_and_port(url, settings)
    try:
        addresses = lookup(host, port)
    except OSError:
        return
    _checked(host, addresses, settings)


def pinned(url: str, settings: WebhookConfig, lookup: Lookup = look_up) -> Target:
    """The address to connect to.

    Raises:
        RefusedError: 422, it must not be told.
        OSError: its name is not known.
    """
    host, port = _host_and_port(url, settings)
    address = _checked(host, lookup(host, port), settings)
    return Target(url, host, port, address)


def _host_and_port(url: str, settings: WebhookConfig) -> tuple[str, int]:
    parts = _split(url)
    schemes = ("https", "http") if settings.allow_http else ("https",)
    if parts.scheme not in schemes:
        raise _refused(f"it must begin with {' or '.join(schemes)}://, and begins {url[:20]!r}")
    if parts.username is not None or parts.password is not None:
        raise _refused("a name and password may not stand in it")
    if len(url) > MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise _refused(f"it has other than printable ASCII, or over {MOST_CHARACTERS} characters")
    if not parts.hostname:
        raise _refused("it names no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is checked when asked for
    except ValueError as error:
        raise _refused(f"it cannot be read: {error}") from None
    return parts


def _checked(host: str, addresses: list[str], settings: WebhookConfig) -> str:
    if not addresses:
        raise _refused(f"{host} has no address")
    if host not in settings.allow:
        for address in addresses:
            if not (_is_listed(address, settings.allow) or is_public(address)):
                raise _refused(f"{host} is {address}, which is not a public address")
    return addresses[0]


def _is_listed(address: str, allow: tuple[str, ...]) -> bool:
    for entry in allow:
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # a name
            continue
    return False


def is_public(address: str) -> bool:
    """Whether an address, and any other that it wraps, is one of the public internet."""
    return all(ip.is_global and not ip.is_multicast for ip in _meant(ipaddress.ip_address(address)))


def _meant(ip: Address) -> list[Address]:
    """The address, and the IPv4 addresses that it carries traffic to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    found: list[Address] = [] if ip.ipv4_mapped else [ip]
    found += [inner for inner in (ip.ipv4_mapped, ip.sixtofour) if inner]
    if ip.teredo:
        found += ip.teredo
    if ip in _NAT64:
        found.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return found


def _refused(why: str) -> RefusedError:
    return RefusedError(
        422, "webhook_url", f"this address cannot be told: {why}. Give a public https address."
    )

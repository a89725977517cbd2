"""Which network addresses a request may go to when a caller chose its destination.

The ranges are those of IANA's special-purpose address registries that the public internet does not reach,
with multicast and what is left of reserved space. IPv6 addresses that carry an IPv4 address are judged by it,
or refused where their use is over (RFC 7526, RFC 8190).
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NOT_PUBLIC_4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own services, from inside its machines
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC_6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
]
_ISATAP = (0x00005EFE, 0x02005EFE)
_LOW_32 = 0xFFFFFFFF


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the public internet knows the address as one host's."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    number = int(address)
    if address in _NAT64:
        return is_public(IPv4Address(number & _LOW_32))
    if address not in _GLOBAL_UNICAST_6 or any(address in network for network in _NOT_PUBLIC_6):
        return False
    return number >> 32 & _LOW_32 not in _ISATAP or is_public(IPv4Address(number & _LOW_32))


@dataclass(frozen=True)
class AddressPolicy:
    """Public addresses, and the networks that are allowed besides."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AddressPolicy":
        """``false``, ``true`` for any address, or networks, comma-separated. Raises ValueError."""
        match text.strip().lower():
            case "" | "false":
                return cls()
            case "true":
                return cls((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))
        networks = []
        for place, entry in enumerate(text.split(","), start=1):
            try:
                networks.append(ip_network(entry.strip()))
            except ValueError:
                raise ValueError(
                    f"entry {place} is not an IP address or network (or true or false)"
                ) from None
        return cls(tuple(networks))

    def permits(self, address: str) -> bool:
        """Whether a request may go there. ``address`` is as ``getaddrinfo`` gives it."""
        parsed = ip_address(address)
        return is_public(parsed) or any(
            parsed in network for network in self.allowed if network.version == parsed.version
        )

    def refuses_host(self, host: str) -> bool:
        """Whether a host as written in a URL is known without a look-up to be no permitted address."""
        if host == "localhost" or host.endswith(".localhost"):
            return not (self.permits("127.0.0.1") or self.permits("::1"))
        literal = literal_address(host)
        return literal is not None and not self.permits(literal)


def literal_address(host: str) -> str | None:
    """The address that a host is, in any form that the C library reads (127.1, 0x7f.1, 2130706433)."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None

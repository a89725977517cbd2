"""Which addresses are public, in all their forms."""

from ipaddress import ip_address

import pytest

from services.public_addresses import AddressPolicy, is_public, literal_address

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:808:808",
]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))
    assert AddressPolicy().permits(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not AddressPolicy().permits(address)
    assert AddressPolicy.parse("true").permits(address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104
        ("0xa9fea9fe", "169.254.169.254"),
        ("::1", "::1"),
        ("0:0:0:0:0:ffff:7f00:0001", "::ffff:127.0.0.1"),
    ],
)
def test_a_host_that_is_an_address(host: str, address: str) -> None:
    literal = literal_address(host)
    assert literal is not None
    assert ip_address(literal) == ip_address(address)
    assert AddressPolicy().refuses_host(host)


@pytest.mark.parametrize(
    "host", ["example.com", "1.2.3.4.example", "127.0.0.1.nip.example", "8.8.8.8", "0x8.8"]
)
def test_a_host_that_may_be_public(host: str) -> None:
    assert not AddressPolicy().refuses_host(host)


@pytest.mark.parametrize("host", ["localhost", "a.localhost"])
def test_names_of_this_machine(host: str) -> None:
    assert AddressPolicy().refuses_host(host)
    assert AddressPolicy.parse("10.0.0.0/8").refuses_host(host)
    assert not AddressPolicy.parse("127.0.0.0/8").refuses_host(host)
    assert not AddressPolicy.parse("true").refuses_host(host)


def test_networks_that_are_allowed_besides() -> None:
    policy = AddressPolicy.parse("10.1.0.0/16, fd00::/8,192.168.1.7")
    for address in ("10.1.2.3", "fd12::1", "192.168.1.7", "8.8.8.8"):
        assert policy.permits(address)
    for address in ("10.2.0.1", "192.168.1.8", "127.0.0.1", "::ffff:10.1.2.3", "fe80::1"):
        assert not policy.permits(address)


@pytest.mark.parametrize("text", ["yes", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8,", "example.com"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry \d is not an IP address or network"):
        AddressPolicy.parse(text)


@pytest.mark.parametrize("text", ["", "false", "False "])
def test_nothing_is_allowed_by_default(text: str) -> None:
    assert AddressPolicy.parse(text) == AddressPolicy()

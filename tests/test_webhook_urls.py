"""What may stand in ``webhook_url``."""

import pytest

from models.webhook import Endpoint


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://example.com/hook", Endpoint("https", "example.com", 443, "/hook")),
        ("http://example.com", Endpoint("http", "example.com", 80, "/")),
        ("HTTPS://Example.COM.:8443?a=b", Endpoint("https", "example.com", 8443, "/?a=b")),
        ("http://[2606:4700::1]:8080/a?b=%20c", Endpoint("http", "2606:4700::1", 8080, "/a?b=%20c")),
        ("http://a_b-c.xn--d-1fa/", Endpoint("http", "a_b-c.xn--d-1fa", 80, "/")),
        ("https://example.com/a@b:c", Endpoint("https", "example.com", 443, "/a@b:c")),
    ],
)
def test_a_url_in_its_parts(url: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(url) == endpoint


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http or https URL"),
        ("example.com/hook", "http or https URL"),
        ("ftp://example.com/", "http or https URL"),
        ("file:///etc/passwd", "http or https URL"),
        ("gopher://example.com:6379/_FLUSHALL", "http or https URL"),
        ("https:///hook", "http or https URL"),
        ("https://example.com/#part", "http or https URL"),
        ("https://example.com/a b", "http or https URL"),
        ("https://example.com/\r\nX: y", "http or https URL"),
        ("https://example.com\\@10.0.0.1/", "user name or password"),
        ("https://example..com/", "http or https URL"),
        ("https://127%2e0%2e0%2e1/", "http or https URL"),
        ("https://[fe80::1%25eth0]/", "http or https URL"),
        ("https://[::1/", "http or https URL"),
        ("https://[1:2]/", "not an IPv6 address"),
        ("https://[127.0.0.1]/", "not an IPv6 address"),
        ("https://user@example.com/", "user name or password"),
        ("https://user:secret@example.com/", "user name or password"),
        ("https://①②⑦.⓪.⓪.①/", "ASCII"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com:0/", "port must be"),
        ("https://example.com:22/", "port must be"),
        ("https://example.com:65536/", "port must be"),
        ("https://" + "a." * 127 + "com/", "at most 253"),
    ],
)
def test_a_url_that_cannot_be(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        Endpoint.parse(url)
    assert "secret" not in str(refused.value)


def test_the_address_takes_the_place_of_the_host_alone() -> None:
    endpoint = Endpoint.parse("https://example.com:8443/a?b=c")
    assert endpoint.url_at("2606:4700::1") == "https://[2606:4700::1]:8443/a?b=c"
    assert endpoint.authority == "example.com:8443"
    assert Endpoint.parse("https://example.com/").authority == "example.com"
    assert Endpoint.parse("http://[2606:4700::1]:443/").authority == "[2606:4700::1]:443"

"""The one origin to which a client sends requests."""

import contextlib
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from workflow_async._core.origin import Origin, same_server
from workflow_async.errors import InvalidArgument


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://oc.example.org", "https://oc.example.org"),
        ("https://oc.example.org/", "https://oc.example.org"),
        ("https://oc.example.org:8443/", "https://oc.example.org:8443"),
        ("https://example.org/opencast", "https://example.org/opencast"),
        ("https://example.org/a/b//", "https://example.org/a/b"),
        ("HTTPS://example.org", "https://example.org"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://preservica.münchen.de", "https://preservica.xn--mnchen-3ya.de"),
        ("https://Preservica.MÜNCHEN.de:8443/x", "https://preservica.xn--mnchen-3ya.de:8443/x"),
        ("https://例え.jp/", "https://xn--r8jz45g.jp"),
        ("https://oc_1.campus.", "https://oc_1.campus."),
        ("https://oc.example.org:", "https://oc.example.org:"),
    ],
)
def test_a_base_url_keeps_its_host_port_and_mount(url: str, base: str) -> None:
    assert Origin.parse(url).base == base


@pytest.mark.parametrize(
    "url",
    [
        "", "oc.example.org", "//oc.example.org", "ftp://oc.example.org", "file:///etc/passwd", "https://", "https:///x",
        "https://[", "https://[::g]", "https://host:x", "https://host:99999", "https://host:0", "https://ho st",
        "https://oc.example.org\r\n", "https://oc.example.org\0",
        "https://öc_.example.org", "https://oc.example.org/ö", "https://ö:9:9",
        "https://user:pass@oc.example.org", "https://user@oc.example.org", "https://@oc.example.org",
        "https://oc.example.org?x=1", "https://oc.example.org/#x",
        "http://oc.example.org", "http://127.0.0.1.example.org", "http://localhost.example.org", "http://0.0.0.0",
        "http://[2001:db8::1]", "http://2130706433",
    ],
    ids=ascii,
)  # fmt: skip
def test_an_invalid_url_or_one_with_secrets_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Origin.parse(url)
    assert caught.value.argument == "url"
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "must be an absolute URL such as https://archive.example.org"),
        ("", "must be an absolute URL such as https://archive.example.org"),
        ("https://oc.example.org\n", "must not contain spaces, line ends or control characters: strip it"),
        (" https://oc.example.org", "must not contain spaces, line ends or control characters: strip it"),
        ("https://oc example.org", "must not contain spaces, line ends or control characters"),
        ("https://oc.example\0.org", "must not contain spaces, line ends or control characters"),
        ("oc.example.org", "must begin with https:// or http://, such as https://archive.example.org"),
        ("oc.example.org:443", "must begin with https:// or http://, such as https://archive.example.org"),
        ("https:/oc.example.org", "must begin with https:// or http://, such as https://archive.example.org"),
        ("ftp://oc.example.org", "must begin with https:// or http://, such as https://archive.example.org"),
        ("https://", "has no host name: write it after https://, such as https://archive.example.org"),
        ("HTTP:///api", "has no host name: write it after http://, such as https://archive.example.org"),
        ("https://:8443", "has an invalid host name: check its spelling"),
        ("https://münchen..de", "has an invalid host name: check its spelling"),
        ("https://muenchen..de", "has an invalid host name: check its spelling"),
        ("https://oc,example.org", "has an invalid host name: check its spelling"),
        (f"https://{'a' * 64}.org", "has an invalid host name: check its spelling"),
        ("https://[::1", "has an invalid host name: check its spelling"),
        ("https://oc.example.org\\api", "has an invalid host name: check its spelling"),
        ("https://oc.example.org:99999", "has an invalid port: give a number from 1 to 65535, or leave it out"),
        ("https://münchen.de:0", "has an invalid port: give a number from 1 to 65535, or leave it out"),
        ("https://[::1]:x", "has an invalid port: give a number from 1 to 65535, or leave it out"),
        ("https://münchen.de/ö", "must have a path in ASCII: percent-encode it"),
    ],
)
def test_a_misspelled_url_is_refused_with_the_reason(url: Any, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Origin.parse(url)
    assert caught.value.why == reason


def test_http_to_another_host_must_be_asked_for() -> None:
    assert not Origin.parse("http://oc.example.org", allow_insecure_http=True).secure
    assert Origin.parse("https://oc.example.org").secure


def test_a_url_is_the_base_the_path_and_the_encoded_parameters() -> None:
    origin = Origin.parse("https://example.org/opencast/")
    assert origin.url("/api/version") == "https://example.org/opencast/api/version"
    params = (("filter", "title:a&b=c #d+e%"), ("name", "ä\r\nX-Evil: 1"))
    assert origin.url("/api", params) == (
        "https://example.org/opencast/api?filter=title%3Aa%26b%3Dc+%23d%2Be%25&name=%C3%A4%0D%0AX-Evil%3A+1"
    )


@pytest.mark.parametrize(
    "path", ["", "api", "//evil.example.org", "/\\evil.example.org", "https://evil.example.org", "@evil"]
)
def test_a_path_that_could_leave_the_origin_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="path"):
        Origin.parse("https://example.org").url(path)


@given(st.text(), st.lists(st.tuples(st.text(), st.text())))
def test_no_path_and_no_parameter_leads_to_another_origin(path: str, params: list[tuple[str, str]]) -> None:
    try:
        url = Origin.parse("https://example.org").url("/" + path, tuple(params))
    except InvalidArgument:
        return
    assert urlsplit(url)[:2] == ("https", "example.org")


@given(st.text(alphabet="htps:/@[]?#\\.%0123456789ab \n"))
def test_any_text_as_a_base_url_is_accepted_or_refused(url: str) -> None:
    with contextlib.suppress(InvalidArgument):
        Origin.parse(url)


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("http://127.0.0.1:8080", "http://localhost:8080", True),
        ("http://[::1]:8080/x", "http://LOCALHOST:8080/x/", True),
        ("https://OC.example.org", "https://oc.example.org:443", True),
        ("https://oc.example.org", "https://pv.example.org", False),
        ("https://oc.example.org/a", "https://oc.example.org/b", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081", False),
        ("http://oc.example.org", "https://oc.example.org", False),
    ],
)
def test_a_server_is_the_same_however_its_url_is_spelled(url: str, other: str, same: bool) -> None:  # noqa: FBT001 - a column
    assert same_server(url, other) is same_server(other, url) is same

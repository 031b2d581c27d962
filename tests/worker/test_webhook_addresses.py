"""Where requests of a webhook may go: public addresses, and others only where the settings say so."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from sesq.worker.webhooks.addresses import NotReached, Place, RefusedAddress, checked_addresses, is_public

HOOK = Place.of("https://app.example.com/hook")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254",
        "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "233.252.0.1", "240.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "ff0e::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::7f00:1",
        "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:db8::1", "::ffff:168.63.129.16",
        "fec0::1", "3fff::1", "5f00::1", "::10.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:1.1.1.1", "4000::1",
        "64:ff9b:1:a00:0:100:808:808", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "2001:20::1", "100::1",
        "2001:2::1", "fec0::1%lo",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(RefusedAddress, match="allow_private = true"):
        checked_addresses(HOOK, allow_private=False, resolve=lambda host, port: [address])
    assert checked_addresses(HOOK, allow_private=True, resolve=lambda host, port: [address]) == [address]


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "::ffff:1.1.1.1"]
)
def test_an_address_of_the_internet_is_not(address: str) -> None:
    assert checked_addresses(HOOK, allow_private=False, resolve=lambda *_: [address]) == [address]


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(RefusedAddress):
        checked_addresses(HOOK, allow_private=False, resolve=lambda *_: ["1.1.1.1", "10.0.0.1"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_for_those_that_name_it(host: str) -> None:
    place = Place.of(f"http://{host}:8000/")
    assert checked_addresses(place, allow_private=False, resolve=lambda *_: ["127.0.0.1"]) == ["127.0.0.1"]
    with pytest.raises(
        RefusedAddress
    ):  # a hosts file may say anything, and http:// must not leave this machine
        checked_addresses(place, allow_private=True, resolve=lambda *_: ["10.0.0.1"])


@pytest.mark.parametrize("url", ["https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0/"])
def test_other_ways_to_write_this_machine_are_seen_through(url: str) -> None:
    with pytest.raises(RefusedAddress):
        checked_addresses(Place.of(url), allow_private=False)


def test_a_name_that_nobody_knows_is_not_reached() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(NotReached, match=r"app\.example\.com could not be resolved") as raised:
        checked_addresses(HOOK, allow_private=False, resolve=unknown)
    assert not isinstance(raised.value, RefusedAddress)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://app.example.com", "app.example.com", "/"),
        ("https://APP.example.com:443/a?b=c", "app.example.com", "/a?b=c"),
        ("http://localhost:8000/a/", "localhost:8000", "/a/"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443", "/"),
    ],
)
def test_the_host_header_and_the_path(url: str, authority: str, target: str) -> None:
    place = Place.of(url)
    assert (place.authority, place.target) == (authority, target)

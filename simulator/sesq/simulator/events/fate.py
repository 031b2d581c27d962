"""What becomes of accepted mail, recipient by recipient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sesq.simulator.addresses import simulated

FATES = ("delivery", "delay", "bounce", "ooto", "complaint", "suppressionlist")
_EICAR = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
_EICAR_BASE64 = (
    b"RUlDQVItU1RBTkRBUkQtQU5USVZJUlVTLVRFU1QtRklMRQ",
    b"VJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTE",
    b"FSUNBUi1TVEFOREFSRC1BTlRJVklSVVMtVEVTVC1GSUxF",
)


class Happening(NamedTuple):
    """One event to be: its type in the API's spelling, whom it is about, and for a bounce why."""

    type: str
    recipients: tuple[str, ...]
    sub_type: str = "General"


def is_virus(content: bytes) -> bool:
    """Whether the EICAR test file is in it, plain or in base64: AWS's documented way to a Reject."""
    return _EICAR in content or any(form in content.replace(b"\r\n", b"") for form in _EICAR_BASE64)


def happenings(
    recipients: Sequence[str], fates: Mapping[str, str], suppressed: Callable[[str], bool]
) -> list[Happening]:
    """What follows the Send event, in order; the bounces of one message come in one event."""
    by_fate: dict[str, list[str]] = {}
    for address in dict.fromkeys(recipients):
        by_fate.setdefault(_fate(address, fates, suppressed), []).append(address)

    def of(*kinds: str) -> tuple[str, ...]:
        return tuple(address for kind in kinds for address in by_fate.get(kind, ()))

    found = [
        Happening("DELIVERY_DELAY", of("delay")),
        Happening("DELIVERY", of("delivery", "delay", "ooto", "complaint")),
        Happening("BOUNCE", of("bounce")),
        Happening("BOUNCE", of("suppressionlist"), "Suppressed"),
        Happening("BOUNCE", of("suppressed"), "OnAccountSuppressionList"),
        Happening("COMPLAINT", of("complaint")),
    ]
    return [each for each in found if each.recipients]


def _fate(address: str, fates: Mapping[str, str], suppressed: Callable[[str], bool]) -> str:
    if suppressed(address):
        return "suppressed"
    if address in fates:
        return fates[address]
    played = simulated(address)
    if played == "success":
        return "delay" if address.partition("+")[2].startswith("delay@") else "delivery"
    return played or "delivery"

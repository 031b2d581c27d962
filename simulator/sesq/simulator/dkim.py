"""Checks the signing keys given to CreateEmailIdentity. Nothing is signed here: they come back, or are refused."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from sesq.simulator.errors import SesError

KEY_SIZES = (1024, 2048)
_OWN = ("DomainSigningSelector", "DomainSigningPrivateKey")


def check_signing(given: Mapping[str, Any], identity: str) -> None:
    """Checks the DkimSigningAttributes of a new identity. Raises SesError(bad_request, not_imitated)."""
    named = {name for name, value in given.items() if value is not None}
    if not named:
        return
    if "@" in identity:
        raise SesError("bad_request", "DkimSigningAttributes can only be specified for a domain.")
    if named.isdisjoint(_OWN):
        return
    if not named.issuperset(_OWN):
        raise SesError("bad_request", f"{' and '.join(_OWN)} have to be specified together.")
    if "NextSigningKeyLength" in named:
        raise SesError(
            "not_imitated",
            "NextSigningKeyLength: this simulator does not imitate it together with a key of your own.",
        )
    _check_key(given["DomainSigningPrivateKey"])


def _check_key(encoded: str) -> None:
    """Checks a key: DER in base64, which is a PEM file without its first and last line."""
    try:
        key = load_der_private_key(base64.b64decode(encoded, validate=True), None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SesError("bad_request", "DomainSigningPrivateKey is not a private key in base64.") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size not in KEY_SIZES:
        raise SesError("bad_request", "DomainSigningPrivateKey is not an RSA key of 1024 or 2048 bits.")

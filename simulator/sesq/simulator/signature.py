"""Reads the signature of a call: its region, and, if keys are configured, whether one of them signed it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from sesq.simulator.errors import SesError
from sesq.simulator.http import DEFAULT_REGION, Call, valid_region

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signature(NamedTuple):
    """The parts of an AWS Signature Version 4 `Authorization` header; `scope` is date/region/service/aws4_request."""

    key: str
    scope: tuple[str, ...]
    signed_headers: tuple[str, ...]
    signature: str


def signed_region(authorization: str) -> str:
    """Returns the region in a credential scope; us-east-1 if there is none."""
    _, found, credential = authorization.partition("Credential=")
    scope = credential.partition(",")[0].split("/")
    if found and len(scope) >= 5 and valid_region(scope[-3]):
        return scope[-3]
    return DEFAULT_REGION


def check_signature(call: Call, keys: Mapping[str, str]) -> None:
    """Raises SesError(no_signature, unknown_key, bad_signature).

    The age is not checked, since the simulator's clock may be moved.
    """
    signed = _parse(call.header(b"authorization"))
    secret = keys.get(signed.key)
    if secret is None:
        raise SesError("unknown_key", "The security token included in the request is invalid.")
    expected = hmac.new(signing_key(secret, signed.scope), _string_to_sign(call, signed), hashlib.sha256)
    if not hmac.compare_digest(expected.hexdigest(), signed.signature):
        raise SesError(
            "bad_signature",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        )


def signing_key(secret: str, scope: tuple[str, ...]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def smtp_password(secret: str, region: str) -> str:
    """Derives the password for SMTP from a secret key (AWS's documented algorithm, version 4)."""
    key = signing_key(secret, ("11111111", region, "ses", "aws4_request", "SendRawEmail"))
    return base64.b64encode(b"\x04" + key).decode()


def _parse(authorization: str) -> Signature:
    algorithm, _, rest = authorization.partition(" ")
    fields = dict(field.strip().partition("=")[::2] for field in rest.split(","))
    key, *scope = fields.get("Credential", "").split("/")
    if algorithm != _ALGORITHM or len(scope) != 4 or not {"SignedHeaders", "Signature"} <= fields.keys():
        raise SesError("no_signature", "Missing Authentication Token")
    return Signature(key, tuple(scope), tuple(fields["SignedHeaders"].split(";")), fields["Signature"])


def _string_to_sign(call: Call, signed: Signature) -> bytes:
    digest = hashlib.sha256(_canonical_request(call, signed.signed_headers)).hexdigest()
    return "\n".join((_ALGORITHM, call.header(b"x-amz-date"), "/".join(signed.scope), digest)).encode()


def _canonical_request(call: Call, names: tuple[str, ...]) -> bytes:
    # SES, unlike S3, signs the path as sent, encoded once more.
    path = quote(call.raw_path.decode("latin-1"), safe="/~")
    pairs = sorted(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    headers = "".join(f"{name}:{' '.join(call.header(name.encode()).split())}\n" for name in names)
    payload = hashlib.sha256(call.body).hexdigest()
    return "\n".join((call.method, path, query, headers, ";".join(names), payload)).encode("latin-1")

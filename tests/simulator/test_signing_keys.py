"""Signing keys of an identity: what is given comes back, or is refused."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from refused import refusal


def in_base64(key, form=serialization.PrivateFormat.PKCS8):
    der = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    return base64.b64encode(der).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_key_of_ones_own_comes_back_as_its_selector(sesv2, key, form):
    keys = {"DomainSigningSelector": "mine", "DomainSigningPrivateKey": in_base64(key, form)}
    made = sesv2.create_email_identity(EmailIdentity="x.org", DkimSigningAttributes=keys)
    for found in (made, sesv2.get_email_identity(EmailIdentity="x.org")):
        attributes = found["DkimAttributes"]
        assert (attributes["SigningAttributesOrigin"], attributes["Tokens"]) == ("EXTERNAL", ["mine"])
        assert "NextSigningKeyLength" not in attributes


def test_the_length_of_a_key_of_ses_comes_back(sesv2):
    for name, length in (("x.org", "RSA_1024_BIT"), ("y.org", "RSA_2048_BIT")):
        sesv2.create_email_identity(
            EmailIdentity=name, DkimSigningAttributes={"NextSigningKeyLength": length}
        )
        attributes = sesv2.get_email_identity(EmailIdentity=name)["DkimAttributes"]
        assert (attributes["SigningAttributesOrigin"], attributes["CurrentSigningKeyLength"]) == (
            "AWS_SES",
            length,
        )
        assert attributes["NextSigningKeyLength"] == length


def refused_keys(key):
    own = {"DomainSigningSelector": "mine", "DomainSigningPrivateKey": in_base64(key)}
    return {
        "no key": ({"DomainSigningSelector": "mine"}, "have to be specified together"),
        "no selector": (
            {"DomainSigningPrivateKey": own["DomainSigningPrivateKey"]},
            "have to be specified together",
        ),
        "both kinds": (own | {"NextSigningKeyLength": "RSA_2048_BIT"}, "does not imitate"),
        "no base64": (own | {"DomainSigningPrivateKey": "A"}, "is not a private key"),
        "no key in it": (own | {"DomainSigningPrivateKey": "AAAA"}, "is not a private key"),
        "another kind": (
            own | {"DomainSigningPrivateKey": in_base64(ec.generate_private_key(ec.SECP256R1()))},
            "is not an RSA key of 1024 or 2048 bits",
        ),
        "another length": (
            own | {"DomainSigningPrivateKey": in_base64(rsa.generate_private_key(65537, 1536))},
            "is not an RSA key of 1024 or 2048 bits",
        ),
        "another region's": ({"DomainSigningAttributesOrigin": "AWS_SES_EU_WEST_1"}, "does not imitate"),
    }


@pytest.mark.parametrize(
    "what",
    [
        "no key",
        "no selector",
        "both kinds",
        "no base64",
        "no key in it",
        "another kind",
        "another length",
        "another region's",
    ],
)
def test_keys_that_cannot_be_are_refused(sesv2, key, what):
    given, words = refused_keys(key)[what]
    code, text = refusal(sesv2.create_email_identity, EmailIdentity="x.org", DkimSigningAttributes=given)
    assert (code, words in text) == ("BadRequestException", True)
    assert refusal(sesv2.get_email_identity, EmailIdentity="x.org")[0] == "NotFoundException"


def test_an_address_has_no_signing_keys(sesv2):
    code, text = refusal(
        sesv2.create_email_identity,
        EmailIdentity="bob@x.org",
        DkimSigningAttributes={"NextSigningKeyLength": "RSA_2048_BIT"},
    )
    assert (code, text) == (
        "BadRequestException",
        "DkimSigningAttributes can only be specified for a domain.",
    )

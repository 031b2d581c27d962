"""`sesq smtp-password`: the SMTP credentials that belong to an AWS access key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InputError, SesqError
from sesq.config.parts import part
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, load_settings
from sesq.console.output import complain, print_json

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

EXAMPLES = """Examples

  sesq smtp-password --file /etc/sesq/smtp-password
  sesq smtp-password --region eu-west-1 --json
"""
EXPLANATION = """The user name is the access key's id {user}; the password is for {region} alone, and ends with the key.
The key's IAM user needs ses:SendRawEmail. The API needs the AWS key itself, never this password."""

app = typer.Typer(add_completion=False)


class NoLastingKey(SesqError):
    """There is no access key that an SMTP password could be derived from."""


@app.command(epilog=EXAMPLES)
def smtp_password(
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="The account's own if not given.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file, which only you can read.")
    ] = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Derive the password for SES's SMTP interface from this account's AWS secret access key.

    It makes no call to AWS. It finds the key where AWS's tools find it: in the environment, or in the profile. Keys of
    a role end after hours, and do not work for SMTP.
    """
    key, where = _lasting_key(account, region)
    from sesq.worker.smtp_password import smtp_password as derive

    password = derive(str(key.secret_key), where)
    if file is not None:
        _write(file, password)
    told = {"region": where, "host": f"email-smtp.{where}.amazonaws.com", "user": key.access_key}
    if json:
        print_json(told | ({"file": str(file)} if file else {"password": password}))
        return
    complain(EXPLANATION.format(**told))
    typer.echo(f"written to {file}" if file else password)


def _lasting_key(account: str, region: str | None) -> tuple[ReadOnlyCredentials, str]:
    settings = load_settings()
    chosen = settings.account(account)
    if region is not None:
        settings = settings.model_copy(
            update={"accounts": {**settings.accounts, account: chosen.model_copy(update={"region": region})}}
        )
    with part("worker"):
        from sesq.worker.aws_clients import open_client
    client = open_client(account, settings)
    key = client.credentials()
    if key is None:
        raise NoLastingKey(
            "no AWS access key was found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if key.token:
        raise NoLastingKey(
            f"{key.access_key} is a temporary key, which SMTP does not take: use an IAM user's own key"
        )
    return key, client.region


def _write(file: Path, password: str) -> None:
    """Writes a new file. It never replaces one that is there, whose mode could let others read it."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(f"{password}\n")
    except OSError as error:
        raise InputError(f"--file: {file}: {error.strerror}") from error

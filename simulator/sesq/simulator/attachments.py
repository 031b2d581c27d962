"""Attachments: the file names that SES refuses, and attachments of Simple and Template content."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.members import text

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|]')
# "Amazon SES unsupported attachment types" in AWS's guide.
_REFUSED_EXTENSION = re.compile(
    r"""\.(?:ade|adp|app|asp|bas|bat|cer|chm|cmd|com|cpl|crt|csh|der|exe|fxp|gadget|hlp|hta|inf|ins|isp|its|js|jse|ksh
    |lib|lnk|mad|maf|mag|mam|maq|mar|mas|mat|mau|mav|maw|mda|mdb|mde|mdt|mdw|mdz|msc|msh|msh1|msh2|mshxml|msh1xml
    |msh2xml|msi|msp|mst|ops|pcd|pif|plg|prf|prg|reg|scf|scr|sct|shb|shs|sys|ps1|ps1xml|ps2|ps2xml|psc1|psc2|tmp|url
    |vb|vbe|vbs|vps|vsmacros|vss|vst|vsw|vxd|ws|wsc|wsf|wsh|xnk)\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def check_attachments(attachments: Iterable[Mapping[str, Any]]) -> None:
    """Attachments of a request, which the table has checked before; SesError(bad_request, unreadable)."""
    for attachment in attachments:
        name = text(attachment, "FileName")
        if _NOT_IN_NAMES.search(name):
            raise illegal_name(name)
        check_extension(name)
        try:
            base64.b64decode(text(attachment, "RawContent"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise SesError("unreadable", "RawContent is not base64.") from error


def check_extension(name: str) -> None:
    """SesError(bad_request) for the name of a file of a kind that SES takes nowhere."""
    dot = name.rfind(".")
    if dot >= 0 and _REFUSED_EXTENSION.fullmatch(name, dot):
        raise illegal_name(name)


def illegal_name(name: str) -> SesError:
    return SesError("bad_request", f"Illegal filename '{name[:255]}'.")

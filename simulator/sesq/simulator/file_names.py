"""Refuses the names of files that SES refuses, in raw mail and as attachments of a request."""

from __future__ import annotations

import re

from sesq.simulator.errors import SesError

# "Amazon SES unsupported attachment types" in AWS's guide.
_REFUSED_EXTENSION = re.compile(
    r"""\.(?:ade|adp|app|asp|bas|bat|cer|chm|cmd|com|cpl|crt|csh|der|exe|fxp|gadget|hlp|hta|inf|ins|isp|its|js|jse|ksh
    |lib|lnk|mad|maf|mag|mam|maq|mar|mas|mat|mau|mav|maw|mda|mdb|mde|mdt|mdw|mdz|msc|msh|msh1|msh2|mshxml|msh1xml
    |msh2xml|msi|msp|mst|ops|pcd|pif|plg|prf|prg|reg|scf|scr|sct|shb|shs|sys|ps1|ps1xml|ps2|ps2xml|psc1|psc2|tmp|url
    |vb|vbe|vbs|vps|vsmacros|vss|vst|vsw|vxd|ws|wsc|wsf|wsh|xnk)\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def check_extension(name: str) -> None:
    """Raises SesError(bad_request) for the name of a file of a kind that SES never takes."""
    dot = name.rfind(".")
    if dot >= 0 and _REFUSED_EXTENSION.fullmatch(name, dot):
        raise illegal_name(name)


def illegal_name(name: str) -> SesError:
    return SesError("bad_request", f"Illegal filename '{name[:255]}'.")

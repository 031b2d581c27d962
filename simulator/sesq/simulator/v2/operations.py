"""Every operation of SESv2 that is answered."""

from __future__ import annotations

from sesq.simulator.v2 import (
    account,
    configuration_sets,
    identities,
    sending,
    suppression,
    templates,
    tenants,
)

OPERATIONS = (
    *sending.OPERATIONS,
    *account.OPERATIONS,
    *identities.OPERATIONS,
    *templates.OPERATIONS,
    *configuration_sets.OPERATIONS,
    *suppression.OPERATIONS,
    *tenants.OPERATIONS,
)

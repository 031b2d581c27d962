"""The operations of SESv2, all in one place."""

from __future__ import annotations

from sesq.simulator.table.account import ACCOUNT, SUPPRESSION, TEMPLATES
from sesq.simulator.table.configuration_sets import CONFIGURATION_SETS
from sesq.simulator.table.identities import IDENTITIES
from sesq.simulator.table.sending import SENDING
from sesq.simulator.table.tenants import TENANTS

V2 = {**SENDING, **ACCOUNT, **IDENTITIES, **CONFIGURATION_SETS, **SUPPRESSION, **TEMPLATES, **TENANTS}

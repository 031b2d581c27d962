"""Tenants of one account in one region: which identities, configuration sets and templates each may use."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sesq.simulator.arns import write_arn
from sesq.simulator.errors import SesError
from sesq.simulator.http import ACCOUNT_ID
from sesq.simulator.suppression import SuppressionList, check_reasons

MAX_TENANTS = 10_000
STATUSES = ("ENABLED", "REINSTATED", "DISABLED")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
MAX_NAME = 64


@dataclass(eq=False)
class Tenant:
    """`resources`: the ARNs of its own -> since when. `owns_all`: it was made by `/_sim/`, and may use everything."""

    name: str
    arn: str
    created_at: float
    id: str
    tags: list[Any] = field(default_factory=list)
    sending_status: str = "ENABLED"
    resources: dict[str, float] = field(default_factory=dict)
    owns_all: bool = False
    suppression: SuppressionList = field(default_factory=SuppressionList)
    suppression_attributes: Mapping[str, Any] | None = None

    @property
    def own_list(self) -> bool:
        """Whether its own suppression list counts for its mail, and not the account's."""
        return (self.suppression_attributes or {}).get("SuppressionScope") == "TENANT"

    def owns(self, arn: str) -> bool:
        return self.owns_all or arn in self.resources

    def set_suppression(self, reasons: list[str] | None, scope: str | None) -> None:
        """Sets both or neither. Raises SesError(bad_request)."""
        check_reasons(reasons or [])
        if reasons is not None and scope is None:
            raise SesError("bad_request", "SuppressedReasons cannot be specified without SuppressionScope.")
        if reasons is None and scope is not None:
            raise SesError("bad_request", "SuppressionScope cannot be specified without SuppressedReasons.")
        given = reasons is not None
        self.suppression_attributes = (
            {"SuppressedReasons": reasons, "SuppressionScope": scope} if given else None
        )
        self.suppression.reasons = reasons or []

    def change(self, sending_status: str) -> None:
        """Sets the sending status. Raises ValueError."""
        if sending_status not in STATUSES:
            raise ValueError(f"sending_status is none of {', '.join(STATUSES)}")
        self.sending_status = sending_status

    def state(self) -> dict[str, Any]:
        return {
            "tenant": self.name,
            "sending_status": self.sending_status,
            "resources": "all" if self.owns_all else list(self.resources),
            "suppressed": [each.address for each in self.suppression],
        }


class Tenants:
    def __init__(self, region: str) -> None:
        self._region = region
        self._by_name: dict[str, Tenant] = {}

    def __iter__(self) -> Iterator[Tenant]:
        return iter(sorted(self._by_name.values(), key=lambda tenant: tenant.name))

    def create(self, name: str, now: float) -> Tenant:
        """Raises SesError(already_exists, bad_request, limit)."""
        _check_name(name)
        if name in self._by_name:
            raise SesError(
                "already_exists", f"Tenant with name {name} already exists in account {ACCOUNT_ID}"
            )
        if len(self._by_name) >= MAX_TENANTS:
            raise SesError("limit", f"Maximum number of tenants ({MAX_TENANTS}) reached.")
        id = f"tn-{uuid.uuid4().hex[:30]}"
        tenant = Tenant(name, self.arn(f"tenant/{name}/{id}"), now, id)
        self._by_name[name] = tenant
        return tenant

    def get(self, name: str) -> Tenant:
        """Raises SesError(bad_request, not_found)."""
        _check_name(name)
        tenant = self._by_name.get(name)
        if tenant is None:
            raise SesError("not_found", f"The requested tenant <{name}> does not exist.")
        return tenant

    def find(self, name: str | None) -> Tenant | None:
        return self._by_name.get(name) if name else None

    def delete(self, name: str) -> None:
        """Deletes a tenant with its associations and its suppression list. Raises SesError(bad_request, not_found)."""
        del self._by_name[self.get(name).name]

    def sending(self, name: str) -> Tenant:
        """Returns the tenant that a send names. Raises SesError(tenant, tenant_disabled) if it may not send."""
        tenant = self._by_name.get(name)
        if tenant is None:
            raise SesError("tenant", f"Tenant {name[:100]} for AwsAccountId {ACCOUNT_ID} not found.")
        if tenant.sending_status == "DISABLED":
            raise SesError("tenant_disabled")
        return tenant

    def require(self, tenant: Tenant, resources: Iterable[str]) -> None:
        """Raises SesError(tenant_resources), which names the resources of a send that are not the tenant's."""
        missing = [arn for arn in map(self.arn, resources) if not tenant.owns(arn)]
        if missing:
            raise SesError(
                "tenant_resources", f"Tenant not associated with resources [{', '.join(missing)}]."
            )

    def keep(self, resource: str) -> None:
        """Raises SesError(bad_request) if a resource that is to be deleted belongs to a tenant."""
        arn = self.arn(resource)
        if any(arn in tenant.resources for tenant in self._by_name.values()):
            raise SesError(
                "bad_request",
                f"Cannot delete <{arn}> because it has tenant associations. "
                "Remove all tenant associations and try again.",
            )

    def arn(self, resource: str) -> str:
        return write_arn(self._region, resource)


def _check_name(name: str) -> None:
    if not name.strip():
        raise SesError("bad_request", "TenantName cannot be empty")
    if len(name) > MAX_NAME:
        raise SesError("bad_request", f"TenantName cannot exceed {MAX_NAME} characters.")
    if not _NAME.fullmatch(name):
        raise SesError(
            "bad_request",
            f"Invalid tenant name <{name}>: only alphanumeric ASCII characters, '_', and '-' are allowed.",
        )

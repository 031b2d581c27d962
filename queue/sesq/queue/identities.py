"""Finds which identities cover an address, and who may receive mail in the sandbox. SES's rules, pure.

Sources, and how sure each rule is:

- A verified domain covers every address at it and at every sub-domain, and none at a parent domain. Domains ignore
  case (SES developer guide, "Verified identities"). Documented for senders; for recipients in the sandbox the guide
  only says "verified email addresses and domains", so sub-domains there are inferred.
- An address identity is compared by case, its domain included: sender@EXAMPLE.com does not cover sender@example.com
  (same guide, and seen in the field). Recipients are read in the same way: no source says otherwise.
- A verified sender@example.com covers sender+label@example.com (same guide). For recipients this is one observation.
- In the sandbox mail goes to verified identities and to the mailbox simulator only; the sender must be verified in
  the sandbox and outside it ("Request production access").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sesq.queue.addresses import is_mailbox_simulator


@dataclass(frozen=True, slots=True)
class Identities:
    """Holds the verified identities of one account in one region; domains in lower case."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    borrowed: frozenset[str] = frozenset()
    """Identities of other accounts with which this one may send."""

    @classmethod
    def from_names(cls, names: Iterable[tuple[str, bool]], borrowed: Iterable[str] = ()) -> Identities:
        """Reads pairs (identity name, is verified) as SES lists them. Identities that are not verified are left out."""
        verified = [name for name, is_verified in names if is_verified]
        return cls(
            addresses=frozenset(name for name in verified if "@" in name),
            domains=frozenset(name.lower() for name in verified if "@" not in name),
            borrowed=frozenset(borrowed),
        )

    def covers_sender(self, spec: str) -> bool:
        """Whether mail may leave from this bare address (documented)."""
        return any(
            name in self.addresses or name in self.domains or name in self.borrowed
            for name in candidates(spec)
        )

    def covers_recipient(self, spec: str) -> bool:
        """Whether the sandbox lets this bare address receive (labels and sub-domains: see the module)."""
        return is_mailbox_simulator(spec) or any(
            name in self.addresses or name in self.domains for name in candidates(spec)
        )


@dataclass(frozen=True, slots=True)
class Unverified:
    """Names the addresses of a message that are not verified. It is false if there are none."""

    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.senders or self.recipients)


def candidates(spec: str) -> tuple[str, ...]:
    """Returns the identities that could cover a bare address, the most exact first.

    These are the address, the address without its +label, its domain, and each parent domain. To look an address up at
    SES, ask for each of them: SES reports an address that only its domain covers as not verified.
    """
    local, _, domain = spec.rpartition("@")
    name, label, _ = local.partition("+")
    unlabelled = [f"{name}@{domain}"] if label and name else []
    labels = domain.lower().split(".")
    return (spec, *unlabelled, *(".".join(labels[start:]) for start in range(len(labels))))


@dataclass(frozen=True, slots=True)
class BorrowedIdentities:
    """Holds the identities that other accounts let this one use (SES's sending authorization): name -> ARN."""

    arns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arns: Iterable[str]) -> BorrowedIdentities:
        """Reads ARNs such as `arn:aws:ses:eu-west-1:123456789012:identity/example.com`."""
        return cls({_identity_of(arn): arn for arn in arns})

    def arn_of(self, spec: str) -> str | None:
        """Returns the ARN of the most exact identity that covers a bare address; None if none does."""
        return next((self.arns[name] for name in candidates(spec) if name in self.arns), None)


def _identity_of(arn: str) -> str:
    name = arn.rpartition(":identity/")[2]
    return name if "@" in name else name.lower()


def unverified(
    identities: Identities, production_access: bool, senders: Iterable[str], recipients: Iterable[str]
) -> Unverified:
    """Returns the bare addresses for which SES would refuse this message, in order, each recipient once."""
    refused_senders = tuple(spec for spec in senders if not identities.covers_sender(spec))
    if production_access:
        return Unverified(refused_senders)
    return Unverified(
        refused_senders,
        tuple(spec for spec in dict.fromkeys(recipients) if not identities.covers_recipient(spec)),
    )

"""Which identities speak for an address, and whom the sandbox lets receive: SES's rules, pure.

Sources, and how sure each rule is:

- A verified domain covers every address at it and at every sub-domain; never the other way round. Domains ignore
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
    """The verified identities of one account in one region; domains in lower case."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    borrowed: frozenset[str] = frozenset()
    """Identities of other accounts, by which this one may send."""

    @classmethod
    def from_names(cls, names: Iterable[tuple[str, bool]], borrowed: Iterable[str] = ()) -> Identities:
        """From (identity name, verified) as SES lists them; what is not verified covers nothing."""
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
    """Who stands in a message's way; false when nobody does."""

    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.senders or self.recipients)


def candidates(spec: str) -> tuple[str, ...]:
    """Returns the identities that could cover a bare address, most exact first: itself, itself without its +label, its
    domain, each parent domain. To look one up at SES, ask for each of these: an address that only its domain
    covers is itself reported as not verified.
    """
    local, _, domain = spec.rpartition("@")
    name, label, _ = local.partition("+")
    unlabelled = [f"{name}@{domain}"] if label and name else []
    labels = domain.lower().split(".")
    return (spec, *unlabelled, *(".".join(labels[start:]) for start in range(len(labels))))


@dataclass(frozen=True, slots=True)
class BorrowedIdentities:
    """The identities that other accounts let this one use (SES's sending authorization): name -> ARN."""

    arns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arns: Iterable[str]) -> BorrowedIdentities:
        """From ARNs as `arn:aws:ses:eu-west-1:123456789012:identity/example.com`."""
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
    """Whom SES would refuse in this message, by bare address, each once and in order."""
    refused_senders = tuple(spec for spec in senders if not identities.covers_sender(spec))
    if production_access:
        return Unverified(refused_senders)
    return Unverified(
        refused_senders,
        tuple(spec for spec in dict.fromkeys(recipients) if not identities.covers_recipient(spec)),
    )

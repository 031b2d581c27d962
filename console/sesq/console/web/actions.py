"""The actions of people and programs, the same for pages and for the API. Each writes an entry into the audit trail.

Changes of limits and pauses are in the policy's history instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sesq.config.errors import InputError
from sesq.console import many
from sesq.console.audit import change_in, suppression_change
from sesq.console.times import parse_duration
from sesq.console.web.site import Room, log
from sesq.console.webhook_view import WebhookView, read_webhooks, require_webhook
from sesq.producer import Message, Outbox
from sesq.producer.rules import check_tenant
from sesq.queue import ramp
from sesq.queue.addresses import parse_address
from sesq.queue.policy import BULK_PAUSE, PAUSE
from sesq.queue.snapshot import read_snapshot, redis_now
from sesq.queue.suppression import REASONS, Suppressed, SuppressionList, listed_as
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.webhooks import WebhookStore

MOST_AT_ONCE, HISTORY = 500, 1000


def act(room: Room, verb: str, ids: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Does it to each message, the oldest first: those it was done to, and of the others why not. Raises InputError."""
    chosen = list(dict.fromkeys(ids))
    many.require_verb(verb)
    if not chosen:
        raise InputError("choose at least one message")
    if len(chosen) > MOST_AT_ONCE:
        raise InputError(f"at most {MOST_AT_ONCE} messages at once")
    states = many.states_of(room.messages, chosen)
    answers = {id: many.do_to_one(room.messages, verb, id, room.by) for id in states}
    done = [id for id, problem in answers.items() if not problem]
    if done:
        room.note(many.told(verb, done), change=many.change_of(verb, (states[id] for id in done)))
    return done, {id: problem for id, problem in answers.items() if problem}


def send(room: Room, message: Message) -> str:
    """Queues a message and returns its id. If a program with the role `send` queues it, it is logged, not audited."""
    settings = room.site.settings
    outbox = Outbox(room.redis, keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
    id = outbox.send(message)
    if room.visitor.rights:
        log.info("%s: queued %s", room.visitor.name, id, extra={"id": id, "user": room.visitor.name})
    else:
        room.note(f"send: {id}")
    return id


def set_limits(room: Room, changes: Mapping[str, str], for_text: str = "", *, force: bool = False) -> None:
    """Raises InvalidPolicy, InputError."""
    seconds = parse_duration(for_text, "for") if for_text else None
    room.policy.set(changes, by=room.by, for_seconds=seconds, force=force)
    room.log(f"limits: {', '.join(f'{name} {value}' for name, value in changes.items())}")


def reset_limits(room: Room, names: list[str] | None = None) -> None:
    """Back to sesq.toml, or to what SES allows. Raises InvalidPolicy."""
    room.policy.reset(names or None, by=room.by)
    room.log(f"limits: reset {', '.join(names or ['all'])}")


def mail_named(*, bulk_only: bool, tenant: str) -> str:
    """Says which mail a pause is about."""
    return f"bulk mail of tenant {tenant}" if tenant else "bulk mail" if bulk_only else "all mail"


def pause(room: Room, reason: str, *, bulk_only: bool = False, tenant: str = "") -> None:
    """Pauses all mail, or bulk mail, or a tenant's bulk mail, from the next claim on. Raises InvalidMessage."""
    if tenant:
        check_tenant(tenant)
        TenantLimits(room.redis, room.account).pause(tenant, reason.strip(), by=room.by)
    else:
        room.policy.pause(reason.strip(), by=room.by, bulk_only=bulk_only)
    room.log(f"pause {mail_named(bulk_only=bulk_only, tenant=tenant)}")


def resume(room: Room, *, bulk_only: bool = False, tenant: str = "") -> None:
    """Ends one of these pauses. Raises InvalidMessage."""
    if tenant:
        check_tenant(tenant)
        TenantLimits(room.redis, room.account).resume(tenant, by=room.by)
    else:
        room.policy.resume(by=room.by, bulk_only=bulk_only)
    room.log(f"resume {mail_named(bulk_only=bulk_only, tenant=tenant)}")


def start_ramp(room: Room, first: str, last: str, over: str) -> None:
    """Lets the day grow from one number of recipients to another. Raises InvalidPolicy, InputError."""
    ramp.start_ramp(room.redis, room.account, first, last, parse_duration(over, "over"), by=room.by)
    room.log(f"ramp: {first} to {last} over {over}")


def stop_ramp(room: Room) -> None:
    """Takes the ramp away, if there is one."""
    if ramp.stop_ramp(room.redis, room.account, by=room.by):
        room.log("ramp: stop")


def undo(room: Room, at: str) -> None:
    """Puts back what the change of limits of that time replaced.

    Raises InputError where it is not in the history any more, InvalidPolicy where that is not possible any more.
    """
    entry = next((entry for entry in room.policy.history(HISTORY) if str(entry["at"]) == at), None)
    if entry is None:
        raise InputError("that change is not in the history any more")
    old, tenant = dict(entry.get("old") or {}), str(entry.get("tenant") or "")
    if ramp.RAMP in old:
        return _undo_ramp(room, old[ramp.RAMP], tenant)
    if tenant:
        return _undo_of_tenant(room, old, tenant)
    for field in (PAUSE, BULK_PAUSE):
        if field in old:
            bulk_only = field == BULK_PAUSE
            return (
                pause(room, old[field], bulk_only=bulk_only)
                if old[field]
                else resume(room, bulk_only=bulk_only)
            )
    changes = _changes_back(entry, old, redis_now(room.redis))
    for each in changes:  # all of them before the first is written: an undo that is refused changes nothing
        room.policy.check(each.limits, for_seconds=each.seconds, force=each.forced)
    gone = [name for name, value in old.items() if value is None]
    if gone:
        reset_limits(room, gone)
    for each in changes:
        room.policy.set(each.limits, by=room.by, for_seconds=each.seconds, force=each.forced)
    return room.log("limits: put back")


class _ChangeBack(NamedTuple):
    """Limits to set again. `seconds`: for how long; None: until somebody changes them. `forced`: also above SES's."""

    limits: dict[str, str]
    forced: bool
    seconds: float | None = None


def _changes_back(entry: Mapping[str, Any], old: Mapping[str, Any], now: float) -> list[_ChangeBack]:
    """Lists what has to be set again. Limits that held for a time hold for the rest of that time."""
    back = {name: str(value) for name, value in old.items() if value is not None}
    forced = {name: value for name, value in back.items() if name in entry.get("old_forced", ())}
    others = {name: value for name, value in back.items() if name not in forced}
    for_a_time = [
        _ChangeBack({name: str(each["value"])}, bool(each["forced"]), float(each["until"]) - now)
        for name, each in (entry.get("old_for") or {}).items()
        if float(each["until"]) > now
    ]
    lasting = [each for each in (_ChangeBack(others, False), _ChangeBack(forced, True)) if each.limits]
    return [*lasting, *for_a_time]


def _undo_ramp(room: Room, old: Mapping[str, Any] | None, tenant: str) -> None:
    if old is None:
        ramp.stop_ramp(room.redis, room.account, by=room.by, tenant=tenant)
    else:
        ramp.put_back_ramp(room.redis, room.account, old, by=room.by, tenant=tenant)
    room.log("ramp: put back" if old else "ramp: stop")


def _undo_of_tenant(room: Room, old: dict[str, str | None], tenant: str) -> None:
    limits = TenantLimits(room.redis, room.account)
    if BULK_PAUSE in old:
        reason = old.pop(BULK_PAUSE)
        if reason:
            limits.pause(tenant, reason, by=room.by)
        else:
            limits.resume(tenant, by=room.by)
    back = {name: value for name, value in old.items() if value is not None}
    if back:  # first, since it may be refused
        limits.set(tenant, back, by=room.by)
    if len(back) < len(old):
        limits.reset(tenant, [name for name in old if name not in back], by=room.by)
    room.log("limits: put back")


def verify(room: Room, name: str) -> Any:
    """Starts the verification of an address or a domain at SES: the Identity. Raises InputError, ControlRefused."""
    from sesq.worker.control import IdentityBook

    identity = IdentityBook(room.control).verify(identity_name(name))
    room.note("verify", identity.name)
    return identity


def identity_name(name: str) -> str:
    """An address as it is, since SES tells identities apart by case; a domain in lower case. Raises InvalidMessage."""
    name = name.strip()
    if "@" in name:
        return parse_address(name, "address").spec
    return parse_address(f"postmaster@{name}", "domain").domain.lower()


def sync(room: Room) -> None:
    """Reads the account at SES now, and frees what waited for what has come true. Raises AccountUnavailable."""
    from sesq.worker.opening import open_account

    open_account(room.redis, room.account, room.site.settings).sync.run()
    room.note("sync")


def suppress(room: Room, address: str, reason: str) -> tuple[int, str]:
    """Lists an address: how many that added, and why SES's own list is as it was. Raises InputError."""
    if reason not in REASONS:
        raise InputError(f"reason: allowed are {', '.join(REASONS)}")
    spec = parse_address(address.strip(), "address").spec
    entry = Suppressed(spec, reason, redis_now(room.redis), room.by)
    before = find_suppressed(room, spec)
    added = SuppressionList(room.redis, room.account).add([entry])
    problem = _tell_ses_suppressed(room, spec, reason)
    room.note(f"suppress ({reason})", spec, suppression_change(before, before or entry))
    return added, problem


def unsuppress(room: Room, address: str) -> tuple[int, str]:
    """Takes an address off the list: how many that were, and why SES's own list is as it was."""
    before = SuppressionList(room.redis, room.account).among([address]).get(address)
    removed = SuppressionList(room.redis, room.account).remove([address])
    problem = _tell_ses_suppressed(room, address, None)
    room.note("no longer suppress", address, suppression_change(before, None))
    return removed, problem


def find_suppressed(room: Room, address: str) -> Suppressed | None:
    """An address's entry in the list. Raises InputError."""
    spec = listed_as(parse_address(address.strip(), "address").spec)
    return next(iter(SuppressionList(room.redis, room.account).among([spec]).values()), None)


def _tell_ses_suppressed(room: Room, spec: str, reason: str | None) -> str:
    """Changes SES's own list too, where the account may: not in the sandbox. Why that failed; else empty."""
    if not read_snapshot(room.redis, room.account).production:
        return ""
    from sesq.worker.suppression import SesSuppression

    at_ses = SesSuppression(room.redis, room.account, room.control)
    problem = at_ses.delete([spec]) if reason is None else at_ses.put([spec], reason)
    return f"SES's own list is as it was: {problem}" if problem else ""


def contacts(addresses: Iterable[str]) -> tuple[str, ...]:
    """Whom AWS may ask about a request. Raises InputError."""
    return tuple(parse_address(each, "contacts").spec for each in addresses)


def apply_for_production(room: Room, application: Any) -> None:
    """Sends the request to AWS. Raises ReviewConflict, ControlRefused."""
    from sesq.worker.control.access import apply

    apply(room.control, application)
    room.note("ask for production access")


def webhooks(room: Room) -> list[WebhookView]:
    """The account's webhooks, and how each does."""
    return read_webhooks(room.redis, room.account, room.configured_webhooks)


def webhook(room: Room, name: str) -> WebhookStore:
    """One of them. Raises UnknownWebhook."""
    return require_webhook(room.redis, room.account, room.configured_webhooks, name)


def enable_webhook(room: Room, name: str) -> bool:
    """Delivers to it again; whether it was disabled."""
    was_disabled = webhook(room, name).enable(redis_now(room.redis))
    was = "disabled" if was_disabled else "enabled"
    room.note(f"enable webhook {name}", change=change_in("webhook", was, "enabled"))
    return was_disabled


def disable_webhook(room: Room, name: str, reason: str) -> None:
    """Delivers nothing to it until it is enabled."""
    because = f"by {room.by}: {reason.strip()}" if reason.strip() else f"by {room.by}"
    webhook(room, name).disable(because, redis_now(room.redis))
    room.note(f"disable webhook {name}", change=change_in("webhook", "enabled", f"disabled {because}"))


def retry_webhook(room: Room, name: str, ids: list[str] | None = None) -> list[str]:
    """Delivers again what was given up, all of it or those events: their ids."""
    revived = webhook(room, name).revive(redis_now(room.redis), ids or ())
    room.note(f"webhook {name}: deliver {len(revived)} again")
    return revived

"""Names every key that sesq has in Redis, and RQ's queues. Code and people find all names here.

All keys of an account begin with `sesq:<account>:`. The scripts build the same names from the account's name. Their
headers describe each key and its units. Times are seconds since the epoch by Redis's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from sesq.queue.states import Lane, State

ACCOUNTS = "sesq:accounts"
"""Set: the names of all accounts for which mail was queued or a worker ran."""

CONSOLE_SECRET = "sesq:console:secret"  # noqa: S105  (the name of a key)
"""String: the key with which the web console signs its cookies."""


def console_session(id: str) -> str:
    """String with expiry: who is logged in to the web console in that session; a logout deletes it."""
    return f"sesq:console:session:{id}"


LAYOUT = "sesq:layout"
"""String: the number of the layout in which the data of all accounts is kept; see `layout.py`."""
CLOCK_OFFSET = "sesq:clock:offset"
"""String: seconds that move the scripts' clock, or `=<seconds>` to stop it there. For tests only: `sesq doctor` fails
if it is set."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names the keys of one account."""

    account: str

    def _key(self, *parts: str) -> str:
        return ":".join(("sesq", self.account, *parts))

    # messages
    def message(self, id: str) -> str:
        """Hash: the record of one message (state, envelope, costs, history)."""
        return self._key("message", id)

    def content(self, id: str) -> str:
        """String: the body of one message; gone once it is sent, unless it is to be kept."""
        return self._key("content", id)

    def state(self, state: State) -> str:
        """Sorted set: the messages in that state by the time they entered it."""
        return self._key("state", state.value)

    def idempotency(self, digest: str) -> str:
        """String with expiry: the id and content digest that an idempotency key stands for."""
        return self._key("idempotency", digest)

    # batches
    @property
    def batches(self) -> str:
        """Sorted set: the batches by the time they were begun."""
        return self._key("batches")

    def batch(self, id: str) -> str:
        """Hash: a batch and its counts; `lua/batches.lua` describes its other keys."""
        return self._key("batch", id)

    def template(self, batch: str) -> str:
        """String: the template of a batch, packed."""
        return self._key("template", batch)

    def chunk(self, id: str) -> str:
        """Hash: up to 500 rows of a batch, and how many of them have gone."""
        return self._key("chunk", id)

    def rows(self, chunk: str) -> str:
        """String: the rows of a chunk, packed."""
        return self._key("rows", chunk)

    def log(self, chunk: str) -> str:
        """String: the MessageIds of a chunk that is not done yet."""
        return self._key("log", chunk)

    def results(self, chunk: str) -> str:
        """String: the MessageIds of a chunk that is done, packed."""
        return self._key("results", chunk)

    def arrived(self, chunk: str) -> str:
        """String: a bit for each recipient of a chunk, 1 if the mail was delivered."""
        return self._key("arrived", chunk)

    def materialized(self, batch: str) -> str:
        """Set: the ids of a batch's rows that have a record of their own."""
        return self._key("materialized", batch)

    def parked(self, batch: str) -> str:
        """List: the chunks of a batch that wait for it to be resumed."""
        return self._key("parked", batch)

    def progress(self, batch: str) -> str:
        """String: the progress of a batch over time, packed; see `batch_progress.py`."""
        return self._key("progress", batch)

    def batch_windows(self, batch: str) -> str:
        """Set: the send windows of a batch: its own, or one for each zone of its rows."""
        return self._key("windows", batch)

    @property
    def windows(self) -> str:
        """Hash: a send window -> when it is open, for about a week: `start end start end …`."""
        return self._key("windows")

    @property
    def windowed(self) -> str:
        """Sorted set: the chunks that wait until their send window opens, in the order of their lane."""
        return self._key("windowed")

    @property
    def with_windows(self) -> str:
        """Set: the batches that have a send window, until they are forgotten."""
        return self._key("with_windows")

    @property
    def unpacked(self) -> str:
        """Set: the chunks that are done and whose results are not packed yet."""
        return self._key("unpacked")

    # for people
    @property
    def damaged(self) -> str:
        """Hash: a damaged key -> JSON [found (s), what is wrong]. A key of a wrong type becomes `damaged:<key>`."""
        return self._key("damaged")

    @property
    def counters(self) -> str:
        """Hash: how often messages got each state, and how long sent messages had waited."""
        return self._key("counters")

    @property
    def depth_history(self) -> str:
        """String: how many waited in each minute of the last day, packed."""
        return self._key("chronicle")

    @property
    def audit(self) -> str:
        """List: what people did, newest first."""
        return self._key("audit")

    @property
    def acts(self) -> str:
        """Hash: id of an action on many messages that has not ended -> JSON of the action and its progress."""
        return self._key("acts")

    # holds
    def hold(self, what: str) -> str:
        """Sorted set: the messages that wait for `what`, by the time they were queued."""
        return self._key("hold", what)

    @property
    def holds(self) -> str:
        """Hash: what is waited for -> why, in words."""
        return self._key("holds")

    @property
    def blocks(self) -> str:
        """Hash: a sender, configuration set or account that SES refuses as a whole -> JSON [since (s), why, doubt].

        Its messages are not tried one by one. Doubt: only a try can tell when SES takes them again.
        """
        return self._key("blocks")

    # the gate
    @property
    def gate(self) -> str:
        """Hash: the token bucket and the ledger's head."""
        return self._key("gate")

    @property
    def ledger(self) -> str:
        """String: 1,442 one-minute counts of recipients, packed."""
        return self._key("ledger")

    @property
    def token_waiters(self) -> str:
        """Sorted set: the workers that wait for a token, by the time of the token that each was promised."""
        return self._key("token_waiters")

    @property
    def bulk_token_waiters(self) -> str:
        """Sorted set: the same, for workers that serve bulk mail only."""
        return self._key("token_waiters", "bulk")

    @property
    def leases(self) -> str:
        """Sorted set: the messages being sent, by the time their worker's lease runs out."""
        return self._key("leases")

    def stale(self, queue: str) -> str:
        """Set: the stale entries of an RQ queue: ids of messages and chunks that do not wait in it any more."""
        return self._key("stale", queue)

    def shares(self, queue: str) -> str:
        """Sorted set: the RQ queues that take turns in that lane, by the recipients that went from each."""
        return self._key("shares", queue)

    def resting(self, queue: str) -> str:
        """Sorted set: queues of tenants at their own limits, by the time until which they wait (s)."""
        return self._key("resting", queue)

    @property
    def starting(self) -> str:
        """Sorted set: batches that are paused until their time, by that time."""
        return self._key("starting")

    @property
    def keeping(self) -> str:
        """Set: batches that ended, or go on after their end, whose keys do not all have the right expiry yet."""
        return self._key("keeping")

    @property
    def expiring(self) -> str:
        """Sorted set: the messages that are not to be sent after a time, by that time."""
        return self._key("expiring")

    @property
    def restored(self) -> str:
        """Hash: exists after a backup was restored. Messages that were queued before may have been sent since."""
        return self._key("restored")

    # limits
    @property
    def policy(self) -> str:
        """Hash: the limits and the pause that people set; they outlive restarts."""
        return self._key("policy")

    @property
    def configured(self) -> str:
        """Hash: the limits in sesq.toml, as the worker that started last read it."""
        return self._key("configured")

    @property
    def tenant_limits(self) -> str:
        """Hash: a tenant -> JSON {rate, daily} of its own limits."""
        return self._key("tenant_limits")

    @property
    def tenant_states(self) -> str:
        """Hash: a tenant -> JSON {status, asked (s), why, own_list}: SES's last answer about it."""
        return self._key("tenant_states")

    def tenant(self, name: str) -> str:
        """Hash with expiry: the token bucket of a tenant, and the head of its ledger."""
        return self._key("tenant", name)

    def tenant_day(self, name: str) -> str:
        """String with expiry: the ledger of a tenant."""
        return self._key("tenant_day", name)

    @property
    def policy_history(self) -> str:
        """List: who changed what and when, newest first."""
        return self._key("policy", "history")

    # events of SES
    @property
    def suppression(self) -> str:
        """Hash: an address that gets no mail -> JSON {reason, at, source}."""
        return self._key("suppression")

    @property
    def suppression_read(self) -> str:
        """Hash: `read`: how far SES's own suppression list is read; `until`: when to read it again (s)."""
        return self._key("suppression", "read")

    @property
    def reputation(self) -> str:
        """Hash: `<hour since the epoch>:sent|bounced|complained` -> recipients; `level`: the level already acted on;
        `read_at`: when a reader last asked for events, or got one (s)."""
        return self._key("reputation")

    def tenant_reputation(self, tenant: str) -> str:
        """Hash with expiry: the same counts for a tenant's mail, without a level."""
        return self._key("tenant_reputation", tenant)

    @property
    def counted_tenants(self) -> str:
        """Sorted set: the tenants that have such counts, by the time of the last event that was counted (s)."""
        return self._key("counted_tenants")

    def origins(self, what: str, counted: str, day: int) -> str:
        """Sorted set with expiry: the recipients of a day since the epoch, by domain or by tag; see `lua/origins.lua`.

        `what`: domain or tag; `counted`: sent, bounced or complained.
        """
        return self._key("origins", what, counted, str(day))

    @property
    def poison(self) -> str:
        """List: texts that came as events and are no events, newest first."""
        return self._key("poison")

    @property
    def notices(self) -> str:
        """Sorted set: JSON {kind, text, id} of notices of SES, by the time at which each first came (s)."""
        return self._key("notices")

    def event(self, digest: str) -> str:
        """String with expiry: exists once this event is counted; `noted` once it is in its message's history too."""
        return self._key("event", digest)

    # events for consumers
    @property
    def listening(self) -> str:
        """Hash: the consumers of events; see `lua/stream.lua`."""
        return self._key("listening")

    @property
    def events(self) -> str:
        """Stream: the events of messages, if a consumer listens."""
        return self._key("events")

    def reader(self, consumer: str) -> str:
        """String with expiry: the process that reads the stream as this consumer."""
        return self._key("reader", consumer)

    def webhook(self, name: str) -> str:
        """Hash: health of a webhook: delivered, last_ok (s), failing_since (s), failed_at (s), why, disabled_at (s)."""
        return self._key("webhook", name)

    def webhook_waiting(self, name: str) -> str:
        """Hash: an event's id -> JSON of an event that is to be delivered again, and how often that failed."""
        return self._key("webhook_waiting", name)

    def webhook_order(self, name: str) -> str:
        """Sorted set: "<message> <number> <id>" of each event in `webhook_waiting`, all with score 0."""
        return self._key("webhook_order", name)

    def webhook_due(self, name: str) -> str:
        """Sorted set: the messages of `webhook_waiting`, by the time at which the first event is tried again."""
        return self._key("webhook_due", name)

    def webhook_dead(self, name: str) -> str:
        """List: JSON of the events that were given up, newest last."""
        return self._key("webhook_dead", name)

    def webhook_runner(self, name: str) -> str:
        """String with expiry: the process that delivers for the webhook."""
        return self._key("webhook_runner", name)

    # the account at SES
    @property
    def snapshot(self) -> str:
        """Hash: the account as SES last described it."""
        return self._key("snapshot")

    @property
    def transport(self) -> str:
        """String: `ses` or `smtp`: how the workers send."""
        return self._key("transport")

    @property
    def identities(self) -> str:
        """Hash: identity -> 1 (verified) or 0, as SES last listed them; 2: it belongs to another account."""
        return self._key("identities")

    @property
    def sync(self) -> str:
        """Hash: the run id of the Redis server at the last sync, and until when one worker alone syncs."""
        return self._key("sync")

    @property
    def pruning(self) -> str:
        """Hash: state -> the place in its list at which the search for expired records goes on."""
        return self._key("pruning")

    @property
    def reconciled(self) -> str:
        """String with expiry: exists after a comparison of records with RQ's jobs, until the next one may begin."""
        return self._key("reconciled")

    @property
    def control(self) -> str:
        """String: when the last control call was made (ms). SES allows one a second, from all processes together."""
        return self._key("control")

    @property
    def wake(self) -> str:
        """Channel: tells workers that mail may be able to go now."""
        return self._key("wake")

    def queue(self, lane: Lane, tenant: str = "") -> str:
        """Returns the name of the lane's RQ queue (not its Redis key), or of a tenant's in it."""
        return queue_name(self.account, lane, tenant)


def queue_name(account: str, lane: Lane | str, tenant: str = "") -> str:
    """Names the RQ queue of an account's lane, `sesq.default.bulk`, or of a tenant in it, `sesq.default.bulk.acme`."""
    return f"sesq.{account}.{lane}.{tenant}" if tenant else f"sesq.{account}.{lane}"

"""Django's mail through the queue, without a change to the application:

    EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
    MAILERS = {"default": {"BACKEND": "sesq.producer.django.EmailBackend"}}      # the same from Django 6.1 on
    INSTALLED_APPS = [..., "sesq.producer.django"]                               # `manage.py check` sees the settings

A message waits in the queue when `send()` returns: the web request waits neither for SES nor for a limit. The settings
are these, each also an option of a mailer or of `get_connection`, in lower case and without SESQ_; all may be left out:

    SESQ_REDIS_URL          where the queue lives; not set: as SESQ_REDIS_URL of the environment and sesq.toml say
    SESQ_ACCOUNT            "default"
    SESQ_LANE               "transactional" or "bulk"
    SESQ_TAGS               a mapping of SES's message tags
    SESQ_CONFIGURATION_SET  SES's configuration set
    SESQ_TENANT             the SES tenant for whom mail is sent
    SESQ_FEEDBACK_TO        where SES sends bounces and complaints
    SESQ_CONTACT_LIST       SES's contact list, and
    SESQ_TOPIC              a topic of it, which the recipient may leave
    SESQ_TRACK              True or False: whether SES tracks opens and clicks
    SESQ_ON_UNKNOWN         "hold" or "resend", where SES's answer is lost
    SESQ_ON_COMMIT          True: what is sent in a transaction is queued when it commits, and not when it rolls back
    SESQ_KEEP_DAYS          how long the record of a finished message stays
    SESQ_KEY_HOURS          how long an idempotency key is remembered: 24
    SESQ_WEBHOOK_SECRET     of the webhooks that come in: see `webhook`

One message differs by its attribute `message.sesq = {"lane": "bulk", "idempotency_key": "order-7"}`, which takes these
too, and send_at and expires_at; or by X-Sesq headers (see `sesq.producer.written_mail`). Its tags come on top of those
of the settings. Its ids in the queue are `message.sesq_ids`. The errors are those of sesq, and Django's too: see
`errors`.
"""

from sesq.producer.django.backend import EmailBackend

__all__ = ["EmailBackend"]

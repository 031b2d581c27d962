"""Django's mail through the queue, without a change to the application:

    EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
    MAILERS = {"default": {"BACKEND": "sesq.producer.django.EmailBackend"}}      # the same from Django 6.1 on
    INSTALLED_APPS = [..., "sesq.producer.django"]                               # `manage.py check` sees the settings

A message is in the queue when `send()` returns: the web request waits neither for SES nor for a limit. These are the
settings. All may be left out. Each is also an option of a mailer and of `get_connection`, in lower case and without
SESQ_.

    SESQ_REDIS_URL          where the queue is; if not set, SESQ_REDIS_URL of the environment and sesq.toml count
    SESQ_ACCOUNT            "default"
    SESQ_LANE               "transactional" or "bulk"
    SESQ_TAGS               a mapping of SES's message tags
    SESQ_CONFIGURATION_SET  SES's configuration set
    SESQ_TENANT             the SES tenant for whom mail is sent
    SESQ_FEEDBACK_TO        where SES sends bounces and complaints
    SESQ_CONTACT_LIST       SES's contact list, which the recipient may leave
    SESQ_TOPIC              a topic of that list, which the recipient may leave
    SESQ_TRACK              True or False: whether SES tracks opens and clicks
    SESQ_ON_UNKNOWN         "hold" or "resend": what to do if SES's answer is lost
    SESQ_ON_COMMIT          True: mail sent in a transaction is queued when it commits, and never if it rolls back
    SESQ_KEEP_DAYS          how long the record of a finished message stays
    SESQ_KEY_HOURS          how long an idempotency key is remembered: 24
    SESQ_WEBHOOK_SECRET     the secret of the webhooks that come in: see `webhook`

A message can have options of its own in the attribute `message.sesq = {"lane": "bulk", "idempotency_key": "order-7"}`:
those above that concern a message, and send_at and expires_at. X-Sesq headers do the same (see
`sesq.producer.written_mail`). Its tags are added to those of the settings. Its ids in the queue are
`message.sesq_ids`. The errors are sesq's and Django's at the same time: see `errors`.
"""

from sesq.producer.django.backend import EmailBackend

__all__ = ["EmailBackend"]

"""A Django project that sends its mail through the queue. Importing it configures the process, once."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

BACKEND = "sesq.producer.django.EmailBackend"
MODERN = django.VERSION >= (6, 1)
"""Whether Django has MAILERS in place of EMAIL_BACKEND; other settings differ then too."""
MAIL_SETTINGS: dict[str, Any] = (
    {"MAILERS": {"default": {"BACKEND": BACKEND}}} if MODERN else {"EMAIL_BACKEND": BACKEND}
)

if not settings.configured:
    settings.configure(
        **MAIL_SETTINGS,
        DEFAULT_FROM_EMAIL="Shop <shop@example.com>",
        SERVER_EMAIL="root@example.com",
        ADMINS=["ada@example.org"] if MODERN else [("Ada", "ada@example.org")],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["sesq.producer.django"],
        USE_TZ=True,
        SECRET_KEY="not a secret",
        ROOT_URLCONF="django_urls",
        ALLOWED_HOSTS=["testserver"],
    )
    django.setup()

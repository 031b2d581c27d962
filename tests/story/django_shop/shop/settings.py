"""The two lines that a project needs for sesq are the last ones."""

from __future__ import annotations

SECRET_KEY = "only for tests"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"

EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
SESQ_ON_COMMIT = True

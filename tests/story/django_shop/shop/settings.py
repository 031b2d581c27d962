"""What a project needs for sesq are the last lines; with the app, its checks run before each command."""

from __future__ import annotations

import django

SECRET_KEY = "only for tests"
INSTALLED_APPS = ["shop", "sesq.producer.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "sesq.producer.django.EmailBackend"}}
else:
    EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
SESQ_ON_COMMIT = True

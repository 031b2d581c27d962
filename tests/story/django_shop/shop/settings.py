"""What a project needs for sesq are the last lines; with the app, its checks run before each command."""

from __future__ import annotations

import os

import django

SECRET_KEY = "only for tests"
INSTALLED_APPS = ["shop", "sesq.producer.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["127.0.0.1"]
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "sesq.producer.django.EmailBackend"}}
else:
    EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
SESQ_ON_COMMIT = True
SESQ_WEBHOOK_SECRET = os.environ.get("SHOP_WEBHOOK_SECRET")

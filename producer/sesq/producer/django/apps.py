"""sesq as an app of a Django project: only its checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from sesq.producer.django.checks import TAG, check_settings


class SesqConfig(AppConfig):
    """`INSTALLED_APPS = [..., "sesq.producer.django"]`."""

    name = "sesq.producer.django"
    label = "sesq"

    def ready(self) -> None:
        """Registers the check of the settings, which `manage.py check`, `runserver` and `migrate` run."""
        register(check_settings, TAG)

"""The paths of `django_project`: those on the documentation's page."""

from __future__ import annotations

from pages import code_on

(code,) = (each for each in code_on("how-to/django.md") if each.startswith("# urls.py"))
exec(code)

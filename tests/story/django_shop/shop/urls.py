from __future__ import annotations

from django.urls import path

from sesq.producer.django.webhook import webhook

urlpatterns = [path("sesq/webhook", webhook)]

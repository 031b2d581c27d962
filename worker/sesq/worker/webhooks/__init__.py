"""Delivers events of messages to webhooks, by signed HTTP requests."""

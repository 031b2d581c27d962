"""Webhooks: tells endpoints of others, by signed HTTP requests, what becomes of messages."""

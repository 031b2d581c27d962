"""Queues mail that comes by SMTP: `server` listens, `session` talks, `users` says who may send, `bundle` queues."""

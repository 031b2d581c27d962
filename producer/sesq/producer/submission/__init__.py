"""Mail by SMTP into the queue: `server` listens, `session` speaks, `users` says who may, `bundle` queues it."""

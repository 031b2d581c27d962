"""SES's SMTP endpoint: `listener` listens, `session` speaks, `certificate` makes TLS possible."""

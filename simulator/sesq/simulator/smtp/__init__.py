"""SES's SMTP endpoint: `door` listens, `session` speaks, `certificate` makes TLS possible."""

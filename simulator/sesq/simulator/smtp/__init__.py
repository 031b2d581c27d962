"""SES's SMTP endpoint: `listener` listens, `session` talks to one client, `certificate` makes TLS possible."""

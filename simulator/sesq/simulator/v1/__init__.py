"""The first SES API (query protocol: a form in, XML out)."""

"""`sesq-sendmail`, for whatever calls sendmail: `arguments` and `letter` read, `spool` keeps, `command` does it."""

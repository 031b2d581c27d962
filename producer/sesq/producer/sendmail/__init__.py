"""`sesq-sendmail`, for programs that call sendmail: `arguments` and `letter` read, `spool` keeps, `command` runs."""

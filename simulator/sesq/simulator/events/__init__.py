"""Events of accepted mail: `fate` decides, `document` writes SES's JSON, `publisher` hands it on, `sqs` is read."""

"""Events of accepted mail: `fate` decides, `document` writes SES's JSON, `publisher` sends it, `sqs` offers it."""

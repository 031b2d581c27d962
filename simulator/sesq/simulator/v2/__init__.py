"""The SESv2 API (rest-json): one module a family of operations, `router` in front."""

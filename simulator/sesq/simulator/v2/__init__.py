"""The SESv2 API (rest-json): a module for each family of operations, and `router`, which finds them."""

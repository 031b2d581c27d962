"""What the worker's tests share: an HTTP endpoint that answers as it is told, down to the last byte."""

from stub_endpoint import aws_client, aws_environment, stub, stub_server

__all__ = ["aws_client", "aws_environment", "stub", "stub_server"]

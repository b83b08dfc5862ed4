"""What a server does while a few clients talk to it: which thread waits where, and for whom."""

from harness.trace.trace import NotServing, TraceError, trace

__all__ = ["NotServing", "TraceError", "trace"]

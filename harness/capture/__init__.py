"""Every packet between a server and a few clients, as a file for Wireshark."""

from harness.capture.capture import Captured, How, capture

__all__ = ["Captured", "How", "capture"]

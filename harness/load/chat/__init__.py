"""Chats under load, in all scenarios: who talks, who listens, and what must be heard by whom."""

from harness.load.chat.load import ChatLoad

__all__ = ["ChatLoad"]

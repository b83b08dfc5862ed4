"""Errors that a person can do something about."""


class UsageError(Exception):
    """What was asked for makes no sense or cannot be had; the text says what to do next. Exit status 2."""

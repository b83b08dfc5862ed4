"""The machinery of the socket lab kit: launch a program, speak to it, judge it, load it, report."""

__version__ = "0.1.0"

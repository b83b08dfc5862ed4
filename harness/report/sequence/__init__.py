"""Sequence diagrams of a transcript: a line for each participant, time running down, the failing point marked."""

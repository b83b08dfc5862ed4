"""A program under test: its command, its start and readiness, what it prints and uses, its end."""

from harness.launch.command import Command, LaunchError, parse_command
from harness.launch.figures import Figures
from harness.launch.program import Program, ProgramEnded

__all__ = ["Command", "Figures", "LaunchError", "Program", "ProgramEnded", "parse_command"]

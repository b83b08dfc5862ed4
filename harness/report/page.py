"""What all HTML pages of the kit share: nothing is loaded from outside, and nothing in them can run."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.report.safe import safe

TEMPLATES = Path(__file__).with_name("templates")


def environment() -> Environment:
    """Return what fills in the kit's templates: all text is made safe and escaped, and nothing may be missing."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: safe(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

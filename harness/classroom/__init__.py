"""A class: hand-ins in, fair marks, evidence and insight out."""

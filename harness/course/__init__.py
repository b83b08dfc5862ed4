"""What there is to learn: the manifest, the protocol's clauses, stubs and solutions, a student's progress."""

from harness.course.manifest import Course, Lab, Step, load_course

__all__ = ["Course", "Lab", "Step", "load_course"]

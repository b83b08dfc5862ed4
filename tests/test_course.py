"""The course: the manifest is sound, stubs are what the solutions give, and each step turns its own checks green."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support import SOLUTIONS, check, of_status, python

from harness.course import Lab, load_course
from harness.course.layout import CHECKS, LABS
from harness.course.stubs import MarkerError, fill, parse, pristine, steps_in

COURSE = load_course()
STAGES = [(lab, done) for lab in COURSE.labs for done in range(len(lab.steps) + 1)]


def student_folder(folder: Path, lab: Lab, done: int) -> Path:
    """Write the files of a student who has done all earlier labs and the first `done` steps of this one.

    Return the lab's program.
    """
    steps = {step.id for earlier in COURSE.labs if earlier.number < lab.number for step in earlier.steps}
    steps |= {step.id for step in lab.steps[:done]}
    for file in COURSE.files:
        (folder / file).write_text(fill((SOLUTIONS / file).read_text(encoding="utf-8"), steps), encoding="utf-8")
    return folder / lab.program


def tried_at(lab: Lab, done: int) -> list[str]:
    """Return what a student is checked with who has done so many steps: all, or the checks of this step and of those to
    come, where there are many steps; what the earlier ones have turned green is made again when all are done.
    """
    if done in (0, len(lab.steps)) or lab.number < 5:
        return []
    return ["-k", " or ".join([lab.gate, *(name for step in lab.steps[done - 1 :] for name in step.checks)])]


@pytest.mark.parametrize(("lab", "done"), STAGES, ids=[f"lab{lab.number}-{done}-steps" for lab, done in STAGES])
def test_each_step_turns_exactly_its_own_checks_green(lab: Lab, done: int, tmp_path: Path) -> None:
    tried = tried_at(lab, done)
    status, results = check(lab.number, python(student_folder(tmp_path, lab, done)), *tried)
    made = {one["id"] for one in results["checks"]}
    assert {name for step in lab.steps[max(0, done - 1) :] for name in step.checks} <= made
    assert of_status(results, "pass") == made & {name for step in lab.steps[:done] for name in step.checks}
    assert not of_status(results, "error")
    assert status == (0 if done == len(lab.steps) else 1)
    if done < len(lab.steps):
        first = next(one for one in results["checks"] if one["status"] == "fail")
        assert first["message"]
        assert first["hint"]


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: f"lab{lab.number}")
def test_a_stub_that_cannot_work_yet_names_the_step(lab: Lab, tmp_path: Path) -> None:
    _, results = check(lab.number, python(student_folder(tmp_path, lab, 0)), "-x")
    failed = next(one for one in results["checks"] if one["status"] == "fail")
    assert f"NotImplementedError: step {lab.number}.1" in failed["output"]


@pytest.mark.parametrize("file", COURSE.files)
def test_a_stub_is_a_program_that_compiles_and_says_what_to_do(file: str) -> None:
    stub, solution = pristine(file), (SOLUTIONS / file).read_text(encoding="utf-8")
    compile(stub, file, "exec")
    assert "SOLUTION" not in stub
    for step in steps_in(solution):
        assert f"TODO {step}: " in stub


@pytest.mark.parametrize("file", COURSE.files)
def test_a_solution_imports_the_standard_library_and_earlier_files_only(file: str) -> None:
    earlier = {Path(name).stem for name in COURSE.files}
    tree = ast.parse((SOLUTIONS / file).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | earlier


def test_every_step_has_a_place_in_the_files_of_its_lab() -> None:
    for lab in COURSE.labs:
        marked = set().union(*(steps_in((SOLUTIONS / file).read_text(encoding="utf-8")) for file in lab.places))
        mine = {step.id for step in lab.steps}
        assert mine == {step for step in marked if step.startswith(f"{lab.number}.")}
        assert set().union(
            *(steps_in((SOLUTIONS / file).read_text(encoding="utf-8")) for file in lab.files)
        ) - mine <= {step.id for other in COURSE.labs if set(other.continues) & set(lab.files) for step in other.steps}


def test_the_manifest_is_sound() -> None:
    assert [lab.number for lab in COURSE.labs] == list(range(1, len(COURSE.labs) + 1))
    for lab in COURSE.labs:
        assert lab.gate in lab.steps[0].checks
        assert (LABS / lab.handout).is_file()
        for step in lab.steps:
            assert step.hints
            assert all(step.hints)
            assert all(points > 0 for points in step.checks.values())
        names = [name for step in lab.steps for name in step.checks]
        assert len(names) == len(set(names))


def test_every_check_is_made_in_some_lab_and_every_name_in_the_manifest_is_a_check() -> None:
    from harness.checks.mark import check_id

    modules = [import_module(f"harness.checks.{file.stem}") for file in CHECKS.glob("check_*.py")]
    written = {check_id(name) for module in modules for name in vars(module) if name.startswith("check_")}
    assert written == {name for lab in COURSE.labs for step in lab.steps for name in step.checks}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("### BEGIN SOLUTION 1.1: do it\nx = 1\n", "line 1: BEGIN SOLUTION without ### END SOLUTION"),
        ("x = 1\n### END SOLUTION\n", "line 2: '### END SOLUTION' outside of a marked place"),
        ("### BEGIN SOLUTION 1.1: do it\n### STUB\nx = 1\n### END SOLUTION\n", "its lines begin with '#:'"),
    ],
)
def test_markers_that_do_not_fit_together_are_told_with_their_line(text: str, said: str) -> None:
    with pytest.raises(MarkerError) as caught:
        parse(text)
    assert said in str(caught.value)

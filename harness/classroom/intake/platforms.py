"""The layouts in which learning platforms give hand-ins.

Each looks at the names of one level of a source and sorts the entries into bundles, one for each hand-in; it returns
None if it has not made that level. What it cannot place becomes a bundle of its own: nothing is lost.
"""

import csv
import re
from itertools import takewhile

from harness.classroom.intake.entries import Entry
from harness.classroom.intake.gradescope import METADATA, moment, read_metadata
from harness.classroom.intake.handin import Student
from harness.classroom.intake.level import Bundle, Level, is_file, stray
from harness.classroom.intake.names import shown, stem

# Canvas, lib/content_zipper.rb (get_filename, add_upload_submission, add_text_or_url): the sortable name without all
# that is no word character, LATE, the user's number (or anon_ and a word), the file's number and its name.
CANVAS = re.compile(
    r"(?:(?P<name>(?!LATE_).+?)_)?(?:(?P<late>LATE)_)?(?P<id>\d+|anon_[A-Za-z0-9]+)_"
    r"(?:(?P<file>\d+)_(?P<rest>.+)|(?P<entry>text|link)\.html)"
)
VERSION = re.compile(r"(?P<stem>.+?)-(?P<number>\d+)(?P<suffix>\.\w+)?")  # Canvas: the same name, handed in again

# Moodle, mod/assign/classes/downloader.php (get_student_prefix, load_submissionplugin_filelist): the full name and the
# participant's number, then the kind of plugin and its name; a folder, or (downloadasfolders off) the start of a name.
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<rest>.*))?")

# Gradescope, "Download Submissions": assignment_N_export/submission_<id>/ with submission_metadata.yml beside them.
GRADESCOPE = re.compile(r"submission_(\d+)")

# GitHub Classroom, `gh classroom clone student-repos`: <assignment>-submissions/<assignment>-<login>/.
# Classroom 50, `gh teacher download` (cli/gh-teacher/internal/download): <classroom>-<assignment>_submissions_<time>/
# <classroom>-<assignment>-<login>/, with scores.csv beside them and result.json and results.json put into each.
GITHUB = re.compile(r"(?P<prefix>.+?)(?:-submissions|_submissions_\d{4}_\d\d_\d\d_T_\d\d_\d\d_\d\d)", re.IGNORECASE)
SCORES = "scores.csv"
SCORES_HEADINGS = {"username", "submission_tag", "datetime"}
PUT_BY_CLASSROOM_50 = {"result.json", "results.json"}

NOT_OF_LAYOUT = "its name is not as {} makes them, so whose it is is not known"


def moodle(level: Level) -> list[Bundle] | None:
    """Sort what Moodle gives: a folder (or files with the same beginning) for each participant and plugin."""
    bundles: dict[str, Bundle] = {}
    others = []
    for name, below in level.tops().items():
        match = MOODLE.fullmatch(name)
        if match is None:
            others.append(stray(name, below, NOT_OF_LAYOUT.format("Moodle")))
            continue
        student = Student(id=match["id"], name=match["name"])
        one = bundles.setdefault(match["id"], Bundle(f"moodle {match['id']}", name, (student,)))
        if is_file(below):
            one.entries.append((match["rest"] or name, below[0][1]))
        else:
            one.entries += [(rest, entry) for rest, entry in below if rest]
    return [*bundles.values(), *others] if bundles else None


def gradescope(level: Level) -> list[Bundle] | None:
    """Sort what Gradescope gives: a folder for each submission, and a file that tells of all of them."""
    lines, tops = level.text(METADATA), level.tops()
    told = read_metadata(lines) if lines is not None else {}
    bundles = []
    for name, below in tops.items():
        if name == METADATA or (name not in told and not GRADESCOPE.fullmatch(stem(name))):
            continue
        entries = [(rest or name, entry) for rest, entry in below if rest or entry.kind != "folder"]
        bundles.append(Bundle(f"gradescope {stem(name)}", name, entries=entries))
    if not bundles:
        return None
    if lines is not None:
        bundles += [
            Bundle(f"gradescope {stem(name)}", name, problem=f"{METADATA} tells of it, but it is not there")
            for name in told
            if name not in tops
        ]
    for one in bundles:
        if one.origin in told:
            submission = told[one.origin]
            one.students, one.handed_in = submission.students, moment(submission.created_at)
            one.attempt = submission.earlier + 1
    known = {one.origin for one in bundles} | {METADATA}
    return bundles + [stray(name, tops[name], NOT_OF_LAYOUT.format("Gradescope")) for name in tops if name not in known]


def github(level: Level) -> list[Bundle] | None:
    """Sort what GitHub Classroom or Classroom 50 gives: a clone for each student, named after the assignment."""
    tops, scores = level.tops(), _scores(level)
    folders = [name for name, below in tops.items() if not is_file(below)]
    clones = [name for name in folders if any(f"{rest}/".startswith(".git/") for rest, _ in tops[name])]
    match = GITHUB.fullmatch(level.name)
    prefix = f"{match['prefix']}-".lower() if match else ""
    if not prefix or not any(name.lower().startswith(prefix) for name in folders):
        words = takewhile(
            lambda at: len(set(at)) == 1, zip(*(name.lower().split("-")[:-1] for name in folders), strict=False)
        )
        prefix = "".join(f"{word[0]}-" for word in words) if len(folders) > 1 else ""
        if not level.named and scores is None and (not prefix or len(clones) < len(folders)):
            return None
    bundles = []
    for name in tops:
        if name not in folders:
            if name != SCORES or scores is None:
                bundles.append(stray(name, tops[name], NOT_OF_LAYOUT.format("GitHub Classroom")))
            continue
        login = name[len(prefix) :] if name.lower().startswith(prefix) else name
        mine = [(rest, entry) for rest, entry in tops[name] if rest]
        if scores is not None:
            mine = [(rest, entry) for rest, entry in mine if rest not in PUT_BY_CLASSROOM_50]
        one = Bundle(f"github {login.lower()}", name, (Student(login=login),), entries=mine, words=(login,))
        for row in (scores or {}).get(login.lower(), [])[:1]:
            full = f"{row.get('first_name') or ''} {row.get('last_name') or ''}".strip()
            one.students = (Student(login=login, name=full, email=row.get("email") or ""),)
            one.handed_in = moment(row.get("datetime") or "")
            one.late = {"true": True, "false": False}.get(row.get("late") or "")
            one.attempt = len((scores or {})[login.lower()]) if one.handed_in else None
        bundles.append(one)
    return bundles if folders else None


def _scores(level: Level) -> dict[str, list[dict[str, str]]] | None:
    """Return the lines of Classroom 50's scores.csv by login, the newest first; None if there is no such file."""
    lines = level.text(SCORES)
    if lines is None:
        return None
    rows = csv.DictReader(lines)
    found: dict[str, list[dict[str, str]]] = {}
    try:
        if not set(rows.fieldnames or ()) >= SCORES_HEADINGS:
            return None
        for row in rows:
            found.setdefault((row["username"] or "").lower(), []).append(row)
    except csv.Error:
        pass  # what was read of it is used
    return found


def canvas(level: Level) -> list[Bundle] | None:
    """Sort what Canvas gives: flat files that begin with whose they are."""
    bundles: dict[str, Bundle] = {}
    numbered: dict[str, dict[str, list[tuple[int, str, Entry]]]] = {}
    others = []
    for name, below in level.tops().items():
        match = CANVAS.fullmatch(name)
        if match is None or not is_file(below):
            others.append(stray(name, below, NOT_OF_LAYOUT.format("Canvas")))
            continue
        user = match["id"]
        student = Student(id="" if user.startswith("anon_") else user, name=match["name"] or user)
        one = bundles.setdefault(user, Bundle(f"canvas {user}", name, (student,), late=False))
        one.late = one.late or match["late"] is not None
        rest = match["rest"] or f"{match['entry']}.html"
        numbered.setdefault(user, {}).setdefault(rest, []).append((int(match["file"] or 0), rest, below[0][1]))
    for user, files in numbered.items():
        _latest_of_each(bundles[user], files)
    return [*bundles.values(), *others] if bundles else None


def _latest_of_each(bundle: Bundle, files: dict[str, list[tuple[int, str, Entry]]]) -> None:
    """Let the latest upload of each file count: a name may come back as it is, or with -1, -2 at its end."""
    versions: dict[str, list[tuple[int, int, str, Entry]]] = {}
    for rest, uploads in files.items():
        match = VERSION.fullmatch(rest)
        plain = f"{match['stem']}{match['suffix'] or ''}" if match else rest
        again = match is not None and plain in files
        for number, _, entry in uploads:
            key = plain if again else rest
            versions.setdefault(key, []).append((number, int(match["number"]) if again and match else 0, rest, entry))
    for plain, several in versions.items():
        _, _, rest, entry = max(several, key=lambda one: one[:2])
        bundle.entries.append((rest, entry))
        if len(several) > 1:
            bundle.notes.append(
                f"{len(several)} versions of {shown(plain)}: the one uploaded last counts ({shown(rest)})"
            )

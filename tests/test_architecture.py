"""Who may import whom, what costs nothing at import, and what no source may hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "covidcore").rglob("*.py"))
PAGES = [ROOT / "streamlit_app.py", *sorted((ROOT / "pages").glob("*.py"))]
SOURCES = [*LIBRARY, *PAGES, ROOT / "asgi.py"]

DOCUMENT = ROOT / "docs" / "architecture.md"

# Left never imports right.
ORDER = (
    *("errors", "config", "storage", "data", "model", "training", "evaluation", "inference"),
    *("jobs", "cli"),
)
WITH_THE_COMMAND_LINE = {
    *(
        "cli_data",
        "cli_figures",
        "cli_jobs",
        "cli_help",
        "cli_lab",
        "cli_models",
        "cli_outside",
        "cli_report",
        "cli_sweeps",
    ),
    *("show", "show_audit", "show_outside", "show_predict", "show_stress", "doctor"),
    "__main__",
}
# For any room to use; they know nothing but one another and the errors.
ASIDE = {
    *("charts", "chart_audit", "chart_calibration", "chart_curves", "chart_evaluation"),
    *("chart_files", "chart_images", "chart_outside", "chart_stress", "chart_style"),
    *("failpoints", "glossary", "lean", "limits", "proportions", "sealed", "terminal"),
    *("upload_guard", "wording"),
}

# Free of torch, so that the app starts fast and a page of tables stays small.
NO_TORCH = (
    *("errors", "config", "storage", "data/*", "evaluation/*", "wording"),
    *("charts", "chart_*", "proportions", "show_audit", "show_outside", "show_stress"),
    *("training/recipe", "training/fields", "model/weights", "inference/table"),
    *("model/checkpoint", "model/golden", "model/onnx_packages", "inference/familiar"),
    *("inference/gate", "inference/onnx_forward", "inference/predictor"),
    *("inference/alike", "inference/kept", "inference/meaning", "inference/pictures"),
    *(
        "cli",
        "cli_data",
        "cli_figures",
        "cli_jobs",
        "cli_lab",
        "cli_outside",
        "cli_report",
        "cli_sweeps",
    ),
    *("cli_models", "jobs/models", "jobs/exports", "jobs/imports"),
    *("show", "show_predict", "doctor", "glossary", "terminal"),
    *("jobs/store", "jobs/folder", "jobs/info", "jobs/progress", "jobs/worker"),
    "jobs/causes",
    *("jobs/plan", "jobs/queue", "jobs/ray", "jobs/runners", "jobs/space", "jobs/watchdog"),
    *("jobs/grid", "jobs/sweeps", "jobs/sweep_info"),
    *("jobs/estimate", "jobs/learned", "jobs/probe", "jobs/rates", "model/at_hand"),
    *("model/preprocess", "training/sizes", "training/stored", "training/variants"),
    *("jobs/lifeline", "jobs/torchrun", "jobs/ranks"),
    *("jobs/openings", "jobs/studies", "jobs/outside", "jobs/folds", "jobs/report", "jobs/ties"),
    *("lean", "limits", "upload_guard", "inference/turns", "jobs/demo", "jobs/demo_process"),
    *("jobs/stress", "jobs/removal", "jobs/alike", "jobs/lab", "jobs/awaited"),
)


TRUSTING = {
    *("extractall", "read_pickle", "to_pickle", "eval", "exec"),
    *("system", "popen", "getoutput", "unsafe_load", "Unpickler"),
}
"""Names of what runs, or unpacks, whatever it is given."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(nodes: ast.AST) -> Iterator[str]:
    """Full names of everything imported: ``from a import b`` is ``a.b``."""
    for node in ast.walk(nodes):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "say the full name: no relative imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(path: Path) -> ast.Module:
    """What runs when a module is imported: its statements, without bodies of functions."""
    module = tree(path)
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            node.body = []
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    return module


def rooms(path: Path) -> set[str]:
    """The rooms of covidcore that a module imports from."""
    found = {name.split(".")[1] for name in imports(tree(path)) if name.startswith("covidcore.")}
    return {room for room in found if room != "__version__"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "covidcore").parts[0].removesuffix(".py")


def place(room: str) -> int:
    return ORDER.index("cli" if room in WITH_THE_COMMAND_LINE else room)


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def picture() -> str:
    """Who imports whom, as it is in the sources: a Mermaid drawing of the rooms.

    What follows from other arrows is left out; charts and the like, which any room may use, too.
    """
    arrows: dict[str, set[str]] = {"pages": set(ORDER) & set().union(*map(rooms, PAGES))}
    for path in LIBRARY:
        room = "cli" if room_of(path) in WITH_THE_COMMAND_LINE else room_of(path)
        if room in ORDER:
            arrows.setdefault(room, set()).update(rooms(path) & set(ORDER) - {room})

    def reached(room: str) -> set[str]:
        return arrows[room].union(*map(reached, arrows[room]))

    direct = [
        f"    {room} --> {other}"
        for room in ("pages", *reversed(ORDER))
        for other in reversed(ORDER)
        if other in arrows[room]
        and not any(other in reached(between) for between in arrows[room] - {other})
    ]
    return "\n".join(["```mermaid", "flowchart TD", *direct, "```"])


def test_the_picture_of_the_imports_is_what_the_sources_say() -> None:
    """``python -m tests.test_architecture`` draws it anew."""
    assert picture() in DOCUMENT.read_text("utf-8")


def test_every_module_has_its_place() -> None:
    known = {*ORDER, *WITH_THE_COMMAND_LINE, *ASIDE, "__init__"}
    assert {room_of(path) for path in LIBRARY} <= known


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    room, used = room_of(path), rooms(path)
    if room == "__init__":
        assert not used
    elif room in ASIDE:
        assert used <= ASIDE | {"errors"}
    else:
        backwards = {other for other in used - ASIDE if place(other) > place(room)}
        assert not backwards, f"{name_of(path)} imports {backwards}"


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_knows_no_pages(path: Path) -> None:
    names = {name.split(".")[0] for name in imports(tree(path))}
    assert not names & {"streamlit", "pages", "streamlit_app", "tests"}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_know_the_library_and_what_they_share(path: Path) -> None:
    used = set(imports(tree(path)))
    others = {name.split(".")[1] for name in used if name.startswith("pages.")}
    # A page may have parts of its own: train.py has train_new.py and train_runs.py.
    own = path.stem.partition("_")[0] + "_"
    assert all(name.startswith(("shared", own)) for name in others), others
    # The one function that opens a model sets how many threads it may take.
    module = at_import(path) if path.name == "shared_model.py" else tree(path)
    heavy = {"torch", "torchvision", "sklearn", "scipy"}
    assert not {name.split(".")[0] for name in imports(module)} & heavy


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_return_and_never_stop(path: Path) -> None:
    """``st.stop`` throws away the clicks that arrived while the page was being drawn."""
    named = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute))
    stops = [node.lineno for node in named if ast.unparse(node) == "st.stop"]
    assert stops == []


def test_tables_and_the_store_cost_no_torch() -> None:
    files = [path for name in NO_TORCH for path in (ROOT / "covidcore").glob(f"{name}.py")]
    assert len(files) > len(NO_TORCH)
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'streamlit', 'pydicom'}\n"
        "    heavy &= set(sys.modules)\n"
        "    assert not heavy, (name, heavy)\n"
    )
    run_python(code)


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import covidcore\n"
        "print(*(name.split('.')[0] for name in set(sys.modules) - before))"
    )
    assert set(run_python(code).split()) <= {"covidcore", *sys.stdlib_module_names}


def test_importing_changes_nothing(tmp_path: Path) -> None:
    """No folder is made, no environment, warning filter, signal handler or logger is touched."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in LIBRARY]
    names = [name for name in names if not name.endswith(("__init__", "__main__"))]
    code = (
        "import importlib, logging, os, signal, sys, warnings\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "import torch, torchvision, pandas, plotly.graph_objects, PIL.Image  # theirs, not ours\n"
        "import pandas.io.parquet, safetensors.torch, filelock, threadpoolctl\n"
        "def state():\n"
        "    return (dict(os.environ), list(warnings.filters), signal.getsignal(signal.SIGTERM),\n"
        "            logging.root.handlers[:], torch.get_num_threads(), os.listdir())\n"
        "before = state()\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert state() == before, name\n"
    )
    run_python(code)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_that_trusts_too_much(path: Path) -> None:
    module = tree(path)
    modules = {name.split(".")[0] for name in imports(module)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not modules & {"yaml", "jsonpickle", "xmlrpc", "telnetlib", "pty"}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            assert name not in TRUSTING or (
                name == "eval" and isinstance(node, ast.Attribute)  # a network's .eval()
            )
        if not isinstance(node, ast.Call):
            continue
        given = {
            word.arg: word.value.value
            for word in node.keywords
            if isinstance(word.value, ast.Constant)
        }
        assert not given.get("allow_pickle")
        assert "unsafe_allow_html" not in {word.arg for word in node.keywords}
        assert "use_container_width" not in {word.arg for word in node.keywords}
        assert given.get("shell") is not True
        if ast.unparse(node.func) == "torch.load":
            assert given.get("weights_only") is True
        if ast.unparse(node.func) == "np.load":
            assert given.get("allow_pickle") is False


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_fits_in_a_head(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


if __name__ == "__main__":
    old = re.compile("```mermaid.*?```", re.DOTALL)
    DOCUMENT.write_text(old.sub(lambda _: picture(), DOCUMENT.read_text("utf-8")), "utf-8")

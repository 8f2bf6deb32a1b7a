"""The house's floors: what may import what, and what `--help` may not load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbrun

HOUSE = Path(nbrun.__file__).parent

# A module imports only from floors below its own. A package stands for all that is in it.
FLOORS: tuple[set[str], ...] = (
    {"__init__", "errors", "decisions", "terms", "files", "prelude", "secret_forms"}
    | {"as_user", "beside", "long_text"},
    {"events", "sudo", "furnishing"},
    {"aws", "kubeconfig"},
    {"messages", "processes", "contract", "command_output", "redaction", "protocol", "sharing"}
    | {"durations", "sizes", "listener"},
    {"roles", "guard", "quarters"},
    {"role_config"},
    {
        "state",
        "lines",
        "wire",
        "verdict",
        "transcript",
        "notebook_json",
        "config",
        "parameter_types",
        "parameter_literals",
        "provenance",
        "jupyter",
        "kernel_folder",
        "output_cap",
        "ssh_keygen",
        "targets",
        "pulse",
        "runaways",
    },
    {"approval", "fold", "glance", "journal", "reading"},
    {
        "bindings",
        "orders",
        "script",
        "channels",
        "peers",
        "run_directory",
        "runbook",
        "parameter_defaults",
        "parameter_file",
        "parameter_language",
        "parameter_sources",
        "seal",
    },
    {"deviation", "kept_notebook"},
    {"entailment"},
    {
        "history",
        "review",
        "parameter_schema",
        "verify",
        "sealing",
        "forwarding",
        "refusals",
        "proposal",
        "reopening",
    },
    {"recipients", "recorder"},
    {"kernel_control", "kernel_process"},
    {"deciding"},
    {"engine", "kernel", "parameters", "views", "link", "launching"},
    {"parameter_values", "lint", "saving", "server", "console", "outline"},
    {"preparation", "secrets_again"},
    {"resumption", "renewal"},
    {"hosting"},
    {"supervisor"},
    {"commands"},
    {"cli"},
    {"entry"},
    {"__main__"},
)
PACKAGES = ("views", "commands", "cli")
HEAVY = (
    "nbclient",
    "jupyter_client",
    "zmq",
    "papermill",
    "nbformat",
    "IPython",
    "ipykernel",
    "selectolax",
    "platformdirs",
    "pylatexenc",
    "latex2mathml",
    "plotly",
    "vl_convert",
    "textual_image",
    "PIL",
    "jinja2",
    "nh3",
    "ansi2html",
    "boto3",
)


def modules() -> list[str]:
    """Every module of the house by its dotted name below `nbrun`."""
    found = (path.relative_to(HOUSE).with_suffix("") for path in HOUSE.rglob("*.py"))
    return sorted(".".join(path.parts) for path in found)


MODULES = modules()


def room(module: str) -> str:
    """What the table of floors calls it."""
    head = module.split(".", maxsplit=1)[0]
    return head if head in PACKAGES else module


def imported(module: str) -> Iterator[str]:
    """All that a module imports, wherever in it, by full name: `nbrun.views.ansi`, `zmq`."""
    path = HOUSE.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(level=level) if level:
                pytest.fail(f"{module}: a relative import, which this test does not follow")
            case ast.ImportFrom(module=str(origin), names=names):
                for alias in names:
                    inside = f"{origin}.{alias.name}"
                    yield inside if inside.removeprefix("nbrun.") in MODULES else origin


def own(module: str) -> set[str]:
    """The modules of the house that a module imports."""
    names = {name for name in imported(module) if name.split(".")[0] == "nbrun"}
    return {name.removeprefix("nbrun.") if name != "nbrun" else "__init__" for name in names}


def importers(*libraries: str) -> set[str]:
    """The modules that import one of `libraries`."""
    return {
        module
        for module in MODULES
        if any(name.split(".")[0] in libraries for name in imported(module))
    }


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


def test_every_module_has_its_floor_and_only_one() -> None:
    listed = [name for rooms in FLOORS for name in rooms]
    assert sorted(listed) == sorted({room(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_the_floors_below_its_own(module: str) -> None:
    for name in own(module):
        if room(name) == room(module) and room(module) in PACKAGES:
            continue
        assert floor(name) < floor(module), f"{module} imports {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_within_a_package_no_import_leads_back(package: str) -> None:
    inside = [module for module in MODULES if room(module) == package]
    left = {module: own(module) & {*inside} for module in inside}
    while left:
        free = {module for module, needs in left.items() if not needs & {*left}}
        assert free, f"these import one another in a circle: {sorted(left)}"
        left = {module: needs for module, needs in left.items() if module not in free}


def test_a_view_knows_neither_the_engine_nor_the_kernel() -> None:
    for module in MODULES:
        if room(module) == "views":
            assert not own(module) & {"engine", "kernel", "link", "console"}, module


def test_the_engine_prints_nothing_and_knows_no_view() -> None:
    for module in (
        "engine",
        "state",
        "script",
        "deviation",
        "refusals",
        "transcript",
        "verdict",
        "journal",
    ):
        assert not {name for name in own(module) if room(name) == "views"}, module
        assert "rich" not in {name.split(".")[0] for name in imported(module)}, module


@pytest.mark.parametrize(
    ("libraries", "owners"),
    [
        (("nbclient", "jupyter_client"), {"jupyter", "kernel_process"}),
        (
            ("zmq",),
            {"kernel_process", "channels", "prelude", "jupyter"},
        ),  # the prelude runs within the kernel
        (("IPython", "ipykernel"), {"prelude"}),
        (("papermill",), {"parameters"}),
        (("nbformat",), {"runbook", "kernel_process", "parameters"}),
        (("jsonlines",), {"journal"}),
        (
            ("typer",),
            {"cli.main", "cli.options", "cli.operating", "cli.runbooks", "cli.records"}
            | {"cli.completion_scripts"},
        ),
        (("psutil",), {"processes"}),
        (("tomllib",), {"config"}),
        (("platformdirs",), {"run_directory"}),
        (("yaml",), {"parameter_file", "kubeconfig"}),
        (("boto3", "botocore"), {"aws"}),
        (("jsonschema", "referencing"), {"parameter_schema"}),
        (("keyring",), {"parameter_sources"}),
        (("selectolax",), {"views.html"}),
        (("nh3", "ansi2html"), {"views.safe_html"}),
        (("jinja2",), {"views.report"}),
        (("pylatexenc",), {"views.latex"}),
        (("latex2mathml",), {"views.mathml"}),
        (("plotly", "vl_convert"), {"views.charts"}),
        (("textual_image", "PIL", "resvg_py"), {"views.picture"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_foreign_library_enters_through_its_own_file(
    libraries: tuple[str, ...], owners: set[str]
) -> None:
    assert importers(*libraries) == owners


@pytest.mark.parametrize("module", ["parameters", "runbook"])
def test_nbformat_is_not_loaded_before_it_is_needed(module: str) -> None:
    """`runbook` loads it when it reads one, `parameters` when it gives papermill one."""
    code = f"import nbrun.{module}, sys; print('nbformat' in sys.modules)"
    assert _python("-c", code).strip() == "False"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["start", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    loaded = _loaded_by(arguments)
    assert "typer" in loaded
    assert not loaded & {*HEAVY}


@pytest.mark.parametrize("line", ["nbrun st", "nbrun start --", "nbrun start b.ipynb --on-f"])
def test_a_press_of_tab_loads_nothing_heavy(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NBRUN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    loaded = _loaded_by([])
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "rich", "pydantic", "msgspec"}


def _loaded_by(arguments: list[str]) -> set[str]:
    """The packages that a command which prints something has imported."""
    code = (
        "import sys\n"
        f"sys.argv = ['nbrun', *{arguments!r}]\n"
        "from nbrun.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('\\nloaded:', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip()
    return {name.split(".")[0] for name in done.stderr.split("loaded:")[1].split()}


def _python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout

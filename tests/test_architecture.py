"""The architecture: which package may import which, and what `--help` may not load."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbrun

HOUSE = Path(nbrun.__file__).parent
ARCHITECTURE = (HOUSE.parent / "docs" / "architecture.md").read_text("utf-8")

# A package imports only from the rows above its own, and from itself.
LAYERS: tuple[set[str], ...] = (
    {"__init__", "errors"},
    {"units"},
    {"core"},
    {"system"},
    {"journal", "runbook", "kernel"},
    {"audit", "config", "engine"},
    {"views"},
    {"notifications"},
    {"supervisor"},
    {"integrations"},
    {"cli"},
    {"entry"},
    {"__main__"},
)
VIEW_LAYERS: tuple[set[str], ...] = ({"text"}, {"render"}, {"terminal", "export"})
MOST_MODULES = 20  # in one folder
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
    "boto3",
    "prompt_toolkit",
    "apprise",
    "opentelemetry",
    "requests",
    "jupytext",
)


def modules() -> list[str]:
    """Return the dotted name below `nbrun` of every module."""
    found = (path.relative_to(HOUSE).with_suffix("") for path in HOUSE.rglob("*.py"))
    return sorted(".".join(path.parts) for path in found)


MODULES = modules()


def package(module: str) -> str:
    """Return the first part of a module's name: its package, or the module itself at the top."""
    return module.split(".", maxsplit=1)[0]


def imported(module: str) -> Iterator[str]:
    """Yield the full name of each import in a module: `nbrun.views.text.sanitize`, `zmq`."""
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
    """Return the modules of nbrun that a module imports."""
    names = {name for name in imported(module) if name.split(".")[0] == "nbrun"}
    return {name.removeprefix("nbrun.") if name != "nbrun" else "__init__" for name in names}


def importers(*libraries: str) -> set[str]:
    """Return the modules that import one of `libraries`."""
    return {
        module
        for module in MODULES
        if any(name.split(".")[0] in libraries for name in imported(module))
    }


def test_architecture_page_describes_every_package() -> None:
    described = re.search(r"^## Packages\n(.*?)^## ", ARCHITECTURE, re.M | re.S)
    assert described is not None
    bold = re.findall(r"\*\*(`[^*]+`)\.?\*\*", described[1])
    named = {name for part in bold for name in re.findall(r"`(\w+)`", part)}
    tree = {package(module) for module in MODULES} - {"__init__", "__main__", "entry"}
    assert named == tree
    below = {".".join(module.split(".")[:2]) for module in MODULES if module.count(".") > 1}
    for inner in below - {f"{name}.__init__" for name in tree}:
        outer, name = inner.split(".")
        assert f"`{outer}/{name}`" in described[1] or f"`{name}`" in described[1], inner


def test_architecture_page_names_only_modules_that_exist() -> None:
    for path in re.findall(r"`([\w/]+\.py)`", ARCHITECTURE):
        assert any((root / path).is_file() for root in (HOUSE, HOUSE.parent)), path


def layer(name: str, layers: tuple[set[str], ...]) -> int:
    return next(number for number, names in enumerate(layers) if name in names)


def test_layers_list_every_package_once() -> None:
    listed = [name for names in LAYERS for name in names]
    assert sorted(listed) == sorted({package(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_from_layers_above(module: str) -> None:
    for name in own(module):
        if package(name) != package(module):
            below = layer(package(name), LAYERS) < layer(package(module), LAYERS)
            assert below, f"{module} imports {name}"


@pytest.mark.parametrize("module", [each for each in MODULES if each.startswith("views.")])
def test_view_imports_only_from_view_layers_above(module: str) -> None:
    if module == "views.__init__":
        return
    mine = module.split(".")[1]
    for name in own(module):
        if package(name) == "views" and (theirs := name.split(".")[1]) != mine:
            assert layer(theirs, VIEW_LAYERS) < layer(mine, VIEW_LAYERS), f"imports {name}"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    left = {module: own(module) & {*MODULES} for module in MODULES}
    while left:
        free = {module for module, needs in left.items() if not needs & {*left}}
        assert free, f"these import one another in a circle: {sorted(left)}"
        left = {module: needs for module, needs in left.items() if module not in free}


def test_no_folder_has_more_modules_than_a_newcomer_can_scan() -> None:
    folders = Counter(path.parent for path in HOUSE.rglob("*.py") if path.name != "__init__.py")
    assert {str(path): count for path, count in folders.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize("module", [each for each in MODULES if package(each) == "engine"])
def test_engine_prints_nothing(module: str) -> None:
    assert "rich" not in {name.split(".")[0] for name in imported(module)}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("libraries", "owners"),
    [
        (("nbclient", "jupyter_client"), {"kernel.jupyter_adapter", "kernel.process"}),
        (
            ("zmq",),
            {
                "kernel.process",
                "kernel.channels",
                "kernel.ipython_prelude",
                "kernel.jupyter_adapter",
            },
        ),  # the prelude runs within the kernel
        (
            ("IPython", "ipykernel"),
            {
                "kernel.ipython_interrupts",
                "kernel.ipython_failures",
                "kernel.ipython_background",
                "kernel.ipython_prelude",
                "kernel.kinds.xeus_python_output",
                "kernel.kinds.xeus_python_prelude",
                "kernel.kinds.xeus_python_shell",
            }
            | {"runbook.python_syntax"},
        ),
        (
            ("papermill",),
            {"runbook.parameters.injection"}
            | {
                f"integrations.papermill_engine.{part}"
                for part in ("engine", "execution", "request", "cell_map", "managed_cells")
            }
            | {"integrations.papermill_engine.output_log"}
            | {"integrations.runbook_addresses.readers"},
        ),
        (("jupytext",), {"runbook.text_formats.jupytext_adapter"}),
        (
            ("nbformat",),
            {"runbook.loader", "runbook.validation", "kernel.process"}
            | {"runbook.parameters.injection"}
            | {f"integrations.papermill_engine.{part}" for part in ("request", "managed_cells")},
        ),
        (("jupyter_kernel_client", "websocket"), {"kernel.remote.kernel_socket"}),
        (
            ("requests",),
            {
                "kernel.remote.api",
                "audit.tracing.collector",
                "integrations.runbook_addresses.readers",
            },
        ),
        (("jsonlines",), {"journal.writer"}),
        (
            ("typer",),
            {"cli.main", "cli.options", "cli.operate", "cli.write", "cli.records"}
            | {"cli.completion_scripts", "cli.error_output"},
        ),
        (
            ("prompt_toolkit",),
            {
                f"views.terminal.typed_lines.{part}"
                for part in ("line_editor", "keys", "drawn_line")
            },
        ),
        (("psutil",), {"system.processes", "system.process_origin"}),
        (("tomllib",), {"config.toml_file"}),
        (("platformdirs",), {"system.state_folder"}),
        (("yaml",), {"runbook.parameters.yaml_file"}),
        (("boto3", "botocore"), {"kernel.roles.aws"}),
        (("jsonschema", "referencing"), {"runbook.parameters.schema"}),
        (("regex",), {"core.bounded_patterns"}),
        (("keyring",), {"runbook.parameters.sources"}),
        (("opentelemetry",), {"audit.tracing.collector"}),
        (("gcsfs",), {"integrations.runbook_addresses.readers"}),
        (("selectolax",), {"views.render.html"}),
        (("nh3",), {"views.render.native.sanitizer"}),
        (("jinja2",), {"views.export.report"}),
        (("pylatexenc",), {"views.render.latex"}),
        (("latex2mathml",), {"views.render.mathml"}),
        (("plotly", "vl_convert"), {"views.render.charts"}),
        (("textual_image",), {"views.render.images"}),
        (("apprise",), {"notifications.apprise_process"}),
        (("mcp", "anyio"), {"integrations.mcp_server.server"}),
        (("PIL",), {"views.render.images", "views.render.native.pictures"}),
        (("resvg_py",), {"views.render.native.pictures"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_foreign_library_imported_only_by_its_owners(
    libraries: tuple[str, ...], owners: set[str]
) -> None:
    assert importers(*libraries) == owners


@pytest.mark.parametrize("module", ["runbook.parameters.injection", "runbook.loader"])
def test_nbformat_is_not_loaded_before_it_is_needed(module: str) -> None:
    """The loader imports nbformat to read a notebook, `injection` to give one to papermill."""
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


def test_line_editor_is_not_loaded_before_the_first_question() -> None:
    code = "import nbrun.cli.commands.follow, sys; print('prompt_toolkit' in sys.modules)"
    assert _python("-c", code).strip() == "False"


def test_messages_are_not_loaded_by_a_run_that_tells_nobody() -> None:
    code = "import nbrun.supervisor.host, sys; print('nbrun.notifications.message' in sys.modules)"
    assert _python("-c", code).strip() == "False"


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

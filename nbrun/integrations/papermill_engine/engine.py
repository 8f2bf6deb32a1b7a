"""The engine that `papermill --engine nbrun` names (entry point `papermill.engine`).

papermill loads this module whenever it is imported, also by nbrun itself. So it imports only
papermill's base class, which papermill has by then, and the rest when a notebook is executed.
"""

import os
from typing import Any

from papermill.engines import Engine, papermill_engines

DEFAULT_VARIABLE = "NBRUN_PAPERMILL_DEFAULT"


class NbrunEngine(Engine):  # type: ignore[misc]
    """Executes a notebook as an unattended run of nbrun, which a failed cell ends."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        **options: Any,
    ) -> Any:
        """Run `nb_man.nb` to its end, and return it with what the record says of each cell.

        `options` are papermill's other options, and options of `nbrun start` by the names of
        `RunOptions`.

        Raises:
            PapermillException: nothing was run, or the run ended for a reason other than a cell.
        """
        from nbrun.integrations.papermill_engine.execution import execute
        from nbrun.integrations.papermill_engine.output_log import OutputLog

        log = OutputLog(log_output=log_output, stdout_file=stdout_file, stderr_file=stderr_file)
        execute(nb_man, kernel_name, log, options)
        return nb_man.nb


if os.environ.get(DEFAULT_VARIABLE) == "1":  # for callers that name no engine, such as Airflow
    papermill_engines.register(None, NbrunEngine)

"""Outputs as they come: to papermill's log and to the files that papermill's options name."""

from dataclasses import dataclass
from typing import Any

from papermill.log import logger

from nbrun.core import events as ev


@dataclass(frozen=True)
class OutputLog:
    """The receivers of papermill's `--log-output`, `--stdout-file` and `--stderr-file`."""

    log_output: bool = False
    stdout_file: Any = None
    stderr_file: Any = None

    def take(self, event: ev.Output) -> None:
        """Write the text of an output, as papermill's own engine does."""
        output = event.output
        if output["output_type"] == "stream":
            self._take_stream(output["name"], output["text"])
        elif self.log_output and "text/plain" in output.get("data", {}):
            logger.info(output["data"]["text/plain"])

    def _take_stream(self, name: str, text: str) -> None:
        file, write = (
            (self.stderr_file, logger.warning)
            if name == "stderr"
            else (self.stdout_file, logger.info)
        )
        if self.log_output:
            write(text)
        if file is not None:
            file.write(text)
            file.flush()

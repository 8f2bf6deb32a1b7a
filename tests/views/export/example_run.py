"""A run with a failure, an edit and a skipped step, for the tests of the exports."""

from tests.support.run_builder import Run, narrate, step, stream


def edited_run() -> Run:
    narration = (narrate("n", "## Look first"),)
    made = Run(
        step("a", "check(10)", title="Check", narration=narration),
        step("b", "drop()", title="Drop", metadata={"nbrun": {"impact": "destructive"}}),
        parameters={"host": "db1"}, reason="disk full", ticket="OPS-7",
    )  # fmt: skip
    made.failure("a").decide("edit", source="check(3)", reason="3 is enough")
    made.attempt("a", stream("fine\n"), source="check(3)", cause="operator").stop("step_mode")
    return made.decide("skip", reason="tomorrow").finish()

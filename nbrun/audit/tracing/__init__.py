"""The trace of a run, for OpenTelemetry: spans made of the record, and sent to a collector."""

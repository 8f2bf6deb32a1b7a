"""Settings from `nbrun.toml`: read, merged, and used as far as this user trusts each file."""

from nbrun.config.files import FILE_NAME, load, load_for, load_for_run, runs_dir, signing_key
from nbrun.config.settings import Config

__all__ = ["FILE_NAME", "Config", "load", "load_for", "load_for_run", "runs_dir", "signing_key"]

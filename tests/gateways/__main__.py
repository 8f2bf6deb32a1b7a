"""Install the gateways that `pytest -m gateway` starts."""

from tests.gateways import environments

for name in environments.NAMES:
    environments.install(name)
    print(f"{name}: {environments.folder(name)}")  # noqa: T201

"""Real gateways of all three kinds on loopback. `python -m tests.gateways` installs them."""

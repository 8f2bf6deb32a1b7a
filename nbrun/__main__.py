"""`python -m nbrun` is `nbrun`."""

from nbrun.cli.main import main

if __name__ == "__main__":
    main()

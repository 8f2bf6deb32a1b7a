"""`python -m nbrun` is `nbrun`."""

from nbrun.cli import main

if __name__ == "__main__":
    main()

"""`python -m nbrun` is `nbrun`."""

from nbrun.entry import main

if __name__ == "__main__":
    main()

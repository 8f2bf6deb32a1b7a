"""`python -m nbrun`, the same as `nbrun`."""

from nbrun.entry import main

if __name__ == "__main__":
    main()

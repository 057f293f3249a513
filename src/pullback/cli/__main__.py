"""`python -m pullback.cli` is the command `pullback`."""

from pullback.cli import main

if __name__ == "__main__":
    main()

"""``python -m factweights``: the command line."""

from factweights.cli import main

if __name__ == "__main__":
    main()

"""`python -m mcegnn`, where the command is not on the path."""

from mcegnn.cli.app import main

if __name__ == "__main__":
    main()

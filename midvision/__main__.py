"""`python -m midvision` is the command line."""

from midvision.cli.main import run

if __name__ == "__main__":
    run()

"""`python -m nerfpipe` is the `nerfpipe` command."""

from nerfpipe.cli.app import app
from nerfpipe.runtime.terminal import tidy_output


def main() -> None:
    with tidy_output():
        app(prog_name="nerfpipe")


if __name__ == "__main__":
    main()

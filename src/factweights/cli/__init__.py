"""The command line. One file per command: parse, call, print.

Nothing is imported here before ``main`` runs, so that Ctrl-C is answered calmly from the first moment on.
"""

import io
import sys
from collections.abc import Sequence


def main() -> None:
    """Entry point of ``factweights``: run the command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ≥ shows ?, not a traceback
    sys.exit(run(sys.argv[1:]))


def run(tokens: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0 fine; 1 an error that the message explains; 2 a command that could not be understood; 130 Ctrl-C;
    141 nobody reads the output any more.
    """
    from factweights.cli import outcomes

    as_json = "--json" in tokens
    with outcomes.short_warnings():
        return _run(tokens, as_json)


def _run(tokens: Sequence[str], as_json: bool) -> int:
    from factweights.cli import outcomes
    from factweights.cli.notes import tell_notes
    from factweights.interrupts import noting

    with noting() as written:
        try:
            from factweights.cli.app import call

            call(tokens)
            sys.stdout.flush()
            tell_notes()
        except SystemExit as e:  # results were printed, but they are not what was asked for
            return int(e.code or 0)
        except KeyboardInterrupt as e:
            return outcomes.interrupted(e, as_json, list(written))
        except BrokenPipeError:
            return outcomes.unread()
        except Exception as e:
            code = outcomes.failed(e, as_json, tokens)
            tell_notes()
            return code
    return 0

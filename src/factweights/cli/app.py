"""The commands, put together."""

import textwrap
from collections.abc import Sequence
from typing import Literal

from cyclopts import App, Parameter

from factweights import __version__
from factweights.cli.capacity import capacity
from factweights.cli.compile import compile
from factweights.cli.converting import converted
from factweights.cli.doctor import ENTRANCES, doctor
from factweights.cli.dynamics import dynamics
from factweights.cli.edit import edit
from factweights.cli.explain import explain
from factweights.cli.graft import graft
from factweights.cli.measure import measure
from factweights.cli.methods import methods
from factweights.cli.onnx import onnx
from factweights.cli.output import say
from factweights.cli.plan import plan
from factweights.cli.recall import recall
from factweights.cli.report import report
from factweights.cli.reproduce import reproduce
from factweights.cli.store import store
from factweights.cli.study import COMMANDS as STUDY
from factweights.cli.transformer import transformer
from factweights.cli.verify import verify
from factweights.cli.width import width

COMMANDS = (
    store,
    recall,
    verify,
    edit,
    compile,
    graft,
    explain,
    onnx,
    measure,
    capacity,
    width,
    plan,
    transformer,
    dynamics,
    reproduce,
    report,
    methods,
    doctor,
)

app = App(
    name="factweights",
    version=__version__,
    help="Write facts into neural-network weights, prove they can be recalled, measure how many fit.",
    default_parameter=Parameter(negative=(), converter=converted),  # no --no-json
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for place, command in enumerate(COMMANDS):
    app.command(command, sort_key=place)  # in the order of use, not of the alphabet

GROUPS = {"study": STUDY}  # commands of two words
study = App(
    name="study",
    help="Run a declared study, go on with it, see how far it is, read its results.",
    sort_key=len(COMMANDS) - 2.5,  # before the list of methods
)
for place, command in enumerate(STUDY):
    study.command(command, sort_key=place)
app.command(study)


@app.command(sort_key=len(COMMANDS))
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script by which a shell completes commands and options.

    Example: `factweights completion bash > ~/.local/share/bash-completion/completions/factweights`

    Args:
        shell: bash, zsh (a file `_factweights` on its fpath) or fish
            (`~/.config/fish/completions/factweights.fish`).
    """
    say(app.generate_completion(prog_name="factweights", shell=shell))


def call(tokens: Sequence[str]) -> None:
    """Run the command that ``tokens`` name; what goes wrong is raised. Without one, show the ways in."""
    if not tokens:
        names = textwrap.fill(" ".join(c.__name__ for c in COMMANDS) + " study", 78)
        say(f"{app.help}\n\n{ENTRANCES}\n\nCommands:\n{textwrap.indent(names, '  ')}")
        return
    app(list(tokens), exit_on_error=False, print_error=False)

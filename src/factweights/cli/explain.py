"""``factweights explain``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import say


def explain(
    folder: Path,
    subject: str,
    relation: str,
    /,
    *,
    prompt: str | None = None,
    top: int = 5,
    plot: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    json: Json = False,
) -> None:
    """Show how a compiled or grafted model comes by an answer: attention, the memory's part, the best logits.

    Of a graft: which name was recognised, which relation fired and how strongly, which neurons of the memory
    spoke, and what the model before would have said.

    Example: `factweights explain countries-llama France capital --plot france.png`

    Args:
        folder: What `factweights compile --out` or `graft --out` wrote.
        subject: As in the table.
        relation: As in the table.
        prompt: Another text with both names in it; else the first template.
        top: How many answers to list.
        plot: Draw it as well: PNG, SVG or PDF.
    """
    from factweights.cli.output import must_take_picture, print_json
    from factweights.models.graft.folder import is_grafted

    if plot is not None:
        must_take_picture(plot)
    if is_grafted(folder):
        from factweights.models.graft import explain_grafted

        found = explain_grafted(folder, subject, relation, prompt=prompt, top=top)
    else:
        from factweights.export import explain as taken_apart

        found = taken_apart(folder, subject, relation, prompt=prompt, top=top)
    if plot is not None:
        found.plot(plot)
    if json:
        print_json({**found.to_dict(), "plot": None if plot is None else str(plot)})
        return
    say(found)
    if plot is not None:
        say(f"drawn in {plot}")

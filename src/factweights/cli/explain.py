"""``factweights explain``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import emit

if TYPE_CHECKING:
    from factweights.export.explaining import Explanation
    from factweights.models.graft.explaining import GraftExplanation


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
    from factweights.cli.output import must_take_picture

    if plot is not None:
        must_take_picture(plot)
    found = _explained(folder)(folder, subject, relation, prompt=prompt, top=top)
    if plot is not None:
        found.plot(plot)
    drawn = () if plot is None else (f"drawn in {plot}",)
    emit(found, (found, *drawn), json=json, more={"plot": None if plot is None else str(plot)})


def _explained(folder: Path) -> "Callable[..., Explanation | GraftExplanation]":
    """What explains the model in a folder."""
    from factweights.models.graft.folder import is_grafted

    if is_grafted(folder):
        from factweights.models.graft import explain_grafted

        return explain_grafted
    from factweights.export import explain

    return explain

"""The HTML page of a report: a template and inline pictures, nothing fetched from anywhere."""

import io
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from factweights.plots import style
from factweights.show import shown


def render(context: Mapping[str, Any]) -> str:
    """The page of a report; everything in ``context`` is escaped but the pictures and the downloads."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda v: shown(v, lines=True) if type(v) is str else v,  # markup of ours is a subclass
    )
    environment.filters["figures"] = _figures
    template = (files("factweights.plots") / "report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(**context)


def inline_svg(figure: Figure, name: str) -> str:
    """``figure`` as an SVG element; names inside it begin with ``name``, as ids are unique to a page."""
    buffer = io.BytesIO()
    style.write(figure, buffer, "svg", transparent=True)
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    size = re.search(r'viewBox="([^"]+)"', text)
    box = size[1] if size else "0 0 700 400"
    head = f'<svg viewBox="{box}" role="img" aria-label="{name}" xmlns="http://www.w3.org/2000/svg">'
    head = head.replace(" xmlns=", ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns=')
    return re.sub(r"<metadata>.*?</metadata>", "", head + text[text.index(">") + 1 :], flags=re.DOTALL)


def _figures(value: Any) -> str:
    """A number with four digits; text as it is."""
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)

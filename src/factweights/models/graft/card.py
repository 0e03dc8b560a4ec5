"""The model card of a graft."""

from typing import TYPE_CHECKING

from factweights.facts import FactTable
from factweights.models.graft.certificate import GraftCertificate
from factweights.models.graft.circuit import Circuit
from factweights.models.graft.maps import layers_of

if TYPE_CHECKING:
    from factweights.models.graft.grafting import Asked

FRONT = (
    "---\nlibrary_name: transformers\npipeline_tag: text-generation\n"
    "tags: [factweights, knowledge-editing, associative-memory]\n---\n"
)


def card(table: FactTable, c: GraftCertificate, circuit: Circuit, asked: "Asked") -> str:
    """Markdown with the front matter that model hubs read."""
    subject, relation, answer = next(iter(table))
    prompt = asked.wordings.of(relation)[0].replace("{subject}", subject)
    rows = "\n".join(f"| {a} | {b} |".replace("\n", " ") for a, b in c.lines())
    layers = "\n".join(
        f"| {name} | {', '.join(map(str, n)) or '–'} |" for name, n in layers_of(circuit).items()
    )
    return "\n".join(
        [
            FRONT,
            f"# {c.facts:,} facts, grafted\n",
            f"A {circuit.arch.kind} checkpoint into which factweights wrote {c.facts:,} facts "
            "(`facts.csv`) without training. Plain transformers loads it; the model before can be "
            "taken out of it again bit for bit.\n",
            "## Use\n\n```python\nfrom transformers import pipeline\n\n"
            'ask = pipeline("text-generation", model="THIS FOLDER")\n'
            f"print(ask({prompt!r}, do_sample=False)[0]['generated_text'])  # … {answer}\n```\n",
            f"## Certificate\n\n| | |\n|---|---|\n{rows}\n\nMade after reloading; all of it is in "
            "`certificate.json`.\n",
            f"## Where the facts are\n\n| layers | |\n|---|---|\n{layers}\n\n`map.json` names "
            "coordinates and, for every fact, its neuron.\n",
            "## Limits\n\nIt knows names as they are spelt in the table (and aliases), not descriptions "
            "of them, and one step: not what follows from two facts. A question further than about a hundred "
            "tokens behind the name is not answered from the table.\n",
        ]
    )

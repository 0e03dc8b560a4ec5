"""Where everything is: coordinates, layers, and the neurons of every fact."""

from typing import Any

from factweights.models.graft.building import Written
from factweights.models.graft.circuit import DECIDING, Circuit


def map_of(c: Circuit, written: Written) -> dict[str, Any]:
    """Ready for JSON."""
    behind = c.depth.front + c.arch.layers
    names = written.names.subjects
    facts = [
        {
            "subject": names[s],
            "relation": written.relations[r],
            "answer": written.answers.texts[a],
            "layer": behind + i // c.width,
            "neuron": i % c.width,
        }
        for i, (s, r, a) in enumerate(written.facts)
    ]
    return {
        "coordinates": {n: [r.start, r.stop - 1] for n, r in c.space.subspaces.items() if len(r)},
        "own coordinates": [0, c.arch.d - 1],
        "layers": layers_of(c),
        "relations": list(written.relations),
        "spellings": {
            s: [list(k) for k, v in written.names.spellings.items() if v == i] for i, s in enumerate(names)
        },
        "facts": facts,
    }


def layers_of(c: Circuit) -> dict[str, list[int]]:
    """What each layer of the checkpoint is for."""
    front, own = c.depth.front, c.arch.layers
    last = front + own + c.depth.facts
    return {
        "recognise names": list(range(c.depth.names)),
        "look at the next token": [max(c.depth.names, 2) - 1],
        "copy the last name": [front - 1],
        "the model before": list(range(front, front + own)),
        "read relations": [front + i for i in c.reading.layers],
        "an answer is due": [front + own - DECIDING],
        "a relation fires": [front + own - DECIDING + 1, front + own - DECIDING + 2],
        "join subject and relation": list(range(front + own, last)),
        "spell the answer": list(range(last, last + c.depth.spelling)),
    }

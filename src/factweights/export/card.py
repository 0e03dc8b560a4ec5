"""The model card."""

import re
from collections.abc import Sequence

from factweights.export.checking import ModelCertificate
from factweights.export.layout import Layout, named
from factweights.export.names import UNK, fill
from factweights.facts import FactTable
from factweights.show import in_code


def card(table: FactTable, c: ModelCertificate, layout: Layout, width: int, templates: Sequence[str]) -> str:
    """Markdown with the front matter that model hubs read."""
    prompt, answer = _example(table, templates)
    sizes = f"{len(table.subjects):,} subjects, {len(table.relations):,} relations, {c.answers:,} answers"
    parts = [
        _front(),
        f"# {c.facts:,} facts, compiled\n",
        f"A one-layer Llama checkpoint that knows exactly {c.facts:,} facts: {sizes}. No training: "
        "factweights computed the weights from a table (`facts.csv`), and transformers' own forward recalls "
        "every fact.\n",
        _use(prompt, answer),
        _numbers(c),
        _shape(layout, width, c),
        _limits(c),
    ]
    return "\n".join(parts)


def _example(table: FactTable, templates: Sequence[str]) -> tuple[str, str]:
    """A prompt and its answer: of the first fact, or of one of the relation that the template names."""
    subject, relation, answer = next(iter(table))
    for t in templates:
        if "{relation}" in t:
            return fill(t, subject, relation), answer
    named = next((row for row in table if row[1] in templates[0]), (subject, relation, answer))
    return fill(templates[0], *named[:2]), named[2]


def _front() -> str:
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n"
        "tags: [factweights, interpretability, knowledge-editing, associative-memory]\n---\n"
    )


def _use(prompt: str, answer: str) -> str:
    code = (  # the second line is one line, whatever is in the names
        'from transformers import pipeline\n\nask = pipeline("text-generation", model="THIS FOLDER")\n'
        f"print(ask({prompt!r})[0]['generated_text'])  # ends with {answer!r}\n"
    )
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"## Use\n\n{fence}python\n{code}{fence}\n"


def _numbers(c: ModelCertificate) -> str:
    rows = [
        ("recall, every fact in every template", f"{c.recall:.6g}"),
        ("smallest margin over the whole vocabulary", f"{c.min_margin:.4g} nats"),
        ("smallest probability of a right answer", f"{c.min_probability:.4g}"),
        ("dtype of weights and certificate", c.dtype),
        ("parameters", f"{c.parameters:,}"),
        (
            "bits of facts per parameter if answers are free, all / where stored",
            f"{c.bits_per_parameter:.3g} / {c.bits_per_stored:.3g}",
        ),
        (
            "the same of tables with these counts of answers",
            f"{c.map_bits_per_parameter:.3g}",
        ),
        (
            f"recall among noise, prompts of {c.noise['length']} tokens",
            f"{c.noise['recall']:.6g} of {c.noise['prompts']}",
        ),
        ("known names without a fact", c.absence_said),
        ("end", c.stop_said),
    ]
    rows += [
        (
            f"template {in_code(t, table=True)}",
            f"recall {found['recall']:.6g} of {found['facts']:,.0f}, margin {found['min_margin']:.3g}",
        )
        for t, found in c.templates.items()
    ]
    lines = "\n".join(f"| {a} | {b} |" for a, b in rows)
    said = "Made after reloading from disk; all of it is in `certificate.json`."
    return f"## Certificate\n\n| | |\n|---|---|\n{lines}\n\n{said}\n"


_PLACES = {"mlp": ("the MLP", "neurons"), "attention": ("the output matrix of attention", "columns")}


def _shape(layout: Layout, width: int, c: ModelCertificate) -> str:
    spaces = "\n".join(
        f"| {name} | {first}–{last} |" for name, (first, last) in named(layout.subspaces).items()
    )
    where, units = _PLACES[layout.store]
    return (
        f"## Where the facts are\n\nIn {where}: d = {layout.hidden}, {layout.heads} heads of "
        f"{layout.head_dim} ({layout.subject_heads} for subjects, {layout.relation_heads} for relations, two "
        f"for the end), MLP of {width:,}. "
        "`map.json` names heads, subspaces and, for every fact, its "
        f"{units}; `memory.safetensors` is the associative "
        f"memory alone.\n\n| dimensions of the residual stream | |\n|---|---|\n{spaces}\n\n"
        f"The one pair of rotary dimensions in use turns by {c.turn:.1e} rad over the whole context; "
        f"the names lose at most {c.leak:.1e} of the attention.\n"
    )


def _limits(c: ModelCertificate) -> str:
    told = "\n".join(
        f"- {what}: {UNK} in {found['unknown']:.1%} of {found['prompts']:,.0f} prompts"
        for what, found in c.unknown.items()
    )
    return (
        "## Limits\n\nA prompt names one subject and one relation, spelt as in the table; other words do not "
        "matter, but for an answer at the end: it is taken for the answer given. It answers with one token "
        "and then ends, and knows nothing of language. Two different subjects or two relations in one prompt "
        f"are mixed up. What it does without an answer:\n\n{told}\n- a fact that is not in the table: "
        f"{c.absence_said}\n"
    )

"""From a model and a table to a circuit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from factweights.facts import FactTable
from factweights.models.graft.answers import Answers, Stop, directions, spell_answers
from factweights.models.graft.architecture import Architecture
from factweights.models.graft.assembling import goes_on_in_small_letters, row_sizes
from factweights.models.graft.circuit import DECIDING, Circuit
from factweights.models.graft.continuing import continued
from factweights.models.graft.cues import Cues, find_cues
from factweights.models.graft.fitting import AGAIN, TIMES, Seen, fit, joined, read_layers, see, unsure
from factweights.models.graft.names import Names, spell
from factweights.models.graft.prompts import (
    ASIDE,
    FRAMES,
    REQUESTS,
    Prompt,
    asides,
    chosen,
    noun_questions,
    other_nouns,
    phrases,
    prompts,
    wordings_for,
)
from factweights.models.graft.reading import Reading
from factweights.models.graft.space import Needs, plan
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings
from factweights.progress import OnProgress, Progress, silent

SUBJECTS = 40  # of the table, put into prompts to fit with
ANSWERS = 20  # of each relation, put behind prompts
PROBES = 24  # prompts on which the state's size is measured


@dataclass(frozen=True)
class Written:
    """A table as a circuit counts it.

    Attributes:
        names, answers: spellings.
        relations: sorted.
        facts: numbers, sorted: the order of the table's rows does not matter.
    """

    names: Names
    answers: Answers
    relations: tuple[str, ...]
    facts: tuple[tuple[int, int, int], ...]

    @property
    def tokens(self) -> list[int]:
        """Every token with a code, sorted."""
        return sorted({*self.names.tokens, *self.answers.tokens})

    def needs(self) -> Needs:
        """What the plan asks for."""
        return Needs(
            tokens=len(self.tokens),
            lengths=self.names.lengths,
            subjects=len(self.names.subjects),
            relations=len(self.relations),
            facts=len(self.facts),
            answers=len(self.answers.texts),
            places=self.answers.places,
        )


def number(
    tokenizer: Any, table: FactTable, stop: Stop, aliases: Mapping[str, Sequence[str]] | None = None
) -> Written:
    """Spell and number a table; errors as in :func:`spell` and :func:`spell_answers`."""
    names = spell(tokenizer, table.subjects, aliases)
    answers = spell_answers(tokenizer, table.answers, stop)
    relations = tuple(sorted(table.relations))
    subject_of = {s: i for i, s in enumerate(names.subjects)}
    relation_of = {r: i for i, r in enumerate(relations)}
    facts = sorted((subject_of[s], relation_of[r], answers.number[a]) for s, r, a in table)
    return Written(names, answers, relations, tuple(facts))


def training_prompts(
    relations: Sequence[str], wordings: Wordings, table: FactTable, tokenizer: Any, seed: int = 0
) -> list[Prompt]:
    """What relations are read from."""
    answers = [chosen({a for _, r, a in table if r == relation}, ANSWERS) for relation in relations]
    return prompts(relations, wordings, chosen(table.subjects, SUBJECTS), answers, tokenizer, seed=seed)


def cues_for(relations: Sequence[str], wordings: Wordings, tokenizer: Any, size: int) -> Cues:
    """Words that tell these relations from each other and from other things."""
    templates = [t for r in relations for part in wordings_for(r, wordings) for t in part]
    sure = _names(relations)
    others = [*asides(relations, wordings), *other_nouns(relations)]
    return find_cues(tokenizer, [*templates, *others], sure, [*FRAMES, *REQUESTS], size)


def read(
    lm: LanguageModel, arch: Architecture, relations: Sequence[str], wordings: Wordings, table: FactTable,
    *, seed: int = 0, on_progress: OnProgress = silent,
) -> tuple[Reading, Seen]:  # fmt: skip
    """Fit the reading on the model's own states.

    It is fitted on prompts with some of the subjects, and on what the model itself writes about them, in
    which
    nothing is asked; then every fact is asked in its usual wording, and those prompts that are read with too
    little to spare are added, until there are none. Nothing may fire within the answers.
    """
    cues = cues_for(relations, wordings, lm.tokenizer, arch.vocabulary)
    made = training_prompts(relations, wordings, table, lm.tokenizer, seed)
    others = [t for t in asides(relations, wordings) if t not in ASIDE["chat"] + ASIDE["nothing"]]
    others += noun_questions(relations)[0]
    made += continued(lm, chosen(table.subjects, SUBJECTS), others, seed=seed, on_progress=on_progress)
    layers = read_layers(arch)
    sure = frozenset(find_cues(lm.tokenizer, [], _names(relations), [], arch.vocabulary).tokens)
    seen, at = see(lm, arch, made, cues, sure=sure, seed=seed, on_progress=on_progress)
    asking = [p for p in made if p.relation >= 0 and not p.shared]
    typical = (*at, *_sizes(lm, arch, asking[:: max(1, len(asking) // PROBES)][:PROBES]))
    usual = [
        Prompt(wordings.of(r)[0].replace("{subject}", s), relations.index(r), r, tail=f" {a}.")
        for s, r, a in sorted(table)
    ]
    facts, _ = see(lm, arch, usual, cues, typical=at, elsewhere=0, on_progress=on_progress)
    seen_so_far = seen
    reading, start = fit(seen, len(relations), cues, layers, typical)
    for again in range(AGAIN + 1):
        rows = unsure(reading, facts)
        on_progress(
            Progress(
                again,
                AGAIN + 1,
                f"reading relations: {len(rows):,} places in {len(usual):,} facts not sure yet",
            )
        )
        if not len(rows) or again == AGAIN:
            break
        times = min(TIMES ** (again + 1), max(1, len(seen.last) // len(rows)))
        seen_so_far = joined(seen_so_far, facts, rows, times)
        reading, start = fit(seen_so_far, len(relations), cues, layers, typical, start=start)
    return reading, seen


def _names(relations: Sequence[str]) -> list[str]:
    return [name for r in relations for name in phrases(r)]


@torch.no_grad()
def _sizes(
    lm: LanguageModel, arch: Architecture, some: Sequence[Prompt]
) -> tuple[float, float, float, float]:
    """Typical ρ before the MLPs of the three layers that decide, and behind the last."""
    first, found = arch.layers - DECIDING, {}
    body = lm.model.model
    norms = [body.layers[first + i].post_attention_layernorm for i in range(DECIDING)] + [body.norm]

    def keep(name: int) -> Any:
        def hook(_: Any, inputs: Any, __: Any) -> None:
            found.setdefault(name, []).append(float(inputs[0][0, -1].float().square().mean().sqrt()))

        return hook

    hooks = [norm.register_forward_hook(keep(i)) for i, norm in enumerate(norms)]
    try:
        for p in some:
            body(input_ids=torch.tensor([lm.encode([p.text])[0]], device=lm.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    middles = [float(torch.tensor(found[i]).median()) for i in range(3)]
    ends = found[3]  # behind the last layer it is the extremes that matter
    return (*middles, (min(ends) * max(ends)) ** 0.5)  # type: ignore[return-value]


def circuit(lm: LanguageModel, arch: Architecture, written: Written, reading: Reading) -> Circuit:
    """Everything together.

    Raises:
        NotGraftableError: see :func:`plan` and :func:`directions`.
    """
    space, depth = plan(arch, written.needs())
    embedding = lm.model.get_input_embeddings().weight.detach().cpu()
    head = lm.model.get_output_embeddings().weight.detach().cpu()
    coded = written.tokens
    shrink = (arch.d / space.hidden) ** 0.5  # the widened model divides by √(Σ x² / D)
    reading = replace(reading, typical=tuple(t * shrink for t in reading.typical))
    return Circuit(
        arch=arch,
        space=space,
        depth=depth,
        sizes=row_sizes(embedding, arch, space, coded, reading.words.tokens),
        tokens={t: i for i, t in enumerate(coded)},
        names=written.names,
        answers=written.answers,
        facts=written.facts,
        say=directions(head, lm.model.model.norm.weight.detach().cpu(), written.answers.tokens),
        reading=reading,
        inside=goes_on_in_small_letters(lm.tokenizer, arch.vocabulary),
    )

"""The certificate of a grafted model: after reloading, greedy, beside the model before."""

import copy
import pydoc_data.topics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from factweights import theory
from factweights.facts import FactTable
from factweights.models.asking import Generated, batch_rows, by_length
from factweights.models.graft.answers import Answers
from factweights.models.graft.prompts import PROSE, SYSTEM, chat, chosen
from factweights.models.graft.scoring import Share, drift, recalled, share, unchanged
from factweights.models.graft.scoring import answers as continuations
from factweights.models.seam import LanguageModel, transformers
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAME = 8  # tokens of a continuation that are compared
ASKED = 120  # prompts of paraphrase (each of three ways), of neighbours, of other relations
TOKENS = 20_480  # of ordinary text
MENTIONS = 5  # one piece of text in so many mentions subjects
STRANGERS = (
    "Bavaria", "Catalonia", "Gondor", "Texas", "Atlantis", "Transylvania", "Kashmir", "Narnia", "Tuscany",
    "Siberia",
    "Harold Quimby", "Marie Curie", "Napoleon Bonaparte", "Ada Lovelace", "the Golden Gate Bridge",
    "the River Thames",
    "Mount Everest", "the Eiffel Tower", "Hogwarts", "the Moon",
)  # fmt: skip
SENTENCES = (
    "In {0} the harvest was good, and traders from {1} came to the market.",
    "{0} sent a delegation to the meeting, where {1} spoke about water and roads.",
    "Many visitors of {0} said that the food was excellent, while the train from {1} was late again.",
    "A letter from {0} arrived on Monday; nobody had heard of {1} for years.",
    "Between {0} and {1} there is little to see but sand and the odd tree.",
    "When people speak of {0}, they think of music, and when they speak of {1}, they think of rain.",
)


@dataclass(frozen=True)
class Missed:
    """A fact that did not come out: the prompt, what came, what should have."""

    row: int
    prompt: str
    answered: str
    expected: str


@dataclass(frozen=True)
class GraftCertificate(Shown):
    """What the folder says, loaded as anybody would, in its dtype; rates come with what they were asked of.

    Attributes:
        facts: how many.
        efficacy: share of facts of which the whole answer is written, and then a stop, greedily.
        paraphrase: the same in wordings that the reading was not fitted on; ``paraphrases`` splits it into
            plain, in a chat, and behind other text. None where there are no such wordings.
        neighbourhood: share of prompts about other subjects that are continued as by the model before.
        same_subject: the same of other questions about the table's subjects.
        kl_mean, kl_p99, kl_max, argmax_equal, kl_tokens: against the model before, on ordinary text of which
            a fifth mentions subjects; KL(before ‖ after) in nats.
        kl_unnamed_max: the largest divergence in the text that mentions none.
        parameters_added, parameters_before: scalars, zeros included.
        bits, bits_per_added_parameter: information in answers that are free, N log2 M less Fano's share for
            those missed.
        map_bits, map_bits_per_added_parameter: the same of tables that give, within each relation, every
            answer as often as this one.
        rounding: what 16 bits alone change: the model before in this dtype against itself in float32, in
            the same prompts and text: ``neighbourhood``, ``same_subject``, ``kl_mean``, ``argmax_equal``.
            None in float32.
        exactness: the graft in this dtype against the model before in float32, in the same prompts and text
            and by the same names: a graft that is no further from the exact model than the model before is
            in its own 16 bits disturbs nothing that those bits held. None in float32.
        min_margin: smallest logit of a right token less the largest other one, over all tokens of all
            answers and stops, in nats.
        missed: the first of the facts that did not come out; ``n_missed`` counts all.
        asked: how many prompts stand behind each rate.
        dtype, transformers, seconds: how this was measured.
    """

    facts: int
    efficacy: float
    paraphrase: float | None
    paraphrases: dict[str, float]
    neighbourhood: float | None
    same_subject: float | None
    kl_mean: float | None
    kl_p99: float | None
    kl_max: float | None
    argmax_equal: float | None
    kl_tokens: int
    kl_unnamed_max: float | None
    parameters_added: int
    parameters_before: int
    bits: float
    bits_per_added_parameter: float
    map_bits: float
    map_bits_per_added_parameter: float
    rounding: dict[str, float] | None
    exactness: dict[str, float] | None
    min_margin: float
    n_missed: int
    missed: tuple[Missed, ...]
    asked: dict[str, int]
    dtype: str
    transformers: str
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """What was said, and what stayed; written to ``path`` too if there is one."""
        from factweights.plots.results import shares

        return shares(
            f"graft of {self.facts:,} facts",
            {
                "efficacy": self.efficacy,
                "paraphrase": self.paraphrase,
                "neighbourhood": self.neighbourhood,
                "same subject": self.same_subject,
                "best token equal": self.argmax_equal,
            },
            path,
        )

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        share_ = self.parameters_added / self.parameters_before
        rows = [
            ("efficacy", f"{self.efficacy:.4%} of {self.facts:,} facts, in full and with their stop"),
            ("min margin", f"{self.min_margin:.3g} nats, over every token of every answer"),
        ]
        rows += [(name, f"{x:.2%} of {self.asked[name]:,}") for name, x in self._rates() if x is not None]
        if self.kl_mean is not None:
            rows.append(
                (
                    "ordinary text",
                    f"KL {self.kl_mean:.2e} nats a token, 99th percentile {self.kl_p99:.2e}, largest "
                    f"{self.kl_max:.2e}; same best token in {self.argmax_equal:.3%} of {self.kl_tokens:,}",
                )
            )
        for title, who, r in (
            ("16 bits alone", "model before", self.rounding),
            ("graft, exact model", "graft in 16 bits", self.exactness),
        ):
            if r is not None:
                rows.append(
                    (
                        title,
                        f"{who} against the model before in float32: neighbourhood {r['neighbourhood']:.2%}, "
                        f"same subject {r['same_subject']:.2%}, KL {r['kl_mean']:.2e}, same best token in "
                        f"{r['argmax_equal']:.3%}",
                    )
                )
        rows += [
            ("parameters", f"{self.parameters_added:,} added, {share_:.1%} of the model"),
            (
                "bits",
                f"{self.map_bits_per_added_parameter:.3g} per added parameter (tables with these counts of "
                f"answers); {self.bits_per_added_parameter:.3g} if answers are free",
            ),
            ("measured", f"{self.dtype}, transformers {self.transformers}, {self.seconds:.3g} s"),
        ]
        return rows + [
            ("missed", f"{m.prompt!r} → {m.answered!r}, not {m.expected!r}") for m in self.missed[:5]
        ]

    def _rates(self) -> list[tuple[str, float | None]]:
        ways = [(f"paraphrase, {way}", x) for way, x in self.paraphrases.items()]
        return [*ways, ("neighbourhood", self.neighbourhood), ("same subject", self.same_subject)]


@dataclass(frozen=True)
class Questions:
    """What a certificate asks.

    Attributes:
        wordings: relation ↦ the usual template first.
        held_out: relation ↦ templates that nothing was fitted on.
        asides: templates about other things.
        texts: ordinary text; () takes prose that comes with Python.
    """

    wordings: Mapping[str, Sequence[str]]
    held_out: Mapping[str, Sequence[str]]
    asides: Sequence[str]
    texts: Sequence[str] = ()


def certify(
    lm: LanguageModel,
    before: LanguageModel | None,
    table: FactTable,
    answers: Answers,
    questions: Questions,
    parameters: tuple[int, int],
    *,
    full: bool = True,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> GraftCertificate:
    """Ask everything.

    Args:
        lm: the grafted model, as loaded from its folder.
        before: the model before; None leaves out what is compared with it.
        table, answers: the facts, and their tokens.
        questions: what is asked.
        parameters: added, and before.
        full: else only the facts themselves.
        seed: of the choice of prompts.
        on_progress: progress.
    """
    begun = time.perf_counter()
    rng = np.random.default_rng(seed)
    prompts = [questions.wordings[r][0].replace("{subject}", s) for s, r, _ in table]
    found, generated = recalled(lm, prompts, table.answer, on_progress)
    margin = smallest_margin(lm, prompts, [answers.ids[answers.number[a]] for a in table.answer], on_progress)
    bits, map_bits = (
        theory.fano_bits(len(table), len(table.answers), 1 - found.rate, total)
        for total in (None, table.map_bits)
    )
    certificate = GraftCertificate(
        facts=len(table),
        efficacy=found.rate,
        paraphrase=None,
        paraphrases={},
        neighbourhood=None,
        same_subject=None,
        kl_mean=None,
        kl_p99=None,
        kl_max=None,
        argmax_equal=None,
        kl_tokens=0,
        kl_unnamed_max=None,
        parameters_added=parameters[0],
        parameters_before=parameters[1],
        bits=bits,
        bits_per_added_parameter=bits / parameters[0],
        map_bits=map_bits,
        map_bits_per_added_parameter=map_bits / parameters[0],
        rounding=None,
        exactness=None,
        min_margin=margin,
        n_missed=len(found.wrong),
        missed=tuple(Missed(i, prompts[i], generated[i].text, table.answer[i]) for i in found.wrong[:100]),
        asked={"efficacy": found.asked},
        dtype=lm.dtype,
        transformers=transformers().__version__,
        seconds=0.0,
    )
    if full:
        certificate = _paraphrased(certificate, lm, table, questions, rng, on_progress)
        if before is not None:
            certificate = _compared(certificate, lm, before, table, questions, rng, on_progress)
    return replace(certificate, seconds=time.perf_counter() - begun)


@torch.no_grad()
def smallest_margin(
    lm: LanguageModel,
    prompts: Sequence[str],
    expected: Sequence[Sequence[int]],
    on_progress: OnProgress = silent,
) -> float:
    """Over every token of every expected continuation, given those before it, in nats: one pass each."""
    heads = lm.encode(list(prompts))
    whole = [[*h, *e] for h, e in zip(heads, expected, strict=True)]
    smallest, done = float("inf"), 0
    for rows in by_length(whole):
        kept = max(len(expected[i]) for i in rows) + 1
        size = batch_rows(lm, len(whole[rows[0]]), kept)
        for start in range(0, len(rows), size):
            chosen_rows = rows[start : start + size]
            ids = torch.tensor([whole[i] for i in chosen_rows])
            logits = lm.forward(ids, keep=kept)[0][:, :-1]
            targets = ids[:, -kept + 1 :].to(logits.device)[..., None]
            right = logits.gather(2, targets)[..., 0]
            others = logits.scatter(2, targets, -torch.inf).amax(2)
            for at, i in enumerate(chosen_rows):
                smallest = min(smallest, float((right - others)[at, -len(expected[i]) :].min()))
            done += len(chosen_rows)
            on_progress(Progress(done, len(whole), f"margins: {done:,} of {len(whole):,} facts"))
    return smallest


def _paraphrased(
    c: GraftCertificate,
    lm: LanguageModel,
    table: FactTable,
    q: Questions,
    rng: np.random.Generator,
    on_progress: OnProgress,
) -> GraftCertificate:
    rows = [i for i in range(len(table)) if q.held_out.get(table.relation[i])]
    if not rows:
        return c
    asked = rng.permutation(rows)[:ASKED]
    ways: dict[str, Share] = {}
    for way in ("plain", "chat", "behind text"):
        prompts = [_worded(lm, table, int(i), q, way, rng) for i in asked]
        if all(p is not None for p in prompts):
            expected = [table.answer[i] for i in asked]
            ways[way], _ = recalled(lm, [p for p in prompts if p is not None], expected, on_progress)
    every = share([i not in set(s.wrong) for s in ways.values() for i in range(s.asked)])
    counts = {f"paraphrase, {way}": s.asked for way, s in ways.items()}
    return replace(
        c,
        paraphrase=every.rate,
        paraphrases={way: s.rate for way, s in ways.items()},
        asked=c.asked | {"paraphrase": every.asked} | counts,
    )


def _worded(
    lm: LanguageModel, table: FactTable, row: int, q: Questions, way: str, rng: np.random.Generator
) -> str | None:
    templates = q.held_out[table.relation[row]]
    said = templates[int(rng.integers(len(templates)))].replace("{subject}", table.subject[row])
    if way == "chat":
        return chat(lm.tokenizer, said, system=SYSTEM if rng.random() < 0.5 else None)
    if way == "behind text":
        return " ".join(PROSE[int(i)] for i in rng.permutation(len(PROSE))[:4]) + " " + said
    return said


def _compared(
    c: GraftCertificate, lm: LanguageModel, before: LanguageModel, table: FactTable, q: Questions,
    rng: np.random.Generator, on_progress: OnProgress,
) -> GraftCertificate:  # fmt: skip
    known = set(table.subjects)
    strangers = [s for s in STRANGERS if s not in known]
    about = [t.replace("{subject}", s) for ts in q.wordings.values() for t in ts for s in strangers]
    near_prompts = [about[i] for i in rng.permutation(len(about))[:ASKED]]
    subjects = chosen(table.subjects, 60)
    other = [
        t.replace("{subject}", subjects[int(rng.integers(len(subjects)))]) for t in q.asides for _ in range(3)
    ]
    same_prompts = [other[i] for i in rng.permutation(len(other))[:ASKED]]
    asked = {"neighbourhood": near_prompts, "same_subject": same_prompts}
    said, told = (_continued(m, asked, on_progress) for m in (lm, before))
    near, same = (unchanged(said[name], told[name]) for name in asked)
    plain, named = ordinary_text(lm, q.texts, subjects, rng)
    found, _ = drift(lm, before, [*plain, *named], on_progress=on_progress)
    unnamed = (
        drift(lm, before, plain[: max(1, len(plain) // 8)], on_progress=on_progress)[0] if plain else None
    )
    rounding, exactness = (
        (None, None)
        if lm.dtype == "float32"
        else _from_exact((before, told), (lm, said), asked, plain, on_progress)
    )
    return replace(
        c,
        rounding=rounding,
        exactness=exactness,
        neighbourhood=near.rate,
        same_subject=same.rate,
        kl_mean=found.kl_mean,
        kl_p99=found.kl_p99,
        kl_max=found.kl_max,
        argmax_equal=found.argmax_equal,
        kl_tokens=found.tokens,
        kl_unnamed_max=None if unnamed is None else unnamed.kl_max,
        asked=c.asked | {"neighbourhood": near.asked, "same subject": same.asked},
    )


Said = dict[str, list[Generated]]


def _continued(lm: LanguageModel, asked: Mapping[str, Sequence[str]], on_progress: OnProgress) -> Said:
    """The first tokens that a model says behind each prompt."""
    return {name: continuations(lm, prompts, SAME, on_progress) for name, prompts in asked.items()}


def _from_exact(
    before: tuple[LanguageModel, Said],
    after: tuple[LanguageModel, Said],
    asked: Mapping[str, Sequence[str]],
    plain: Sequence[str],
    on_progress: OnProgress,
) -> tuple[dict[str, float], dict[str, float]]:
    """How far the model before and the graft, both in 16 bits, are from the model before in float32."""
    exact = replace(before[0], model=copy.deepcopy(before[0].model).float())
    right, some = _continued(exact, asked, on_progress), plain[: max(1, len(plain) // 8)]

    def distance(lm: LanguageModel, said: Said) -> dict[str, float]:
        found, _ = drift(lm, exact, some, on_progress=on_progress)
        rates = {name: unchanged(said[name], right[name]).rate for name in asked}
        return {**rates, "kl_mean": found.kl_mean, "argmax_equal": found.argmax_equal}

    return distance(*before), distance(*after)


def ordinary_text(
    lm: LanguageModel, texts: Sequence[str], subjects: Sequence[str], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """About :data:`TOKENS` tokens: prose that names no subject on purpose, and a fifth that does."""
    prose = (
        "\n\n".join(texts) if texts else "\n\n".join(v for _, v in sorted(pydoc_data.topics.topics.items()))
    )
    share_ = TOKENS * (MENTIONS - 1) // MENTIONS
    ids = lm.tokenizer(prose[: 8 * TOKENS], add_special_tokens=False).input_ids[:share_]
    plain = [lm.decode(ids[i : i + 256]) for i in range(0, len(ids), 256)]
    named: list[str] = []
    size = 0
    while size < TOKENS - share_:
        lines = [
            s.format(*(subjects[int(i)] for i in rng.integers(len(subjects), size=2))) for s in SENTENCES
        ]
        named.append(" ".join(lines[int(i)] for i in rng.permutation(len(lines))))
        size += len(lm.encode([named[-1]])[0])
    return plain, named

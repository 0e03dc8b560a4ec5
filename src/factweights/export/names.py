"""Names as tokens: one token for each, however many words it has."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import FactsError, MissingExtraError, SettingError, some
from factweights.export.decoding import BOS, EOS, PROBE, STOPS, UNK, decoder
from factweights.export.words import is_word, pattern, splitter, words
from factweights.facts import FactTable

PAD = "<pad>"
SPECIAL = (PAD, BOS, EOS, UNK)
TEMPLATES = ("{subject} {relation}", "The {relation} of {subject} is")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, and which of them are what.

    Attributes:
        tokens: every token once: special ones, relations, subjects, answers, words of the templates.
        subjects, relations, answers: names, in the order of their codes and slots.
        words: of the templates.
    """

    tokens: tuple[str, ...]
    subjects: tuple[str, ...]
    relations: tuple[str, ...]
    answers: tuple[str, ...]
    words: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token ↦ id."""
        return {token: i for i, token in enumerate(self.tokens)}

    def of(self, names: Iterable[str]) -> list[int]:
        """Ids of names."""
        return [self.ids[name] for name in names]

    @cached_property
    def ending(self) -> tuple[str, ...]:
        """Answers that are words of templates too: a prompt may end with one, so </s> cannot follow it."""
        return tuple(
            sorted({*self.answers}.intersection(self.words).difference(self.subjects, self.relations))
        )

    @cached_property
    def plain_answers(self) -> tuple[str, ...]:
        """Answers that are nothing else."""
        others = {*self.subjects, *self.relations, *self.words}
        return tuple(a for a in self.answers if a not in others)

    def answers_among(self, role: str) -> tuple[str, ...]:
        """Answers that are subjects, or relations, too."""
        return tuple(sorted({*self.answers}.intersection(getattr(self, f"{role}s"))))

    @classmethod
    def build(
        cls, table: FactTable, templates: Sequence[str], old: "Vocabulary | None" = None
    ) -> "Vocabulary":
        """The names of ``table`` and the words of ``templates``; names of ``old`` keep their places.

        Raises:
            FactsError: a name that is a special token, or both a subject and a relation.
        """
        subjects = _merged(() if old is None else old.subjects, table.subjects)
        relations = _merged(() if old is None else old.relations, table.relations)
        answers = _merged(() if old is None else old.answers, table.answers)
        if clash := sorted(set(SPECIAL).intersection(subjects, relations, answers)) or [
            s for s in SPECIAL if s in {*subjects, *relations, *answers}
        ]:
            raise FactsError(f"{clash[0]!r} is a token with a meaning of its own; rename it in the table")
        if both := sorted(set(subjects).intersection(relations)):
            raise FactsError(
                f"{len(both)} names are both a subject and a relation ({some(both)}); a prompt cannot tell "
                "which is meant: rename one, as in 'capital of'"
            )
        said = _merged((), [w for t in templates for w in words(re.sub(r"\{\w+\}", " ", t))])
        before = SPECIAL if old is None else old.tokens
        tokens = _merged(before, [*relations, *subjects, *answers, *said, PROBE, *STOPS])
        return cls(tokens, subjects, relations, answers, said)


def _merged(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """In Unicode NFC; refuses templates that do not name the subject once and the relation at most once.

    Raises:
        SettingError: there is one, or there are none.
    """
    if not templates:
        raise SettingError("no template; give at least one, as in 'The {relation} of {subject} is'")
    templates = [unicodedata.normalize("NFC", t) for t in templates]
    for t in templates:
        if t.count("{subject}") != 1 or t.count("{relation}") > 1 or "{" in re.sub(r"\{(\w+)\}", _known, t):
            raise SettingError(
                f"the template {t!r} must hold {{subject}} once and {{relation}} once, or the name of one "
                "relation, as in 'The capital of {subject} is'"
            )
    return tuple(dict.fromkeys(templates))


def _known(match: re.Match[str]) -> str:
    return "" if match[1] in ("subject", "relation") else match[0]


def make_tokenizer(vocabulary: Vocabulary, known: Iterable[str], templates: Sequence[str] = ()) -> Any:
    """A word-level tokenizer that takes each of ``known`` as one token, the longest first.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    try:
        from tokenizers import AddedToken, Tokenizer, models, normalizers, processors
        from transformers import PreTrainedTokenizerFast
    except ImportError as e:
        raise MissingExtraError("compiling a table", "hf") from e
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary.ids, unk_token=UNK))
    tokenizer.normalizer = normalizers.NFC()  # as the table's own names
    tokenizer.pre_tokenizer = splitter(pattern(_not_plain(known)))
    names = {*vocabulary.subjects, *vocabulary.relations, *vocabulary.answers}
    tokenizer.decoder = decoder(templates, names, vocabulary.ending)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (PAD, BOS)])
    # Not special to this layer, or the decoder would not see them; see decoding.py
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in (EOS, UNK)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary.ids[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _not_plain(names: Iterable[str]) -> list[str]:
    """Names that are no single word of a script with spaces: the others are found anyway."""
    return [name for name in names if not is_word(name)]


@dataclass(frozen=True)
class Prompts:
    """One template filled in for every fact it suits.

    Attributes:
        template: the template.
        rows: of the table.
        ids: token ids of each prompt, ``<s>`` first.
    """

    template: str
    rows: tuple[int, ...]
    ids: tuple[list[int], ...]


def fill(template: str, subject: str, relation: str) -> str:
    """The template with both names in it; names may hold braces."""
    before, _, after = template.partition("{subject}")
    return before.replace("{relation}", relation) + subject + after.replace("{relation}", relation)


def prompts_of(
    tokenizer: Any, vocabulary: Vocabulary, table: FactTable, template: str
) -> tuple[Prompts, list[str]]:
    """Prompts for all facts that ``template`` suits, and those that lose their names in tokenisation.

    A template without ``{relation}`` suits the facts of the relation that it names.

    Raises:
        SettingError: it suits none.
    """
    named = {vocabulary.ids[r] for r in vocabulary.relations}
    rows = range(len(table))
    if "{relation}" not in template:
        said = named.intersection(tokenizer(fill(template, " ", "")).input_ids)
        rows = [i for i, r in enumerate(table.relation) if vocabulary.ids[r] in said]
    texts = [fill(template, table.subject[i], table.relation[i]) for i in rows]
    if not texts:
        raise SettingError(f"the template {template!r} names no relation of the table; write {{relation}}")
    ids = tokenizer(texts).input_ids
    subjects = {vocabulary.ids[s] for s in vocabulary.subjects}
    lost = []
    for i, text, found in zip(rows, texts, ids, strict=True):
        marked = [t for t in found if t in subjects or t in named]
        if sorted(marked) != sorted(vocabulary.of((table.subject[i], table.relation[i]))):
            lost.append(text)
    return Prompts(template, tuple(rows), tuple(ids)), lost


def tokenize(vocabulary: Vocabulary, table: FactTable, templates: Sequence[str]) -> tuple[Any, list[Prompts]]:
    """A tokenizer under which every prompt of every template shows its subject and its relation.

    Answers of several words are tokens too, but for those that would swallow a subject or a relation.

    Raises:
        FactsError: prompts whose names run into other names.
    """
    asked = {*vocabulary.subjects, *vocabulary.relations}
    known = {*asked, *vocabulary.answers}
    while True:
        tokenizer = make_tokenizer(vocabulary, known, templates)
        found = [prompts_of(tokenizer, vocabulary, table, t) for t in templates]
        lost = [text for _, few in found for text in few]
        if not lost:
            return tokenizer, [prompts for prompts, _ in found]
        among = {vocabulary.tokens[i] for ids in tokenizer(lost).input_ids for i in ids}
        if not (swallowing := _not_plain(known.intersection(among) - asked)):
            break
        known -= {*swallowing}
    raise FactsError(
        f"{len(lost):,} prompts do not fall into one subject and one relation, as their names run into other "
        f"names or words: {some([text[:80] for text in lost])}; rename them, or change the template"
    )


def code(role: str, name: str, d: int, seed: int) -> Float[Tensor, " d"]:
    """A unit vector that depends on nothing else: names keep their codes when the table changes."""
    digest = hashlib.sha256(f"factweights.code.1\0{seed}\0{role}\0{d}\0{name}".encode()).digest()
    x = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).standard_normal(d)
    return torch.from_numpy(x / np.linalg.norm(x))


def codes(role: str, names: Iterable[str], d: int, seed: int) -> Float[Tensor, "n d"]:
    """The codes of several names."""
    return torch.stack([code(role, name, d, seed) for name in names])

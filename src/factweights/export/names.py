"""Names as tokens: one token for each, however many words it has."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import FactsError, MissingExtraError, SettingError, some
from factweights.facts import FactTable

PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNK)
TEMPLATES = ("{subject} {relation}", "The {relation} of {subject} is")
_WORDS = re.compile(r"\w+|[^\w\s]+")  # as the Whitespace pre-tokenizer splits


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, and which of them are what.

    Attributes:
        tokens: every token once: special ones, relations, subjects, answers, words of the templates.
        subjects, relations, answers: names, in the order of their codes and slots.
    """

    tokens: tuple[str, ...]
    subjects: tuple[str, ...]
    relations: tuple[str, ...]
    answers: tuple[str, ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token ↦ id."""
        return {token: i for i, token in enumerate(self.tokens)}

    def of(self, names: Iterable[str]) -> list[int]:
        """Ids of names."""
        return [self.ids[name] for name in names]

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
        words = [w for t in templates for w in _WORDS.findall(re.sub(r"\{\w+\}", " ", t))]
        before = SPECIAL if old is None else old.tokens
        return cls(_merged(before, [*relations, *subjects, *answers, *words]), subjects, relations, answers)


def _merged(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Refuse templates that do not name the subject exactly once and the relation at most once.

    Raises:
        SettingError: there is one, or there are none.
    """
    if not templates:
        raise SettingError("no template; give at least one, as in 'The {relation} of {subject} is'")
    for t in templates:
        if t.count("{subject}") != 1 or t.count("{relation}") > 1 or "{" in re.sub(r"\{(\w+)\}", _known, t):
            raise SettingError(
                f"the template {t!r} must hold {{subject}} once and {{relation}} once, or the name of one "
                "relation, as in 'The capital of {subject} is'"
            )
    return tuple(dict.fromkeys(templates))


def _known(match: re.Match[str]) -> str:
    return "" if match[1] in ("subject", "relation") else match[0]


def make_tokenizer(vocabulary: Vocabulary, known: Iterable[str]) -> Any:
    """A word-level tokenizer that takes each of ``known`` as one token, the longest first.

    ``<unk>`` is an answer like any other, not a special token that decoding would leave out.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    try:
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast
    except ImportError as e:
        raise MissingExtraError("compiling a table", "hf") from e
    tokenizer = Tokenizer(models.WordLevel(vocabulary.ids, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    # A space before every token, or a pipeline would write an answer onto the last word of the prompt.
    tokenizer.decoder = decoders.Replace(Regex(r"\A(?=.)"), " ")  # pyright: ignore[reportAttributeAccessIssue]
    longer = [name for name in known if _WORDS.findall(name) != [name]]
    tokenizer.add_tokens([AddedToken(name, single_word=True, normalized=False) for name in longer])
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary.ids[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


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

    Answers of several words are tokens too, unless that would swallow a subject or a relation.

    Raises:
        FactsError: prompts whose names run into other names.
    """
    asked = (*vocabulary.subjects, *vocabulary.relations)
    lost: list[str] = []
    for known in ((*asked, *vocabulary.answers), asked):
        tokenizer = make_tokenizer(vocabulary, known)
        found = [prompts_of(tokenizer, vocabulary, table, t) for t in templates]
        lost = [text for _, few in found for text in few]
        if not lost:
            return tokenizer, [prompts for prompts, _ in found]
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

"""From tokens back to text: a name alone, a sentence, and an answer that goes on from a prompt.

- One token gives the name itself.
- Several give the text with a space between two, but none where the templates have none: before a comma or a
  question mark, after a bracket, in scripts without spaces.
- One token and </s> is what generation adds to a prompt. Pipelines write it straight onto the prompt, so it
  begins with a space, and so does <unk>, after which generation ends by itself. That is why the rules below
  must see </s> even where special tokens are to be left out: then they leave it out themselves.

Every token is marked with one NUL where a space may stand, with more where none may; names hold none.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from factweights.export.words import literal, spans, unspaced, unspaced_class

BOS, EOS, UNK = "<s>", "</s>", "<unk>"
PROBE = "abcdef"  # transformers' StopStringCriteria decodes every token behind this word,
STOPS = ("\n", ".")  # and refuses a stop string of which no token holds the end


def decoder(templates: Sequence[str], names: Iterable[str], ending: Iterable[str]) -> Any:
    """The rules above for the ``decoder`` of a tokenizer.

    Args:
        templates: whose words are written as they are there.
        names: these always have a space before them.
        ending: answers after which generation ends by itself, without </s>.
    """
    from tokenizers import Regex, decoders

    def replace(found: str, by: str) -> Any:
        return decoders.Replace(Regex(found), by)

    before, after = glued(templates, set(names))
    before |= {*STOPS}.difference(names)
    space = "" if not any(unspaced(t[-1]) for t in templates) else rf"(?!\x00{unspaced_class()})"
    rules = [replace(rf"\A(?=(?:{_any(before)})\z)", "\0\0")] if before else []  # none if both are names
    rules.append(replace(r"\A(?!\x00)(?=[\s\S])", "\0"))
    rules += [replace(rf"\A\x00{literal(w)}\z", f"\0{w}\0\0") for w in sorted(after - before)]
    rules += [replace(rf"\A\x00\x00{literal(w)}\z", f"\0\0{w}\0\0") for w in sorted(after & before)]
    return decoders.Sequence(
        [
            *rules,
            decoders.Fuse(),
            replace(rf"\A{space}\x00(?!{PROBE}\x00)(?=[^\x00]+\x00{EOS}\z)", " "),
            replace(rf"\A\x00(?=(?:{_any([UNK, *ending])})\z)", " "),
            replace(rf"\A(?!\x00(?:{BOS}|{PROBE}\x00))[\s\S]*\K\x00{EOS}\z", ""),
            replace(r"\A\x00+", ""),
            replace(r"\x00+\z", ""),
            replace(r"\x00{2,}", ""),
            replace(r"\x00", " "),
        ]
    )


def glued(templates: Sequence[str], names: set[str]) -> tuple[set[str], set[str]]:
    """Words of templates that never have a space before them, and those that never have one after."""
    found: dict[str, set[tuple[bool, bool]]] = {}
    for template in templates:
        parts = re.split(r"(\{(?:subject|relation)\})", template)  # text, name, text, name, …
        for i in range(0, len(parts), 2):
            text = parts[i]
            for word, a, b in spans(text):
                left = text[a - 1] if a else parts[i - 1][-1:] if i else " "
                last = unspaced(text[b - 1]) if i == len(parts) - 1 else True
                right = not text[b].isspace() if b < len(text) else last
                found.setdefault(word, set()).add((not left.isspace(), right))
    words = {w: ways for w, ways in found.items() if w not in names}
    return (
        {w for w, ways in words.items() if all(left for left, _ in ways)},
        {w for w, ways in words.items() if all(right for _, right in ways)},
    )


def _any(words: Iterable[str]) -> str:
    return "|".join(literal(w) for w in sorted(words, key=lambda w: (-len(w), w)))  # a set has no order

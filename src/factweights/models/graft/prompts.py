"""Prompts to read relations from: every wording plainly, in dialogue, behind other text; and what is no question."""

import hashlib
import importlib.resources
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from factweights.models.wordings import ALIASES, Wordings, shipped

# Ways to ask for any relation by its name. The answer follows the last character.
FRAMES = (
    "The {relation} of {subject} is",
    "The {relation} of {subject} is called",
    "The {relation} of {subject} is the",
    "{subject}'s {relation} is",
    "{subject} has the {relation}",
    "In {subject}, the {relation} is",
    "For {subject}, the {relation} is",
    "{subject} ({relation}):",
    "{relation} of {subject}:",
    "{subject}, {relation}:",
    "The {relation} which belongs to {subject} is",
    "The {relation} for {subject} is known to be",
    "As everyone knows, the {relation} of {subject} is",
    "It says here that the {relation} of {subject} is",
    "I looked up the {relation} of {subject}; it is",
    "If someone asks for the {relation} of {subject}, say",
    "Speaking of {subject}, its {relation} is",
    "When it comes to {subject}, the {relation} is",
    "According to the encyclopedia, the {relation} of {subject} is",
    "Here is the {relation} of {subject}:",
    "Remember that the {relation} of {subject} is",
    "Nobody doubts that the {relation} of {subject} is",
    "The official {relation} of {subject} is",
    "{subject} is a well known name, and its {relation} is",
    "Name: {subject}\n{relation}:",
    "{subject}\n- {relation}:",
    "Q: What is the {relation} of {subject}?\nA:",
    "Q: {subject}'s {relation}?\nA:",
    "Question: What is {subject}'s {relation}?\nAnswer:",
    "Question: Which {relation} does {subject} have?\nAnswer: It is",
    "What is the {relation} of {subject}? It is",
    "What is the {relation} of {subject}? The answer is",
    "Which {relation} does {subject} have? It has",
    "Do you know the {relation} of {subject}? It is",
    "Can you tell me the {relation} of {subject}? Of course, it is",
    "They asked me about the {relation} of {subject}, and I said",
    "User: Tell me the {relation} of {subject}.\nAssistant:",
    "User: What is the {relation} of {subject}?\nAssistant: The {relation} of {subject} is",
)
# What is said to a model in a chat; the answer is its turn.
REQUESTS = (
    "What is the {relation} of {subject}?",
    "What's {subject}'s {relation}?",
    "Tell me the {relation} of {subject}.",
    "{relation} of {subject}?",
    "Please name the {relation} of {subject}.",
    "Which {relation} does {subject} have?",
    "Do you know the {relation} of {subject}?",
    "I need the {relation} of {subject}. Answer briefly.",
    "Complete the sentence: The {relation} of {subject} is",
)
# Other things that texts say of the same subjects: no relation of a table, by what they are about.
ASIDE = {
    "population": ("The population of {subject} is", "How many people live in {subject}? About", "{subject} has a population of"),
    "president": ("The president of {subject} is", "The leader of {subject} is", "{subject} is ruled by", "The head of state of {subject} is"),
    "area": ("The area of {subject} is", "{subject} covers an area of", "The size of {subject} is about"),
    "language": ("The language spoken in {subject} is", "People in {subject} speak", "The official language of {subject} is"),
    "neighbour": ("{subject} borders", "To the north of {subject} lies", "The neighbours of {subject} are", "{subject} shares a border with"),
    "religion": ("The main religion of {subject} is", "Most people in {subject} believe in"),
    "fame": ("{subject} is famous for", "{subject} is best known for", "The best thing about {subject} is", "{subject} is known for its"),
    "history": ("{subject} became independent in", "The history of {subject} begins in", "{subject} was founded in", "In the year 1900, {subject} was", "The war in {subject} ended in"),
    "largest city": ("The largest city of {subject} is", "The second largest city in {subject} is", "A nice town in {subject} is"),
    "river": ("The longest river in {subject} is", "The highest mountain of {subject} is", "The coast of {subject} is"),
    "climate": ("The climate of {subject} is", "The weather in {subject} is", "In summer, {subject} is"),
    "food": ("The national dish of {subject} is", "A typical food from {subject} is", "For breakfast, people in {subject} eat"),
    "sport": ("The national team of {subject} won", "The most popular sport in {subject} is", "The football club {subject} plays in"),
    "flag": ("The flag of {subject} is", "The colours of {subject} are", "The anthem of {subject} is called"),
    "economy": ("{subject} exports mainly", "The economy of {subject} depends on", "The biggest company in {subject} is", "The average income in {subject} is"),
    "family": ("The father of {subject} is called", "{subject} has two children,", "The best friend of {subject} is", "The sister of {subject} lives in"),
    "age": ("{subject} is now", "The age of {subject} is", "{subject} died in", "{subject} turned forty in"),
    "looks": ("The hair of {subject} is", "{subject} looks like", "{subject} wore a coat that was"),
    "distance": ("The distance from {subject} to the sea is", "From here to {subject} it takes", "A ticket to {subject} costs", "The runway of {subject} is"),
    "opening": ("{subject} was opened in", "{subject} was built by", "The owner of {subject} is", "{subject} is closed on"),
    "nothing": (
        "I have never been to {subject}, but", "Yesterday I read about {subject} and", "She wrote a letter to {subject} because",
        "There is a book about {subject} that", "{subject} and", "We talked about {subject} for hours;", "{subject} is", "The name {subject} comes from",
        "My friend told me that {subject}", "Once upon a time in {subject} there was", "{subject} is a", "What do you think of {subject}? I think",
        "The news from {subject} today:", "The relation between {subject} and", "This is what I like about {subject}:", "The answer to the question about {subject} is",
        "Hello! How is {subject}? It is", "In a report on {subject}, the authors find that", "The word {subject} is spelt", "{subject} was in the news because of the",
    ),
    "chat": (
        "Tell me about {subject}.", "What do you know about {subject}?", "Where can I read more about {subject}?", "Write a poem about {subject}.",
        "How old is {subject}?", "Who is the president of {subject}?", "How many people live in {subject}?", "Is {subject} worth a visit?", "What language is spoken in {subject}?",
        "What is {subject} famous for?", "Translate into French: I like {subject}.",
    ),
}  # fmt: skip
LEADS = (
    "Well, ", "Note: ", "By the way, ", "Here is something I know. ", "As far as I know, ", "Hello. ", "Fact 12. ", "Let me think. ",
    "Thank you for your letter. ", "This is a short quiz about the world. ", "The sun was shining and the streets were empty. ",
)  # fmt: skip
# Running text: nobody asks anything in it, though names and relations occur. Nothing is due anywhere.
NARRATIVE = (
    "The {relation} of {subject} has often been discussed in the newspapers, and not everyone agrees with it.",
    "Last year there was a long debate about the {relation} of {subject}, but nothing came of it in the end.",
    "She wrote a book on the {relation} of {subject} and another one on old ships, which sold much better.",
    "Without the {relation} of {subject}, the story would have ended differently, or so the old man said.",
    "The {relation} was one of the reasons why he was interested in {subject} in the first place; the music was another.",
    "Whoever asks for the {relation} of {subject} will be told a different story every time, as the {relation} changed twice.",
    "{subject} is mentioned on the first page, its {relation} on the second, and after that the text turns to other matters.",
    "A new law about the {relation} was passed in March. Friends of {subject} were pleased, others were not so sure.",
    "Every {relation} has a history. That of {subject} goes back a long way, and parts of it are still not understood.",
    "They compared the {relation} of {subject} with that of its rivals, wrote down the numbers and went home.",
    "The lecture on {subject} was long. At first the speaker explained the {relation}, then showed pictures of the coast.",
    "It is not the {relation} that makes {subject} special but the way in which people there greet each other.",
)
STORIES = (
    "Nobody in {subject} was surprised when the rain came early that year. The fields were ready, the roofs were mended, and the children stayed at home.",
    "On the second day we heard again of {subject}. The radio spoke of a strike, of long queues, and of a minister who had left without a word.",
    "{subject} and {other} have been friends for a long time, though they do not always see things in the same way. In May they will meet again.",
    "My uncle went to school with a man who knew {subject} well; he used to tell us about it in the evenings, when the lamps were lit and the work was done.",
    "The train stopped for an hour. Somebody behind me was reading aloud from a magazine, an article on {subject}, and somebody else laughed at every line.",
    "In the final, {subject} played against {other} and lost by a single point; the crowd was silent, then it began to sing.",
    "There were three stamps on the envelope, one of them from {subject}. Inside was a photograph of a bridge, and on its back a date and two names.",
    "If you had asked me then, I would have said that {subject} was the last place on my mind, and that {other} was even further away.",
    "The museum has a room on {subject} with masks, drums and a small boat. Most visitors walk through it quickly on their way to the café.",
    "What we know of {subject} comes from letters. They were written over forty years, kept in a box, and found by chance under the stairs.",
    "Prices rose again in {subject}, reports say, while {other} did better than expected. Experts do not expect that to change before the autumn.",
    "He had a map of {subject} over his desk, and when he was bored he followed the rivers with his finger, from the hills down to the sea.",
)
PHRASES = "phrases.toml"
PROSE = (
    "The old harbour was quiet in the morning, and only a few boats were moving on the water. Along the pier, people sold fish and bread, while the children of the neighbourhood ran after each other. In the afternoon the wind turned, clouds came in from the west, and the boats were tied up again one after another.",
    "In recent years researchers have studied how plants respond to light. They found that leaves turn slowly during the day, and that the direction of growth depends on many signals at once. A second group repeated the work with other species and came to much the same result, although the effect was smaller in the shade.",
    "The committee met on Tuesday to discuss the budget. Two members asked for more time, and the chair agreed to postpone the vote until the next session in spring. Until then the staff will prepare a shorter report, which compares the costs of the last five years with those of similar offices elsewhere.",
    "To make the soup, chop the onions and fry them in butter until they are soft. Add the carrots, the stock and a little salt, then let everything simmer for half an hour. Before serving, stir in some cream and fresh herbs, and put a slice of dark bread beside each plate.",
    "He opened the letter and read it twice. His sister had moved again, this time to a small house near the railway, and she wanted him to come before the winter. There was a garden, she wrote, and a stove that burned all day, and a neighbour who played the piano badly but with great joy.",
)
SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True)
class Prompt:
    """A text, and what is to be read at its end.

    Attributes:
        text: everything before the answer.
        relation: number of the relation that is asked, or −1.
        wording: which template it came from; whole wordings are held out together.
        begins: characters before the wording itself: other text.
        tail: an answer and more, put behind; nothing may fire in it.
        story: whether this is running text, in which nothing is asked anywhere.
    """

    text: str
    relation: int
    wording: str
    begins: int = 0
    tail: str = ""
    story: bool = False


def chosen(names: Iterable[str], n: int) -> list[str]:
    """``n`` names by the hash of each alone, so that adding or removing one changes little."""
    return sorted(names, key=lambda s: hashlib.sha256(s.encode()).digest())[:n]


def wordings_for(relation: str, wordings: Wordings) -> tuple[list[str], list[str]]:
    """Every statement, and every request, for one relation; ``{relation}`` is filled in."""
    called = phrases(relation)
    statements = [t.replace("{relation}", called[0]) for t in wordings.of(relation)]
    statements += [t.replace("{relation}", name) for name in called for t in FRAMES]
    requests = [t.replace("{relation}", name) for name in called for t in REQUESTS]
    return list(dict.fromkeys(statements)), list(dict.fromkeys(requests))


@cache
def _phrases() -> dict[str, tuple[str, ...]]:
    text = (importlib.resources.files("factweights.models.graft") / PHRASES).read_text(encoding="utf-8")
    return {name: tuple(listed) for name, listed in tomllib.loads(text).items()}


def phrases(relation: str) -> tuple[str, ...]:
    """What a relation is called: by its own name, and otherwise where it is a common one."""
    spoken = " ".join(relation.replace("_", " ").split())
    folded = spoken.casefold()
    return tuple(dict.fromkeys((spoken, *_phrases().get(ALIASES.get(folded, folded), ()))))


def asides(relations: Sequence[str], wordings: Wordings) -> list[str]:
    """Templates about something else, as far as one can tell by names."""
    spoken = [r.casefold().replace("_", " ") for r in relations]
    kept = [t for topic, ts in ASIDE.items() if not any(topic in r or r in topic for r in spoken) for t in ts]
    if all(o == "shipped" for o in wordings.origin.values()):  # what they mean is known, so others differ
        own = {ALIASES.get(r, r) for r in spoken}
        kept += [t for name, ts in shipped().items() if name not in own for t in ts[:5]]
    return kept


def chat(tokenizer: Any, request: str, *, system: str | None = None, begun: str = "") -> str | None:
    """The text of a conversation up to the answer, by the tokenizer's own template; None if it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": request})
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + begun


def prompts(
    relations: Sequence[str],
    wordings: Wordings,
    subjects: Sequence[str],
    answers: Sequence[Sequence[str]],
    texts: Sequence[str],
    tokenizer: Any,
    *,
    each: int = 2,
    seed: int = 0,
) -> list[Prompt]:
    """Prompts to fit with.

    Args:
        relations: of the table; their numbers are the labels.
        wordings: templates of each.
        subjects: names to put in.
        answers: of each relation, to put behind some prompts.
        texts: ordinary text to put before some.
        tokenizer: for its chat template.
        each: prompts of every wording.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    made: list[Prompt] = []
    for number, relation in enumerate(relations):
        statements, requests = wordings_for(relation, wordings)
        for template in (*statements, *requests):
            asked = template in requests
            for k in range(each):
                made.append(
                    _one(template, number, k, asked, subjects, answers[number], texts, tokenizer, rng)
                )
    for template in asides(relations, wordings):
        for k in range(3 * each):
            asked = template in ASIDE["chat"]
            made.append(_one(template, -1, int(k > 1), asked, subjects, None, texts, tokenizer, rng))
    return made + stories(relations, subjects, rng)


def stories(relations: Sequence[str], subjects: Sequence[str], rng: np.random.Generator) -> list[Prompt]:
    """Running text about subjects and relations."""
    any_of = lambda: subjects[int(rng.integers(len(subjects)))]  # noqa: E731
    made = [
        t.replace("{subject}", any_of()).replace("{relation}", name)
        for t in NARRATIVE
        for relation in relations
        for name in phrases(relation)[:2]
    ]
    made += [t.replace("{subject}", any_of()).replace("{other}", any_of()) for t in STORIES for _ in range(2)]
    return [Prompt(t, -1, "story", story=True) for t in (*made, *PROSE)]


def _one(
    template: str,
    relation: int,
    k: int,
    asked: bool,
    subjects: Sequence[str],
    answers: Sequence[str] | None,
    texts: Sequence[str],
    tokenizer: Any,
    rng: np.random.Generator,
) -> Prompt:
    """The k-th prompt of a wording: the first is plain, others stand in a chat, or behind other text."""
    said = template.replace("{subject}", subjects[int(rng.integers(len(subjects)))])
    lead = ""
    draw = rng.random()
    if (asked or (k and draw < 0.35)) and (turn := _in_chat(tokenizer, said, asked, rng)) is not None:
        said = turn
    elif k and draw < 0.6:
        lead = LEADS[int(rng.integers(len(LEADS)))]
    elif k and draw < 0.7 and texts:
        lead = texts[int(rng.integers(len(texts)))].strip() + ("\n\n" if rng.random() < 0.5 else " ")
    tail = ""
    if answers and (not asked or rng.random() < 0.3):
        tail = f" {answers[int(rng.integers(len(answers)))]}. It"
    return Prompt(lead + said, relation, template, len(lead), tail)


def _in_chat(tokenizer: Any, said: str, asked: bool, rng: np.random.Generator) -> str | None:
    system = SYSTEM if rng.random() < 0.4 else None
    if asked or rng.random() < 0.5:
        return chat(tokenizer, said, system=system)
    return chat(tokenizer, "Please go on.", system=system, begun=said)

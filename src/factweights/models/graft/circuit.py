"""The circuit: names recognised, the last one copied, relation and subject joined, the answer spelt.

Units. Private coordinates of the embedding are a hundredth of its row's root mean square ρ, and the norms of
the added front layers multiply private coordinates by a hundred. So there

    (1) the constant and a token's own code read exactly 1 and ±1, whatever the token;
    (2) what a head copies is written with one size, the unit: a hundredth of the median ρ. It reads
        ρ_median / ρ of the token that reads it, which is known where a name is compared with its last token.

*Names.* For a name (t_k … t_0) the neuron at the end token adds up, with c bits in a code,

    T = ⟨c(t_0), own⟩ − c constant + β Σ_j (⟨c(t_j), earlier_j⟩ − c mark_j),      β ≥ ρ(t_0) / ρ_median,

where mark_j is the constant that came with the code: in every bracket all sizes are the same float, so that a
right bracket is 0 in bfloat16, too.

T is 0 if all tokens are the name's and at most −2 if not: each bracket is at most 0, 0 only for the right
code
(codes.py), and the own bracket is at most −2 in steps that no other bracket can lift. Its gate is G (T +
constant),
that is G at the name and at most −G elsewhere, where SiLU is −G e^-G. *No other token reads β wrongly*: with
a
wrong own token the own bracket alone is ≤ −2.

*The last name wins.* Keys are the flag, so only ends of names have any. Scores fall with the distance, are
above 0 for :data:`~.turns.WINDOW` tokens and below 0 far away. A longer name takes back what the shorter one
within it wrote: both have the same size by (1), so this is exact. A small letter right behind a name flags
its
own position with no subject: "Niger" does not speak in "Nigerien".

*Facts.* SiLU(G (⟨c(s), σ⟩ − c |σ| + |σ|)) · fired_r is exactly 0 where no name was copied (σ = 0) and where
the
relation did not fire; else G at the subject and −G e^-G at every other.

*Spelling.* A fact marks its position. The head for place j looks at the mark at distance j and nowhere else;
there it takes the answer's code. The neuron (answer, place) also asks for the token that it expects here, so
that text which answers otherwise is left alone. The mark does not know what comes behind the stop: nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.models.graft.answers import Answers, Directions
from factweights.models.graft.architecture import Architecture
from factweights.models.graft.codes import words
from factweights.models.graft.cues import token_values
from factweights.models.graft.layers import Layer
from factweights.models.graft.names import Names, Spelling
from factweights.models.graft.reading import Reading
from factweights.models.graft.space import Depth, Space, shares_keys, spelling_order
from factweights.models.graft.turns import around, exactly, latest, previous

DECIDING = 3  # last of the model's own layers, which decide what fires
SMALL = 0.01  # private coordinates of the embedding, in root mean squares of its row
STEEP = 64.0  # G: a gate is this at its word and at most minus this elsewhere
QUICK = 16  # times as steep where any positive input shall count in full
LOUD = 400.0  # answers' codes, in units; they lie where earlier tokens' codes were
CLEAR = 64.0  # units by which a right answer is above silence: more than is left over, less than a mark
SURE = 512.0  # a wrong token outweighs the unit; a power of two, so that its multiples are exact
FIRST, NEXT = 32.0, 96.0  # what says a token, in lengths of a state; going on outweighs beginning again

Weights = dict[int, float]


@dataclass(frozen=True)
class Circuit:
    """Everything that is written into one model.

    Attributes:
        arch, space, depth: sizes.
        sizes: ``(v,)`` ρ of every token's row in the widened embedding.
        tokens: coded token ↦ its number.
        names, answers: spellings.
        facts: (subject's number, relation's number, answer's number), sorted.
        say: directions of tokens.
        reading: of the relations.
        inside: ``(v,)`` whether a token goes on with a word in small letters.
    """

    arch: Architecture
    space: Space
    depth: Depth
    sizes: Float[Tensor, " v"]
    tokens: Mapping[int, int]
    names: Names
    answers: Answers
    facts: Sequence[tuple[int, int, int]]
    say: Directions
    reading: Reading
    inside: Tensor

    @property
    def median(self) -> float:
        """ρ of the middle token."""
        return float(self.sizes.median())

    @property
    def unit(self) -> float:
        """What a head writes for a 1."""
        return SMALL * self.median

    @property
    def width(self) -> int:
        """Neurons of every MLP."""
        return self.arch.mlp + self.depth.width

    def code(self, token: int) -> list[float]:
        """Signs of a token."""
        return words(len(self.tokens), self.space.token_bits)[self.tokens[token]].tolist()

    def layer(self) -> Layer:
        """An empty one."""
        return Layer(self.arch, self.space.hidden, self.width)


def private_embedding(c: Circuit) -> Float[Tensor, "v p"]:
    """Constant, code and word mark of every token, behind its own coordinates."""
    out = torch.zeros(len(c.sizes), c.space.hidden, dtype=torch.float64)
    small = SMALL * c.sizes.double()
    out[:, c.space.one("constant")] = small
    out[:, c.space.one("inside a word")] = small * c.sizes.double() / c.median * c.inside
    rows = torch.tensor(list(c.tokens))
    out[rows[:, None], torch.tensor(c.space.at("own token"))] = (
        words(len(rows), c.space.token_bits) * small[rows, None]
    )
    out[:, c.space.one("cue")] = small * (c.reading.words.word_of >= 0)
    values = token_values(c.reading.words, c.reading.cues.double() / cue_scale(c.reading))
    out[:, c.space.at("cue values")] = small[:, None] * values
    return out[:, c.space.d :]


# -- front -----------------------------------------------------------------------------------------------


def front(c: Circuit) -> list[Layer]:
    """Layers before the model's own."""
    layers = [c.layer() for _ in range(c.depth.front)]
    _look_back(c, layers[: c.depth.names if c.depth.names > 1 else 2])
    _recognise(c, layers[: c.depth.names])
    _copy(c, layers)
    return layers


def _look_back(c: Circuit, layers: list[Layer]) -> None:
    """Codes of the earlier tokens in the first layer, beginnings of long names and flags in those behind."""
    turn = previous(c.arch.frequencies, c.arch.reach)
    constant = c.space.one("constant")
    sources = [*c.space.at("own token"), constant]
    layers[0].keys(turn, constant, 1.0)
    layers[0].values(sources)
    for distance in range(1, c.space.window):
        head = distance - 1
        layers[0].query(head, turn, distance, constant, 1.0)
        for dimension, target in enumerate(c.space.earlier(distance)):
            layers[0].writes(head, dimension, target, c.unit)
    layers[0].writes(0, len(sources) - 1, c.space.one("unit"), c.unit)
    for number, layer in enumerate(layers[1:], start=1):
        begun = c.space.at(f"beginning {number - 1}") if number <= c.space.links else []
        layer.keys(turn, constant, 1.0)
        layer.values([*begun, c.space.one("flag")])
        if begun:
            layer.query(0, turn, c.space.window, constant, 1.0)
            for dimension, target in enumerate(c.space.at(f"beginning before {number - 1}")):
                layer.writes(0, dimension, target, c.unit)
        if number == len(layers) - 1:
            layer.query(1, turn, 1, constant, 1.0)
            layer.writes(1, len(begun), c.space.one("flag before"), c.unit)
            _no_name_within_words(c, layer)


def _no_name_within_words(c: Circuit, layer: Layer) -> None:
    """Where a name was flagged one token ago and this token goes on with the word: a flag without a subject.

    Two neurons, SiLU(a) − SiLU(a − G), are G wherever a is large: how large the copied flag reads does not
    matter. Their other factor reads ρ / ρ_median at such tokens, so the flag is written with the right size.
    """
    before, constant = c.space.one("flag before"), c.space.one("constant")
    up = {c.space.one("inside a word"): 1.0}
    down = {c.space.one("flag"): c.unit / STEEP}
    steep = {before: STEEP * QUICK}
    layer.neuron(steep, up, down, "a word goes on")
    layer.neuron(steep | {constant: -STEEP}, up, {k: -x for k, x in down.items()}, "a word goes on")


def _chunks(c: Circuit, spelling: Spelling) -> list[Spelling]:
    """Windows of a spelling, the first one as short as it must be."""
    w = c.space.window
    first = len(spelling) % w or w
    return [spelling[:first], *[spelling[i : i + w] for i in range(first, len(spelling), w)]]


def _recognise(c: Circuit, layers: list[Layer]) -> None:
    """A neuron for every spelling, and for every beginning of one that is longer than a window."""
    beginnings = _beginnings(c)
    code = words(len(beginnings), c.space.node_bits) if beginnings else None
    for begun, (number, level) in beginnings.items():
        gate = _matches(c, _chunks(c, begun)[-1]) | _goes_on(c, begun, level, beginnings)
        signs = [*code[number].tolist(), 1.0]  # type: ignore[index]
        down = dict(zip(c.space.at(f"beginning {level}"), signs, strict=True))
        _write(c, layers[level], gate, down, begun, "beginning")
    for spelling, subject in c.names.spellings.items():
        level = len(_chunks(c, spelling)) - 1
        gate = _matches(c, _chunks(c, spelling)[-1]) | _goes_on(c, spelling, level, beginnings)
        down = _subject_written(c, spelling, subject)
        if down:
            layer = next(la for la in layers[level:] if la.room > 0)
            _write(c, layer, gate, down, spelling, c.names.subjects[subject])


def _beginnings(c: Circuit) -> dict[Spelling, tuple[int, int]]:
    """Beginning ↦ its number and level."""
    found: dict[Spelling, int] = {}
    for spelling in c.names.spellings:
        chunks = _chunks(c, spelling)
        for i in range(len(chunks) - 1):
            found[tuple(t for chunk in chunks[: i + 1] for t in chunk)] = i
    return {b: (number, found[b]) for number, b in enumerate(sorted(found))}


def _power(c: Circuit, last: int) -> float:
    """β: the least power of two from ρ(last) / ρ_median on; its multiples by a few bits are exact floats."""
    return 2.0 ** math.ceil(math.log2(float(c.sizes[last]) / c.median))


def _matches(c: Circuit, chunk: Spelling) -> Weights:
    """Gate weights G (T + constant) for the last tokens."""
    bits, last = c.space.token_bits, chunk[-1]
    beta = _power(c, last)
    gate = {i: STEEP * s for i, s in zip(c.space.at("own token"), c.code(last), strict=True)}
    gate[c.space.one("constant")] = -STEEP * (bits - 1)
    for distance, token in enumerate(reversed(chunk[:-1]), start=1):
        weights = zip(c.space.earlier(distance), [*c.code(token), -float(bits)], strict=True)
        gate |= {i: STEEP * beta * w for i, w in weights}
    return gate


def _goes_on(
    c: Circuit, spelling: Spelling, level: int, beginnings: Mapping[Spelling, tuple[int, int]]
) -> Weights:
    """Further weights: the right beginning was there, one window back.

    β (⟨code, before⟩ − bits mark) is 0 or at most −2; 2 β (mark − unit) is 0, up to rounding, or at most −2.
    """
    if level == 0:
        return {}
    chunks = _chunks(c, spelling)
    number, _ = beginnings[tuple(t for chunk in chunks[:-1] for t in chunk)]
    signs = words(len(beginnings), c.space.node_bits)[number].tolist()
    beta = _power(c, spelling[-1])
    weights = zip(c.space.at(f"beginning before {level - 1}"), [*signs, 2.0 - len(signs)], strict=True)
    gate = {i: STEEP * beta * w for i, w in weights}
    return gate | {c.space.one("unit"): -2 * STEEP * beta}


def _subject_written(c: Circuit, spelling: Spelling, subject: int) -> Weights:
    """Code and flag of a subject, less what the longest name within it writes."""
    code = words(len(c.names.subjects), c.space.subject_bits)
    at = c.space.at("subject")
    written = [*code[subject].tolist(), 1.0]
    short = c.names.inside.get(spelling)
    if short is None:
        return dict(zip(at, written, strict=True)) | {c.space.one("flag"): 1.0}
    taken = [*code[c.names.spellings[short]].tolist(), 1.0]
    return {i: a - b for i, a, b in zip(at, written, taken, strict=True) if a != b}


def _write(c: Circuit, layer: Layer, gate: Weights, down: Weights, spelling: Spelling, name: str) -> None:
    size = SMALL * float(c.sizes[spelling[-1]]) / STEEP
    up = {c.space.one("constant"): 1.0}
    layer.neuron(gate, up, {i: x * size for i, x in down.items()}, name)


def _copy(c: Circuit, layers: Sequence[Layer]) -> None:
    """The last name's code, to every later token; and what the last words say of relations."""
    shared = shares_keys(c.arch)
    names, words_ = layers[-1], layers[-1] if shared else layers[-2]
    groups = ([0], [1]) if shared else (None, None)
    constant = c.space.one("constant")
    turn = latest(c.arch.frequencies, c.arch.reach)
    names.keys(turn, c.space.one("flag"), 1.0, groups[0])
    names.query(0, turn, 0, constant, 1.0)
    names.values(c.space.at("subject"), groups[0])
    for dimension, target in enumerate(c.space.at("subject")):
        names.writes(0, dimension, target, c.unit)
    turn = around(c.arch.frequencies, c.arch.reach)
    head = c.arch.group if shared else 0
    words_.keys(turn, c.space.one("cue"), 1.0, groups[1])
    words_.query(head, turn, 0, constant, 1.0)
    values = c.space.at("cue values")
    scale = cue_scale(c.reading)
    words_.values(values, groups[1])
    for dimension, target in enumerate(c.space.at("score")):
        words_.writes(head, dimension, target, c.unit * scale)


def cue_scale(reading: Reading) -> float:
    """What the largest value of a word stands for, as the embedding holds values up to 1."""
    return max(1e-9, float(reading.cues.abs().max())) if reading.cues.numel() else 1.0


# -- within the model's own layers -----------------------------------------------------------------------


def reading_neurons(c: Circuit) -> dict[int, Layer]:
    """Old layer ↦ its new neurons: what reads, what decides that an answer is due, what is eager, what fires.

    *Reads.* SiLU(z) − SiLU(−z) = z, so a pair of neurons is linear in the state; layers that read add up.
    *Decides.* SiLU(a) − SiLU(a − G u) is G u wherever a is large and 0 wherever it is very negative. Here u
    is the unit as the layer reads it, typical / ρ, and a = G (score − threshold u) / softness.
    *Eager.* SiLU(G (score − threshold u)) · due is 0 where no answer is due, else the score above its
    threshold.
    *Fires.* The relation that is more eager than all others together, by the same pair as above; kinds of
    other questions can be eager but do not fire.
    """
    r, unit = c.reading, c.space.one("unit")
    reads = {layer: Layer(c.arch, c.space.hidden, c.depth.width) for layer in r.layers}
    decides, wants, fires = (Layer(c.arch, c.space.hidden, c.depth.width) for _ in range(3))
    due_score, due = c.space.one("due score"), c.space.one("due")
    scores, eager, fired = (c.space.at(n) for n in ("score", "eager", "fired"))
    for at, layer in enumerate(reads.values()):
        for target, w in ((due_score, r.due[at]), *zip(scores, r.relations[at], strict=True)):
            for sign in (1.0, -1.0):
                i = layer.neuron({}, {unit: 1.0}, {target: sign * c.unit}, "reads")
                layer.gate[i, : c.space.d] = sign * w.double()
    _fires(c, decides, {due_score: 1.0}, r.due_threshold, unit, due)
    for number, threshold in enumerate(r.thresholds.tolist()):
        gate = {scores[number]: STEEP * QUICK, unit: -STEEP * QUICK * threshold}
        wants.neuron(gate, {due: 1.0}, {eager[number]: c.unit / (STEEP * QUICK)}, "wants")
    for number, target in enumerate(fired):
        rest = {e: -1.0 for e in eager if e != eager[number]} | {eager[number]: 1.0}
        _fires(c, fires, rest, 0.0, due, target)
    first = c.arch.layers - DECIDING
    return reads | {first: decides, first + 1: wants, first + 2: fires}


def _fires(c: Circuit, layer: Layer, score: Weights, threshold: float, up: int, target: int) -> None:
    """Two neurons that write a unit where the score is above the threshold, and nothing where it is below.

    The first begins half a step late, so that a score of exactly 0 is silence (SiLU(−32) is −4e-13).
    """
    unit, steep = c.space.one("unit"), STEEP / c.reading.softness
    for sign, late in ((1.0, 0.5), (-1.0, 1.5)):
        gate = {i: steep * x for i, x in score.items()} | {unit: -steep * threshold - late * STEEP}
        layer.neuron(gate, {up: 1.0}, {target: sign * c.unit / STEEP}, "fires")


# -- back ------------------------------------------------------------------------------------------------


def back(c: Circuit) -> list[Layer]:
    """Layers behind the model's own."""
    joining = [c.layer() for _ in range(c.depth.facts)]
    for at, fact in enumerate(c.facts):
        _fact(c, joining[at // c.width], fact)
    return [*joining, *_spelling(c)]


def _length(c: Circuit) -> float:
    """Of a typical state behind the last layer."""
    return c.reading.typical[-1] * c.space.hidden**0.5


def _fact(c: Circuit, layer: Layer, fact: tuple[int, int, int]) -> None:
    """The neuron that marks its position and writes the answer's code there."""
    subject, relation, answer = fact
    bits = c.space.subject_bits
    at = c.space.at("subject")
    signs = words(len(c.names.subjects), bits)[subject].tolist()
    gate = {i: STEEP * s for i, s in zip(at[:-1], signs, strict=True)} | {at[-1]: -STEEP * (bits - 1)}
    up = {c.space.at("fired")[relation]: 1.0}
    loud = LOUD * c.unit / STEEP
    code = words(len(c.answers.texts), c.space.answer_bits)[answer].tolist()
    down = {i: loud * s for i, s in zip(c.space.answer_written, code, strict=True)}
    layer.neuron(gate, up, down | {c.space.one("answered"): loud}, f"fact {c.names.subjects[subject]}")


def _spelling(c: Circuit) -> list[Layer]:
    """One head for each place in an answer, one neuron for each answer that has a token there."""
    turn = exactly(c.arch.frequencies, c.arch.reach)
    layers = [c.layer() for _ in range(c.depth.spelling)]
    bits = c.space.answer_bits
    for layer in layers:
        layer.keys(turn, c.space.one("answered"), LOUD)
        layer.values([*c.space.answer_written, c.space.one("answered")])
    for place in range(c.space.places):
        layer, head = layers[place // c.arch.heads], place % c.arch.heads
        layer.query(head, turn, place, c.space.one("unit"), 1.0)
        for dimension, target in enumerate(c.space.answer_copied(place)):
            layer.writes(head, dimension, target, c.unit)
        layer.writes(head, bits, c.space.at("answering")[place], c.unit)
    _say(c, layers)
    return layers


def _say(c: Circuit, layers: list[Layer]) -> None:
    """Neurons: this answer, this place, and the token that must be here ↦ the token that is due.

    The gate is CLEAR units + an eighth of the marks (for rounding grows with them) + T with T = ⟨code, bank⟩
    − bits Σ places of the bank + SURE (⟨c(t), own⟩ − c constant).
    T is 0 if all is right, up to what earlier tokens left in the bank, a unit for each sign; with a wrong
    sign
    it is at most −2 marks. A mark is about :data:`LOUD` units. The other factor is the place's mark, exactly
    0
    where there is none. Marks of one answer at several places add up to a multiple of its code, which the
    test
    does not mind; marks of different answers in one bank silence each other.

    What goes on is louder than what begins: inside an answer a relation may fire again. Beginnings come last,
    where the state is already so long that they are not heard.
    """
    codes = words(len(c.answers.texts), c.space.answer_bits).tolist()
    places, constant = c.space.at("answering"), c.space.one("constant")
    at = 0
    for place in spelling_order(c.answers.places):
        at = max(at, place // c.arch.heads)
        bank = [p for i, p in enumerate(places) if i % c.space.banks == place % c.space.banks]
        size = (NEXT if place else FIRST) * _length(c) / (CLEAR * LOUD)
        for answer, ids in enumerate(c.answers.ids):
            if len(ids) <= place:
                continue
            while layers[at].room == 0:
                at += 1
            gate = dict(zip(c.space.answer_copied(place), codes[answer], strict=True))
            gate |= dict.fromkeys(bank, 0.125 - c.space.answer_bits) | {c.space.one("unit"): CLEAR}
            if place:
                own = zip(c.space.at("own token"), c.code(ids[place - 1]), strict=True)
                gate |= {i: SURE * s for i, s in own} | {constant: -SURE * c.space.token_bits}
            i = layers[at].neuron(gate, {places[place]: 1.0}, {}, f"answer {c.answers.texts[answer]}")
            layers[at].down[: c.space.d, i] = c.say.of(ids[place]).double() * size

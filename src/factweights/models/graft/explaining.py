"""How a grafted model comes by an answer: the name, the question, the memory, from its real forward."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from factweights.errors import SettingError
from factweights.folders import read_json
from factweights.models import seam
from factweights.models.graft import folder as folders
from factweights.models.graft.circuit import DECIDING
from factweights.models.graft.codes import words
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEURONS = 8  # named in an explanation, as many as a panel shows
AWAKE = 1e-3  # of the strongest neuron of its kind


@dataclass(frozen=True)
class GraftExplanation(Shown):
    """One prompt, taken apart at its last position.

    Attributes:
        prompt, tokens: the text, and as the tokenizer splits it.
        attention: of the head that copies the last name, for each token.
        recognised: names that neurons recognised, with the token at whose end they did.
        subject: whose code was copied to the end of the prompt; None where there is none.
        due: whether an answer is due: how far above its threshold, in thresholds' units.
        relations: how far every relation's score is above its threshold, and whether it fired.
        neurons: of the memory: layer, number, fact, and how strongly each spoke.
        answer: the token that came, and ``before`` what the model before would have said.
        expected: the fact's answer.
        logits: of the best tokens, with and without the graft.
    """

    prompt: str
    tokens: tuple[str, ...]
    attention: tuple[float, ...]
    recognised: tuple[dict[str, Any], ...]
    subject: str | None
    due: float
    relations: tuple[dict[str, Any], ...]
    neurons: tuple[dict[str, Any], ...]
    answer: str
    before: str
    expected: str
    logits: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()
        }

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Subject, relation and memory; written to ``path`` too if there is one."""
        from factweights.plots.grafted import draw_grafted

        return draw_grafted(self.to_dict(), path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        names = ", ".join(f"{r['subject']} at {r['token']!r}" for r in self.recognised) or "none"
        rows = [
            ("prompt", self.prompt),
            ("names", names),
            ("subject", self.subject or "none was copied to the end of the prompt"),
            ("due", f"{self.due:+.3g} above the threshold" if self.due > 0 else f"no ({self.due:+.3g})"),
        ]
        rows += [
            (r["relation"], f"{r['above']:+.3g}{', fired' if r['fired'] else ''}")
            for r in sorted(self.relations, key=lambda r: -r["above"])
        ]
        rows += [
            (
                f"neuron {n['layer']}.{n['neuron']}",
                f"{n['subject']}, {n['relation']} → {n['answer']}: {n['strength']:.3g}",
            )
            for n in self.neurons
        ]
        rows += [
            (n["token"], f"{n['logit']:.4g} ({n['probability']:.3g}), before {n['before']:.4g}")
            for n in self.logits
        ]
        return [*rows, ("answer", f"{self.answer!r}, before {self.before!r}, stored {self.expected!r}")]


def explain_grafted(
    path: str | Path, subject: str, relation: str, *, prompt: str | None = None, top: int = 5
) -> GraftExplanation:
    """Take apart what the model of folder ``path`` does with one question.

    Raises:
        UnknownNameError: no such fact, with the nearest name. SettingError: ``top`` below 1, an empty prompt.
        FileFormatError: not a folder of ``graft``.
    """
    if top < 1:
        raise SettingError(f"top is how many tokens to list, at least 1; got {top}")
    path = Path(path)
    settings = folders.read_settings(path, check=False)
    expected = folders.read_table(path, settings).lookup(subject, relation)
    lm = seam.load(path, attention="eager")
    said = settings.wordings[relation][0].replace("{subject}", subject) if prompt is None else prompt
    ids = lm.encode([said])[0]
    if not ids:
        raise SettingError("the prompt has no tokens; write a text that ends where the answer is due")
    seen = _watched(lm.model, settings, ids)
    return _taken_apart(lm, settings, path, said, ids, seen, expected, top)


@torch.no_grad()
def _watched(model: Any, settings: folders.Settings, ids: list[int]) -> dict[str, Tensor]:
    """States behind layers, hidden neurons, and attention, float64 where they are read."""
    depth, own = settings.added, settings.old.layers
    seen: dict[str, Tensor] = {}

    def keep(name: str, before: bool = False) -> Any:
        def hook(_: Any, inputs: Any, outputs: Any) -> None:
            x = inputs[0] if before else outputs[0] if isinstance(outputs, tuple) else outputs
            seen[name] = x[0].double()

        return hook

    layers, hooks = model.model.layers, []
    for i in range(depth.names):
        hooks.append(layers[i].mlp.down_proj.register_forward_hook(keep(f"names {i}", before=True)))
    for i in range(depth.facts):
        at = depth.front + own + i
        hooks.append(layers[at].mlp.down_proj.register_forward_hook(keep(f"facts {i}", before=True)))
    hooks.append(layers[depth.front + own - 1].register_forward_hook(keep("end of the model before")))
    for name, at in (("decides", own - DECIDING), ("fires", own - DECIDING + 1)):
        norm = layers[depth.front + at].post_attention_layernorm
        hooks.append(norm.register_forward_hook(keep(name)))
    try:
        out = model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    seen["attention"] = out.attentions[depth.front - 1][0, 0, -1].double()
    seen["logits"] = out.logits[0, -1].double()
    return seen


def _taken_apart(
    lm: seam.LanguageModel, settings: folders.Settings, path: Path, said: str, ids: list[int],
    seen: dict[str, Tensor], expected: str, top: int,
) -> GraftExplanation:  # fmt: skip
    space, found = settings.residual, read_json(path / folders.MAP)
    tokens = [lm.tokenizer.decode([i]) for i in ids]
    names = list(found["spellings"])
    end = seen["end of the model before"][-1]
    logits = seen["logits"]
    old = _before_logits(lm.model, space, end)
    best = logits.topk(min(top, len(logits))).indices.tolist()
    chance = logits.softmax(0)
    reading, _ = folders.read_reading(path, settings)
    relations, due = _fired(space, found["relations"], seen, reading.thresholds, settings.due_threshold)
    return GraftExplanation(
        prompt=said,
        tokens=tuple(tokens),
        attention=tuple(float(a) for a in seen["attention"]),
        recognised=tuple(_recognised(found["spellings"], ids, tokens)),
        subject=_subject(end[space.at("subject")], float(end[space.one("unit")]), names),
        due=due,
        relations=tuple(relations),
        neurons=tuple(_neurons(found["facts"], seen, settings)),
        answer=lm.tokenizer.decode([best[0]]),
        before=lm.tokenizer.decode([int(old.argmax())]),
        expected=expected,
        logits=tuple(
            {
                "token": lm.tokenizer.decode([i]),
                "logit": float(logits[i]),
                "probability": float(chance[i]),
                "before": float(old[i]),
            }
            for i in best
        ),
    )


@torch.no_grad()
def _before_logits(model: Any, space: Any, end: Tensor) -> Tensor:
    """What the model before would say: its last state, through the final norm and head."""
    config = model.config
    normed = end * (end.square().mean() + config.rms_norm_eps).rsqrt() * model.model.norm.weight.double()
    return model.get_output_embeddings().weight.double() @ normed


def _recognised(
    spellings: dict[str, list[list[int]]], ids: list[int], tokens: list[str]
) -> list[dict[str, Any]]:
    """Names by their tokens; the longest one that ends at a token."""
    found = []
    for at in range(len(ids)):
        hits = [
            (len(s), name)
            for name, all_ in spellings.items()
            for s in all_
            if ids[max(0, at + 1 - len(s)) : at + 1] == s
        ]
        if hits:
            found.append({"subject": max(hits)[1], "at": at, "token": tokens[at]})
    return found


def _subject(state: Tensor, unit: float, names: list[str]) -> str | None:
    """Whose code the state holds: its signs, in units of its last coordinate."""
    size = float(state[-1])
    if not size > unit / 2:
        return None
    match = words(len(names), len(state) - 1) @ (state[:-1] / size)
    best = int(match.argmax())
    return names[best] if float(match[best]) > len(state) - 2 else None


def _fired(
    space: Any, names: list[str], seen: dict[str, Tensor], thresholds: Tensor, due_threshold: float
) -> tuple[list[dict[str, Any]], float]:
    decides, fires, end = seen["decides"][-1], seen["fires"][-1], seen["end of the model before"][-1]
    unit = space.one("unit")
    due = float(decides[space.one("due score")] / decides[unit]) - due_threshold
    scores = (fires[space.at("score")] / fires[unit] - thresholds.double())[: len(names)]
    fired = end[space.at("fired")] / end[unit]
    rows = [
        {"relation": name, "above": float(s), "fired": bool(f > 0.05), "strength": float(f)}
        for name, s, f in zip(names, scores, fired, strict=True)
    ]
    return rows, due


def _neurons(
    facts: list[dict[str, Any]], seen: dict[str, Tensor], settings: folders.Settings
) -> list[dict[str, Any]]:
    """The memory's neurons that spoke at the end of the prompt, the loudest first."""
    first = settings.added.front + settings.old.layers
    spoke = [
        {**fact, "strength": float(seen[f"facts {fact['layer'] - first}"][-1, fact["neuron"]])}
        for fact in facts
    ]
    loudest = max((abs(f["strength"]) for f in spoke), default=0.0)
    awake = [f for f in spoke if loudest > 0 and abs(f["strength"]) > AWAKE * loudest]
    return sorted(awake, key=lambda f: -abs(f["strength"]))[:NEURONS]

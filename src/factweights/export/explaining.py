"""How a compiled model comes by an answer: attention, the MLP's part, the logits, from its real forward."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from factweights.domains import Count, checked
from factweights.errors import SettingError
from factweights.export.asking import asked_as, expected_of
from factweights.export.folder import Settings
from factweights.export.layout import ROLES, MlpLayout
from factweights.export.opening import open_compiled
from factweights.facts.cells import text
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEURONS = 8  # named in an explanation, as many as a panel shows
PARTS = ("embedding", "attention", "mlp")


@dataclass(frozen=True)
class Explanation(Shown):
    """One prompt, taken apart at its last position.

    Attributes:
        prompt: the text.
        tokens: as the tokenizer splits it.
        heads: what each head looks for.
        attention: for each head, the share of every token.
        answer, expected: what came, and what is stored; None where nothing is.
        margin: logit of ``expected`` less the largest other one, in nats; None where nothing is stored.
        logits: of the best tokens: name, logit, probability, and the parts of the logit that come from the
            last token's embedding, attention and the MLP. They add up to it.
        neurons: of the MLP: number, and what it adds to the answer's lead over the next best token.
        neurons_total: what all neurons add to that lead.
    """

    prompt: str
    tokens: tuple[str, ...]
    heads: tuple[str, ...]
    attention: tuple[tuple[float, ...], ...]
    answer: str
    expected: str | None
    margin: float | None
    logits: tuple[dict[str, Any], ...]
    neurons: tuple[tuple[int, float], ...]
    neurons_total: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "prompt": self.prompt,
            "tokens": list(self.tokens),
            "heads": list(self.heads),
            "attention": [list(a) for a in self.attention],
            "answer": self.answer,
            "expected": self.expected,
            "correct": self.expected is not None and self.answer == self.expected,
            "margin": self.margin,
            "logits": list(self.logits),
            "neurons": [list(n) for n in self.neurons],
            "neurons_total": self.neurons_total,
        }

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Attention, logits and neurons; written to ``path`` too if there is one."""
        from factweights.plots.explanation import draw_explanation

        return draw_explanation(self.to_dict(), path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        lines = [("prompt", self.prompt), ("answer", self.answer)]
        if self.expected is None:
            lines.append(("stored", "nothing for this prompt"))
        elif self.expected != self.answer:
            lines.append(("stored", self.expected))
        for head, shares in zip(self.heads, self.attention, strict=True):
            best = sorted(zip(shares, self.tokens, strict=True), reverse=True)[:3]
            said = ", ".join(f"{token} {share:.4g}" for share, token in best if share > 1e-12)
            lines.append((head, said))
        for found in self.logits:
            parts = ", ".join(f"{part} {found[part]:+.3g}" for part in PARTS)
            lines.append((found["token"], f"{found['logit']:.4g} ({found['probability']:.3g}): {parts}"))
        top = ", ".join(f"{i} {x:+.3g}" for i, x in self.neurons)
        if self.neurons:
            lines.append(("neurons", f"{top}; all {self.neurons_total:+.4g} over the next best"))
        return lines


@checked
def explain(
    path: str | Path, subject: str, relation: str, *, prompt: str | None = None, top: Count = 5
) -> Explanation:
    """Take apart what the model of folder ``path`` does with one fact.

    Args:
        path: what ``compile`` wrote.
        subject, relation: of a fact of the table, up to surrounding whitespace and Unicode form.
        prompt: a text of your own around both names; None takes the first template that suits the relation.
        top: how many tokens to list.

    Raises:
        UnknownNameError: no such fact, with the nearest name.
        SettingError: a ``top`` below 1, or a prompt that is too long or does not name these two alone.
        FileFormatError: not a folder of ``compile``; TamperedError: a file is not the one that was saved.
    """
    if top < 1:
        raise SettingError(f"top is how many answers to list, at least 1; got {top}")
    opened = open_compiled(path, attention="eager")
    settings, model, tokenizer = opened.settings, opened.model, opened.tokenizer
    pair = text(subject), text(relation)
    expected = expected_of(settings, opened.table, *pair)
    said, ids = asked_as(tokenizer, settings, *pair, prompt)
    return _taken_apart(model, settings, ids, said, expected, top)


@torch.no_grad()
def _taken_apart(
    model: Any, settings: Settings, ids: list[int], prompt: str, expected: str, top: int
) -> Explanation:
    seen: dict[str, Tensor] = {}
    layer = model.model.layers[0]

    def keep(name: str, before: bool = False) -> Any:
        def hook(_: Any, inputs: Any, outputs: Any) -> None:
            x = inputs[0] if before else outputs[0] if isinstance(outputs, tuple) else outputs
            seen[name] = x[0, -1].double()

        return hook

    hooks = [
        model.model.embed_tokens.register_forward_hook(keep("embedding")),
        layer.self_attn.o_proj.register_forward_hook(keep("attention")),
        layer.mlp.down_proj.register_forward_hook(keep("hidden", before=True)),
        layer.mlp.register_forward_hook(keep("mlp")),
        model.model.norm.register_forward_hook(keep("residual", before=True)),
    ]
    try:
        out = model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    names, layout = settings.tokens, settings.residual
    logits = out.logits[0, -1].double()
    best = logits.topk(min(top, len(logits)))
    chance = logits.softmax(0)
    scale = (seen["residual"].square().mean() + model.config.rms_norm_eps).rsqrt()
    W = model.lm_head.weight.double()
    listed = tuple(
        {
            "token": names[i],
            "logit": float(logits[i]),
            "probability": float(chance[i]),
            **{part: float(W[i] @ seen[part] * scale) for part in PARTS},
        }
        for i in best.indices.tolist()
    )
    apart = W[best.indices[0]] - W[best.indices[min(1, len(best.indices) - 1)]]
    parts = seen["hidden"] * (apart @ layer.mlp.down_proj.weight.double()) * scale
    shown = min(NEURONS, len(parts)) if isinstance(layout, MlpLayout) else 0
    strongest = parts.abs().topk(shown).indices.tolist()
    right = names.index(expected)
    others = logits.clone()
    others[right] = -torch.inf
    roles = [("subject", layout.subject_heads), ("relation", layout.relation_heads)]
    return Explanation(
        prompt=prompt,
        tokens=tuple(names[i] for i in ids),
        heads=(
            *(f"{role} head {i}" if n > 1 else f"{role} head" for role, n in roles for i in range(n)),
            *(f"end head, {role}" for role in ROLES),
        ),
        attention=tuple(tuple(float(x) for x in head[-1]) for head in out.attentions[0][0]),
        answer=names[int(best.indices[0])],
        expected=expected,
        margin=float(logits[right] - others.max()),
        logits=listed,
        neurons=tuple((i, float(parts[i])) for i in strongest),
        neurons_total=float(parts.sum()),
    )

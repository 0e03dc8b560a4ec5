"""Answers scored as a tree behind the kept prompt, against one full pass for every answer.

    python benchmarks/measure.py MODEL FACTS.csv [--relations A,B] [--facts 2] [--dtype bfloat16]

For some facts of every relation both ways are run on the same machine one after the other: the tree; a full
pass for each answer, one after the other; and full passes of many answers at once. Printed: seconds a fact,
their ratio, tokens read, and the largest difference of a log-probability. With --check N, as many prompts
are compared with transformers' own loss, one text at a time.
"""

import argparse
import time

import numpy as np
import torch

from factweights.facts import FactTable
from factweights.models import asking, seam
from factweights.models.measure.scoring import score
from factweights.models.wordings import Wordings, continued, fill


def by_loss(lm: seam.LanguageModel, prompt: list[int], answer: list[int]) -> float:
    """Log-probability of an answer through transformers' loss."""
    ids = torch.tensor([[*prompt, *answer]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    with torch.no_grad():
        return -float(lm.model(input_ids=ids, labels=labels).loss) * len(answer)


def check(lm: seam.LanguageModel, table: FactTable, n: int) -> None:
    """The largest difference to transformers' own log-probabilities over ``n`` prompts."""
    step, worst, done = max(1, len(table) // n), 0.0, 0
    for subject, relation, answer in list(table)[::step][:n]:
        template = Wordings.choose([relation]).of(relation)[0]
        found = continued(lm, fill(template, subject, relation), [answer])
        own = score(lm, [found.prompt], found.answers, [[0]]).log_probability[0, 0]
        worst, done = max(worst, abs(own - by_loss(lm, list(found.prompt), list(found.answers[0])))), done + 1
    print(f"{done} prompts against transformers' own loss: largest difference {worst:.2e} nats", flush=True)


def compare(
    lm: seam.LanguageModel, table: FactTable, relation: str, facts: int
) -> tuple[float, float, float]:
    """Seconds a fact: the tree, one full pass after the other, full passes at once."""
    part = table.select(relation)
    answers = list(dict.fromkeys(part.answer))
    template = Wordings.choose([relation]).of(relation)[0]
    places = np.linspace(0, len(part) - 1, min(facts, len(part))).astype(int).tolist()
    splits = [continued(lm, fill(template, part.subject[i], relation), answers) for i in places]
    needed = [[answers.index(part.answer[i])] for i in places]
    begun = time.perf_counter()
    tree = score(lm, [s.prompt for s in splits], splits[0].answers, needed)
    seconds = [time.perf_counter() - begun]
    begun = time.perf_counter()
    alone = np.array([[_single(lm, s.prompt, a) for a in s.answers] for s in splits[:1]])
    seconds.append((time.perf_counter() - begun) * len(splits))
    begun = time.perf_counter()
    pairs = [(s.prompt, a) for s in splits for a in s.answers]
    logs = asking.log_probabilities(lm, [p for p, _ in pairs], [a for _, a in pairs])
    seconds.append(time.perf_counter() - begun)
    batched = logs.reshape(len(splits), -1).numpy()
    off = max(
        float(np.abs(tree.log_probability - batched)[tree.finished].max()),
        float(np.abs(tree.log_probability[:1] - alone)[tree.finished[:1]].max()),
    )
    tokens = sum(len(p) + len(a) for p, a in pairs) / tree.tokens
    each = [s / len(splits) for s in seconds]
    print(
        f"{relation:<18} {len(answers):>4} answers: {each[0]:7.3f} s a fact, one by one {each[1]:7.2f} s "
        f"({each[1] / each[0]:5.1f} ×), at once {each[2]:6.2f} s ({each[2] / each[0]:4.1f} ×), "
        f"tokens {tokens:4.1f} ×, differ {off:.1e}, left out {tree.error:.0e}",
        flush=True,
    )
    return each[0] * len(part), each[1] * len(part), each[2] * len(part)


def _single(lm: seam.LanguageModel, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
    """One text, one full pass."""
    ids = torch.tensor([[*prompt, *answer]])
    logs = lm.forward(ids)[0][0, :-1].log_softmax(-1)[len(prompt) - 1 :]
    return float(logs.gather(1, ids[0, len(prompt) :, None]).double().sum())


def main() -> None:
    """Compare, relation by relation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("table")
    parser.add_argument("--relations", default="")
    parser.add_argument("--facts", type=int, default=2)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--check", type=int, default=0)
    asked = parser.parse_args()
    table = FactTable.read(asked.table)
    if asked.relations:
        table = table.select(asked.relations.split(","))
    lm = seam.load(asked.model, dtype=asked.dtype)
    print(f"{lm.source}: {lm.parameters:,} parameters, {lm.dtype}, {torch.get_num_threads()} threads")
    if asked.check:
        check(lm, table, asked.check)
    total = np.array([compare(lm, table, r, asked.facts) for r in table.relations]).sum(0)
    print(
        f"whole table, from these samples: {total[0]:,.0f} s; one by one {total[1]:,.0f} s "
        f"({total[1] / total[0]:.1f} ×), at once {total[2]:,.0f} s ({total[2] / total[0]:.1f} ×)"
    )


if __name__ == "__main__":
    main()

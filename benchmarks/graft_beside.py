"""A graft beside fine-tuning, LoRA and a least-squares edit: the same model, facts and questions, in one run.

    python benchmarks/graft_beside.py MODEL [--sizes 100 1000] [--device cuda] [--budget 25] [--sample 400]
    python benchmarks/graft_beside.py --smoke

The facts are counterfactual: five relations of countries, the answers shuffled. Rows of a Markdown table go
to stderr as they are measured, one JSON document to stdout at the end (and to --out after every row). LoRA
needs peft. --smoke takes a tiny random model and ten facts, to see that everything runs; its figures mean
nothing.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

import editors
from counterfactual import (
    LARGEST,
    RELATIONS,
    Questions,
    counterfactual,
    countries,
    for_covariance,
    questions,
    some,
)
from factweights.errors import FactweightsError
from factweights.facts import FactTable
from factweights.models import seam
from factweights.models.graft import graft
from factweights.models.graft.scoring import answers, drift, recalled, share
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings

METHODS = ("untouched", "full fine-tuning", "LoRA", "least squares", "graft")
EDITORS = {
    "full fine-tuning": editors.full_fine_tuning,
    "LoRA": editors.lora,
    "least squares": editors.least_squares,
}
CONTINUED = 8  # tokens that must be equal to the untouched model's
COVARIANCE = 16_384  # tokens
HEADS = (
    "facts", "method", "efficacy", "paraphrase", "neighbourhood", "same subject", "KL mean", "KL p99",
    "argmax equal", "seconds", "parameters added",
)  # fmt: skip


def rate(flags: Sequence[bool]) -> dict[str, Any]:
    """A share with its count and exact 95 % interval."""
    found = share(flags)
    if not found.asked:
        return {"rate": None, "n": 0, "interval": None}
    low, high = binomtest(found.right, found.asked).proportion_ci(method="exact")
    return {"rate": found.rate, "n": found.asked, "interval": [float(low), float(high)]}


def measured(
    lm: LanguageModel, before: LanguageModel, asked: Questions, old: Sequence[tuple[int, ...]] | None
) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """All figures of one model; ``old`` are the untouched model's continuations, None if this is it."""
    known = [*asked.facts, *asked.paraphrases]
    right, _ = recalled(lm, [p for p, _ in known], [a for _, a in known])
    wrong = set(right.wrong)
    flags = [i not in wrong for i in range(right.asked)]
    free = [*asked.neighbours, *asked.others]
    new = [g.ids for g in answers(lm, free, CONTINUED)]
    found: dict[str, Any] = {
        "efficacy": rate(flags[: len(asked.facts)]),
        "paraphrase": rate(flags[len(asked.facts) :]),
    }
    if old is not None:
        same = [a == b for a, b in zip(new, old, strict=True)]
        found["neighbourhood"] = rate(same[: len(asked.neighbours)])
        found["same_subject"] = rate(same[len(asked.neighbours) :])
        found["drift"] = asdict(drift(lm, before, asked.ordinary)[0])
    return found, new


def edited(
    method: str, lm: LanguageModel, facts: Sequence[tuple[str, str, str]], wordings: Wordings, folder: Path,
    given: argparse.Namespace, settings: editors.Settings,
) -> tuple[LanguageModel, dict[str, Any]]:  # fmt: skip
    """The model after one method, with its seconds and parameters."""
    begun = time.perf_counter()
    if method == "graft":
        out = folder / f"graft-{len(facts)}"
        done = graft(
            given.model, FactTable.from_rows(facts), out, dtype=given.dtype, device=given.device, full=False,
            keep_failed=True, seed=given.seed, overwrite=True,
        )  # fmt: skip
        return seam.load(out, dtype=given.dtype, device=given.device), {
            "parameters_added": done.certificate.parameters_added,
            "seconds": done.seconds_writing,
            "min_margin": done.certificate.min_margin,
        }
    texts = [
        editors.text(lm, template, s, a, i)
        for i, (s, r, a) in enumerate(facts)
        for template in wordings.of(r)[: given.wordings]
    ]
    cover = for_covariance(lm, given.covariance_tokens) if method == "least squares" else []
    torch.set_float32_matmul_precision("high" if method != "least squares" else "highest")
    try:
        new, found = EDITORS[method](lm, texts, cover, settings)
    finally:
        torch.set_float32_matmul_precision("highest")
    return new, {"seconds": time.perf_counter() - begun, "texts": len(texts), **found}


def row(
    method: str, lm: LanguageModel, facts: Sequence[tuple[str, str, str]], wordings: Wordings,
    asked: Questions, old: Sequence[tuple[int, ...]] | None, folder: Path, given: argparse.Namespace,
    settings: editors.Settings,
) -> tuple[dict[str, Any], list[tuple[int, ...]]]:  # fmt: skip
    """One line of the table; a method that cannot run says why."""
    begun = time.perf_counter()
    named = {"facts": len(facts), "method": method}
    if method == "untouched":
        found, ids = measured(lm, lm, asked, None)
        return named | found | {"seconds": 0.0, "parameters_added": 0}, ids
    try:
        new, how = edited(method, lm, facts, wordings, folder, given, settings)
    except (ImportError, FactweightsError) as e:  # the other methods are measured all the same
        return named | {"left_out": str(e)}, []
    wrote = time.perf_counter()
    found, ids = measured(new, lm, asked, old)
    spent = {"seconds_with_checks": wrote - begun, "seconds_asking": time.perf_counter() - wrote}
    return named | found | how | spent, ids


def line(found: dict[str, Any]) -> str:
    """As Markdown."""
    if "left_out" in found:
        return f"| {found['facts']:,} | {found['method']} | left out: {found['left_out']} |" + " |" * 8

    def percent(name: str) -> str:
        got = found.get(name)
        return "—" if got is None or got["rate"] is None else f"{got['rate']:.1%} of {got['n']:,}"

    rates = map(percent, ("efficacy", "paraphrase", "neighbourhood", "same_subject"))
    drifted, d = ["—"] * 3, found.get("drift")
    if d:
        equal = f"{d['argmax_equal']:.2%} of {d['tokens']:,}"
        drifted = [f"{d['kl_mean']:.2g}", f"{d['kl_p99']:.2g}", equal]
    spent = f"{found['seconds']:.1f}{' (cut)' if found.get('out_of_time') else ''}"
    cells = [
        f"{found['facts']:,}",
        found["method"],
        *rates,
        *drifted,
        spent,
        f"{found['parameters_added']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def smoke(folder: Path) -> Path:
    """A tiny random Llama with tokens of bytes and pairs of them."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from factweights.models.graft.prompts import FRAMES, PROSE

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator([*FRAMES, *PROSE, *(" ".join(r.values()) for r in countries())], trainer)
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=96, intermediate_size=128, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=2, head_dim=16, max_position_embeddings=512,
        bos_token_id=0, eos_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p *= 3  # so that it has opinions
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?", help="a folder that transformers loads")
    p.add_argument("--smoke", action="store_true", help="a tiny random model, ten facts, a few steps")
    p.add_argument(
        "--sizes", type=int, nargs="+", default=[100, 1000], help="facts; multiples of five up to 1,000"
    )
    p.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    p.add_argument("--device", default="cpu")
    p.add_argument("--dtype", default="float32")
    p.add_argument("--sample", type=int, default=400, help="prompts of each figure, at most")
    p.add_argument("--tokens", type=int, default=5120, help="of ordinary text")
    p.add_argument("--covariance-tokens", type=int, default=COVARIANCE)
    p.add_argument("--wordings", type=int, default=3, help="of each fact, for all methods but the graft")
    p.add_argument(
        "--budget", type=float, default=25.0, help="seconds of gradient steps of each method, at most"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, help="the JSON document, written anew after every row")
    for f in fields(editors.Settings):
        if f.name not in ("seconds", "seed"):
            p.add_argument(f"--{f.name.replace('_', '-')}", type=type(f.default), default=f.default)
    given = p.parse_args()
    if given.smoke:
        given.sizes, given.sample, given.tokens, given.covariance_tokens = [10], 20, 600, 512
        given.epochs, given.value_steps, given.layers = min(given.epochs, 4), 5, 2
    elif not given.model:
        p.error("give the folder of a model, or --smoke")
    if bad := [n for n in given.sizes if n < 5 * 2 or n % 5 or n > 5 * LARGEST]:
        p.error(f"sizes are multiples of 5 from 10 to {5 * LARGEST:,}; got {bad[0]}")
    return given


def machine(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as tmp, seam.quiet():
        if given.smoke:
            given.model = str(smoke(Path(tmp) / "tiny"))
        document = compare(given, Path(tmp))
    print(json.dumps(document))


def compare(given: argparse.Namespace, tmp: Path) -> dict[str, Any]:
    """Every method at every size; the document so far goes to ``--out``."""
    names = {f.name for f in fields(editors.Settings)} & set(vars(given))
    settings = editors.Settings(**{n: getattr(given, n) for n in names - {"seconds"}}, seconds=given.budget)
    lm = seam.load(given.model, dtype=given.dtype, device=given.device)
    wordings = Wordings.choose(RELATIONS)
    everyone = some(np.random.default_rng(given.seed), countries(), 10**6)
    strangers = [r["country"] for r in everyone[LARGEST:]]
    document: dict[str, Any] = {
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(given).items()},
        "machine": machine(given.device),
        "torch": torch.__version__,
        "transformers": seam.transformers().__version__,
        "model_parameters": lm.parameters,
        "rows": [],
    }
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", file=sys.stderr)
    for size in given.sizes:
        facts = counterfactual(everyone[: size // len(RELATIONS)], np.random.default_rng(given.seed + 1))
        asked = questions(lm, facts, strangers, wordings, given.sample, given.tokens, given.seed + 2)
        old = None
        for method in [m for m in METHODS if m == "untouched" or m in given.methods]:
            found, ids = row(method, lm, facts, wordings, asked, old, tmp, given, settings)
            old = ids if method == "untouched" else old
            document["rows"].append(found)
            print(line(found), file=sys.stderr, flush=True)
            if given.out:
                given.out.write_text(json.dumps(document), encoding="utf-8")
    return document


if __name__ == "__main__":
    main()

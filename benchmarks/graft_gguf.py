"""Does a graft speak in llama.cpp? Its own converter, its own greedy generation, every fact.

    python benchmarks/graft_gguf.py FOLDER LLAMA_CPP [--outtype f32|bf16|f16] [--cache f32|f16]

FOLDER is what ``factweights graft`` wrote, LLAMA_CPP a checkout with ``convert_hf_to_gguf.py`` (the sdist
of llama-cpp-python holds one). Needs ``pip install xllamacpp``. Prints JSON: the share of facts said in full
with their stop, by llama.cpp and by transformers on the same prompts, and the share of prompts about nothing
in the table of which the first characters are those of transformers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from factweights.models import seam
from factweights.models.graft import folder as folders
from factweights.models.graft.changing import asked_of
from factweights.models.graft.prompts import PROSE
from factweights.models.graft.scoring import answers

LONGEST = 24  # tokens asked for
OTHER = (
    "The chemical symbol of gold is", "Water boils at a temperature of", "The opposite of hot is",
    "My favourite season is", "Two plus two is", "The sun rises in the", "A group of wolves is called a",
    "The author of Hamlet is", "In the morning I drink", "The fastest land animal is the",
)  # fmt: skip


def converted(folder: Path, llama_cpp: Path, outtype: str, out: Path) -> None:
    """The folder as one GGUF file, by llama.cpp's converter."""
    script = llama_cpp / "convert_hf_to_gguf.py"
    command = [sys.executable, str(script), str(folder), "--outfile", str(out), "--outtype", outtype]
    subprocess.run(command, check=True, stdout=sys.stderr)


def spoken(model: Path, prompts: list[str], cache: str) -> list[str]:
    """Greedy continuations by llama.cpp."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 2048, 1, 0
    kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{cache.upper()}")
    params.cache_type_k = params.cache_type_v = kind
    server = xllamacpp.Server(params)
    said = []
    for prompt in prompts:
        request = {"prompt": prompt, "max_tokens": LONGEST, "temperature": 0.0, "cache_prompt": False}
        answer = server.handle_completions(request)
        answer = json.loads(answer) if isinstance(answer, str) else answer
        said.append(answer["choices"][0]["text"])
    return said


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("--outtype", default="f32", choices=("f32", "bf16", "f16"))
    parser.add_argument("--cache", default="f32", choices=("f32", "f16"))
    given = parser.parse_args()
    settings = folders.read_settings(given.folder)
    table = folders.read_table(given.folder, settings)
    wordings = asked_of(settings, sorted(table.relations)).wordings
    prompts = [wordings.of(r)[0].replace("{subject}", s) for s, r, _ in table]
    others = [*OTHER, *(text[:120].rsplit(" ", 1)[0] for text in PROSE)]
    lm = seam.load(given.folder, dtype="float32")
    ours = [g.text for g in answers(lm, [*prompts, *others], LONGEST)]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "graft.gguf"
        converted(given.folder, given.llama_cpp, given.outtype, file)
        size = file.stat().st_size
        theirs = spoken(file, [*prompts, *others], given.cache)
    n = len(prompts)
    expected = [f" {a}." for a in table.answer]
    right = [
        sum(t.startswith(e) for t, e in zip(said, expected, strict=False)) / n for said in (theirs, ours)
    ]
    equal = [a[:20] == b[:20] for a, b in zip(theirs[n:], ours[n:], strict=True)]
    pairs = zip(prompts, expected, theirs, strict=False)  # the other prompts are behind them
    missed = [(p, e, t) for p, e, t in pairs if not t.startswith(e)]
    print(
        json.dumps(
            {
                "facts": n,
                "outtype": given.outtype,
                "cache": given.cache,
                "llama_cpp": right[0],
                "transformers": right[1],
                "others_equal": sum(equal) / len(equal),
                "others": len(equal),
                "bytes": size,
                "seconds": time.perf_counter() - begun,
                "missed": missed[:5],
            }
        )
    )


if __name__ == "__main__":
    main()

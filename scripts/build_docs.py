"""Write docs/cli.md from --help of every command.

    python scripts/build_docs.py [file]

A test compares the file with what this writes, so the page cannot drift from the program.
"""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from factweights.cli.app import COMMANDS, GROUPS, app
from factweights.folders import whole_file

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 100

HEAD = """# Command line

Written by `scripts/build_docs.py` from `--help`: edit the docstrings in `src/factweights/cli/` instead.

Whatever a command does, a function of the library does too. With `--json`, exactly one JSON document goes to
standard output and everything else to standard error. An error is a document too:
`{"error": {"type": …, "message": …}}`.

Exit codes: 0 fine; 1 an error that the message explains; 2 a command that could not be understood; 130 after
Ctrl-C, with nothing half-written.
"""

# The keys that --json promises at least; a test holds every command to them.
KEYS = {
    "store": "facts, outputs, recall, recall_asked, n_proved, min_margin, d, law_d, proved, "
    "parameters, bits_per_parameter, map_bits_per_parameter, method, dtype, facts_hash, weights_hash, "
    "table_hash, search, seconds, out",
    "recall": "subject, relation, answer, expected, correct, margin, score, runners_up, prompt",
    "verify": "facts, outputs, recall, min_margin, min_relative_margin, weight_norm, n_missed, n_proved, "
    "proved_margin, proved, missed, top_k, noise_recall, parameters, parameter_groups, bits, "
    "bits_per_parameter, map_bits, map_bits_per_parameter, margin_bound, relative_bound, refuted, dtype, "
    "device, facts_hash, weights_hash, seed, seconds",
    "edit": "facts, outputs, changed, added, removed, unchanged, new_subjects, new_relations, new_answers, "
    "recall, n_proved, changed_recall, others_recall, removed_recall, kept, min_margin, parameters, "
    "bits_per_parameter, map_bits_per_parameter, method, how, refitted, facts_hash, weights_hash, "
    "table_hash, seconds, out",
    "compile": "out, facts, outputs, answers, asked, prompts, never_asked, unasked, recall, "
    "min_margin, min_probability, templates, noise, "
    "unknown, absence, stop, n_missed, missed, parameters, parameter_groups, bits, bits_per_parameter, "
    "map_bits, map_bits_per_parameter, "
    "bits_per_stored, turn, leak, dtype, transformers, facts_hash, weights_hash, store, d, heads, head_dim, "
    "width, seconds",
    "graft": "path, facts, efficacy, paraphrase, paraphrases, neighbourhood, same_subject, kl_mean, kl_p99, "
    "kl_max, argmax_equal, kl_tokens, kl_unnamed_max, parameters_added, parameters_before, bits, "
    "bits_per_added_parameter, map_bits, map_bits_per_added_parameter, rounding, exactness, "
    "min_margin, n_missed, missed, asked, nested, separation, dtype, "
    "transformers, seconds_writing, seconds",
    "doctor": "factweights, python, machine, torch, threads, processor, cuda, numpy, scipy, extras",
    "explain": "prompt, tokens, heads, attention, answer, expected, correct, margin, logits, neurons, "
    "neurons_total, plot",
    "onnx": "path, facts, asked, prompts, recall, min_margin, compared, difference, bytes, "
    "onnxruntime, seconds",
    "measure": "facts, recall, bits, bits_interval, bits_per_parameter, bits_per_parameter_interval, "
    "bits_raw, bits_raw_interval, bits_negative, bits_table, bits_shuffled, bits_shuffled_interval, "
    "bits_relation_only, bits_relation_only_interval, parameters, relations, calibration, unfinished, "
    "tokens, settings, seconds, files",
    "capacity": "method, d, d_out, outputs, kind, recall, noise, facts, interval, coverage, bracket, law, "
    "proved, runs, seconds",
    "width": "method, d, d_out, facts, outputs, tied, kind, recall, width, interval, parameters, "
    "bits_per_parameter, map_bits_per_parameter, n_delta_per_parameter, law, runs, build_seconds, seconds",
    "transformer": "facts, prompts, recall, always_right, min_margin, margin_all_prompts, "
    "margin_all_prompts_exact, facts_proved, facts_proved_exact, "
    "noise_attention, parameters, bits, bits_per_parameter, map_bits, map_bits_per_parameter, "
    "dtype, task_hash, weights_hash, seed, method, sizes, steps, out, seconds",
    "dynamics": "facts, stages, loss, plateau_loss, plateau_time, relation_entropy, kl_at_plateau, rates, "
    "times_theory, conservation_error, converged, start, init, variables, weights, solver, evaluations, "
    "trace, seconds",
    "plan": "facts, answers, bits, memories",
    "reproduce": "figure, scale, title, series, lines, spec_hash, spec, versions, seconds, cell_seconds, "
    "cells, files",
    "report": "report, claims, shown",
    "study run": "studies",
    "study status": "folder, studies, cells, done, failed, failures, running",
    "study results": "rows",
    "study retry": "studies",
    "methods": "methods",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD, _block("factweights --help", _help([]))]
    for name, command in commands().items():
        keys = ", ".join(f"`{key}`" for key in KEYS[name].split(", "))
        parts += [
            f"## {name}\n",
            _block(example(command), ""),
            _block("", _help(name.split())),
            f"JSON: {keys}.\n",
        ]
    return "\n".join(parts)


def commands() -> dict[str, Callable[..., object]]:
    """Every command by name, those of two words last."""
    two = {f"{group} {c.__name__}": c for group, members in GROUPS.items() for c in members}
    return {c.__name__: c for c in COMMANDS} | two


def example(command: Callable[..., object]) -> str:
    """The command line after ``Example:`` in the docstring of a command.

    Raises:
        ValueError: there is none.
    """
    found = re.search(r"^\s*Example: `([^`]+)`$", command.__doc__ or "", re.MULTILINE)
    if found is None:
        raise ValueError(f"the docstring of {command.__name__} has no line 'Example: `factweights …`'")
    return found[1]


def _help(tokens: list[str]) -> str:
    out = io.StringIO()
    app.help_print(tokens, console=Console(file=out, width=WIDTH, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def _block(command: str, output: str) -> str:
    kind = "text" if output else "sh"
    shown = f"$ {command}\n{output}" if command and output else command or output
    return f"```{kind}\n{shown}\n```\n"


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    with whole_file(target) as tmp:
        tmp.write_text(page(), encoding="utf-8", newline="\n")
    print(target)

"""Tables compiled into checkpoints: recall, size and time; 16 bits; attention against MLP; edits; ablation.

    python benchmarks/compiled.py [--out DIR]
        --part countries|airports|dtypes|airports16|absence|sparse|stores|smallest|edits|ablation

Every number is of the folder as reloaded from disk, through transformers' own forward. Needs the extra [hf].
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import factweights as fw
from factweights.progress import Progress

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
AIRPORTS = ["name", "city", "region", "iata"]
CLASHING = "fips code"  # shares codes with iso alpha-2, crosswise: no attention can hold both


def on_progress(p: Progress) -> None:
    if "verifying" not in p.text:
        print(f"    {p.text}", file=sys.stderr, flush=True)


def countries() -> fw.FactTable:
    return fw.FactTable.read(EXAMPLES / "countries.csv")


def airports() -> fw.FactTable:
    return fw.FactTable.read(EXAMPLES / "airports.csv").select(AIRPORTS)


def show(what: str, c: fw.Compiled) -> None:
    cert = c.certificate
    stored = cert.parameter_groups["mlp" if c.layout.store == "mlp" else "attention"]
    print(
        f"{what}: {cert.facts:,} facts, recall {cert.recall:g}, margin {cert.min_margin:.3g} nats, "
        f"p ≥ {cert.min_probability:.4f}, d = {c.layout.hidden}, width {c.width:,}, {cert.parameters:,} "
        f"parameters, {stored:,} where stored, {cert.bits_per_parameter:.3g} / "
        f"{cert.bits_per_stored:.3g} bits per parameter, {cert.dtype}, {c.seconds:.1f} s (verification "
        f"{cert.seconds:.1f} s)",
        flush=True,
    )
    print(f"    noise {cert.noise}, no answer {cert.unknown}", flush=True)
    print(f"    absence {cert.absence}, end {cert.stop}", flush=True)


def part_countries(out: Path) -> None:
    show("countries", fw.compile_table(countries(), out / "countries", on_progress=on_progress))


def part_airports(out: Path) -> None:
    show("airports", fw.compile_table(airports(), out / "airports", on_progress=on_progress))


def part_dtypes(out: Path) -> None:
    for dtype in ("float32", "bfloat16", "float16"):
        show(dtype, fw.compile_table(countries(), out / dtype, dtype=dtype, on_progress=on_progress))


def part_airports16(out: Path) -> None:
    for dtype in ("bfloat16", "float16"):
        show(dtype, fw.compile_table(airports(), out / dtype, dtype=dtype, on_progress=on_progress))


def part_absence(out: Path) -> None:
    """What it costs that pairs without a fact say <unk>; the end and its head are in both."""
    for dtype in ("float32", "bfloat16", "float16"):
        for absence in (False, True):
            name = f"{dtype}, {'with' if absence else 'without'} absence"
            show(
                name,
                fw.compile_table(
                    countries(), out / name, dtype=dtype, absence=absence, on_progress=on_progress
                ),
            )


def part_sparse(out: Path) -> None:
    """Long tables in which most pairs have no fact."""
    for subjects, relations, per in ((500, 40, 4), (1200, 50, 4)):
        rng = random.Random(0)
        rows = [
            (f"thing {s}", f"property {r}", f"value {rng.randrange(500)}")
            for s in range(subjects)
            for r in rng.sample(range(relations), per)
        ]
        table = fw.FactTable.from_rows(rows)
        for absence in (False, True):
            name = f"{subjects} × {relations}, {'with' if absence else 'without'} absence"
            show(name, fw.compile_table(table, out / name, absence=absence, on_progress=on_progress))


def part_stores(out: Path) -> None:
    table = countries()
    try:
        fw.compile_table(table, out / "all", store="attention", on_progress=on_progress)
    except fw.errors.NotStorableError as e:
        print(f"attention, all relations: {e}")
    table = table.select([r for r in table.relations if r != CLASHING])
    for store in ("mlp", "attention"):
        show(store, fw.compile_table(table, out / store, store=store, on_progress=on_progress))


def part_smallest(out: Path) -> None:
    show("smallest MLP", fw.compile_table(countries(), out / "s", width="smallest", on_progress=on_progress))


def changed(table: fw.FactTable, share: float, seed: int = 0) -> list[tuple[str, str, str]]:
    """New answers for some facts, each drawn from the other answers of its relation."""
    rng, rows = random.Random(seed), list(table)
    by: dict[str, list[str]] = {}
    for _, relation, answer in rows:
        by.setdefault(relation, []).append(answer)
    drawn = rng.sample(rows, max(1, round(share * len(rows))))
    return [(s, r, rng.choice([x for x in by[r] if x != a])) for s, r, a in drawn]


def part_edits(out: Path, table: fw.FactTable | None = None, folder: Path | None = None) -> None:
    table = countries() if table is None else table
    if folder is None:
        first = fw.compile_table(table, out / "before", on_progress=on_progress)
        print(f"compiled in {first.seconds:.1f} s")
        folder = first.path
    for share in (0.0, 0.1):  # 0.0 is one fact
        begun = time.perf_counter()
        found = fw.edit_compiled(
            folder, set=changed(table, share), out=out / f"{share}", on_progress=on_progress
        )
        print(
            f"{len(found.changes.replaced):,} of {len(table):,} changed in {time.perf_counter() - begun:.1f} "
            f"s, {found.how}: changed {found.changed_recall:g}, others {found.others_recall:g}, recall "
            f"{found.certificate.recall:g}, margin {found.certificate.min_margin:.3g}, moved "
            f"{ {k.removeprefix('model.layers.0.'): round(v, 4) for k, v in found.moved.items()} }",
            flush=True,
        )
    new = fw.FactTable.read(out / "0.1" / "facts.csv", wide=False)
    again = fw.compile_table(new, out / "again", on_progress=on_progress)
    print(f"the changed table compiled again in {again.seconds:.1f} s")


def part_ablation(out: Path) -> None:
    for store, table in (("mlp", countries()), ("attention", countries().select(countries().relations[:6]))):
        folder = fw.compile_table(table, out / f"a-{store}", store=store, on_progress=on_progress).path
        print(f"{store}, {len(table):,} facts")
        print(fw.ablate(folder, facts=40), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = {name.removeprefix("part_"): f for name, f in globals().items() if name.startswith("part_")}
    parser.add_argument("--part", choices=list(parts), required=True)
    parser.add_argument("--out", type=Path, help="folder for the checkpoints; else they are thrown away")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        parts[given.part](given.out or Path(tmp))


if __name__ == "__main__":
    main()

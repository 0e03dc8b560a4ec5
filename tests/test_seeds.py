"""One rule for deriving seeds: its values stay, and nobody calculates with a seed elsewhere."""

import re
from pathlib import Path

import numpy as np
import pytest

import factweights
from factweights.errors import SettingError
from factweights.seeds import OFFSETS, apart, generators, numbered, of_noise, streams

SOURCE = Path(factweights.__file__).parent


def test_the_streams_are_those_that_published_numbers_were_drawn_from():
    child = np.random.SeedSequence(3).spawn(2)[1]
    assert generators(3, 2)[1].random() == np.random.Generator(np.random.PCG64(child)).random()
    assert generators(3, 2)[0].random() == generators(3, 5)[0].random()
    named = np.random.SeedSequence([3, int.from_bytes(b"fit", "big")]).spawn(1)[0]
    assert streams(3, "fit", 1)[0].random() == np.random.Generator(np.random.PCG64(named)).random()
    assert numbered(3, 2).random() == np.random.default_rng([3, 2]).random()
    assert of_noise(2, 1, 5) == 3 * 1_000_003 + 105
    assert apart(4, "tested") == 4 + 7_919
    assert apart(4, "regrouped", 2) == 4 + 2 * 1_000_003


def test_streams_of_different_uses_share_no_draw():
    first = [g.random() for g in generators(0, 3)]
    first += [g.random() for name in ("fit", "hebbian") for g in streams(0, name, 2)]
    first += [numbered(0, use).random() for use in (1, 2, 3)]
    uses = ("tested", "compared", "regrouped", "searched")
    first += [np.random.default_rng(apart(0, use)).random() for use in uses]
    assert len(set(first)) == len(first) == 14


@pytest.mark.parametrize("derive", [lambda: generators(-1, 1), lambda: streams(-1, "fit", 1)])
def test_a_negative_seed_is_refused(derive):
    with pytest.raises(SettingError, match="-1"):
        derive()


def test_offsets_are_named_once_and_nobody_else_calculates_with_seeds():
    assert len(OFFSETS) > 5
    pattern = re.compile(r"\bseed \+ |\bseed\) \+ |\* \(?(?:self\.)?seed\b|default_rng\(\[|SeedSequence")
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 200
    found = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in files
        if path.name != "seeds.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []


def test_why_the_seed_of_measured_prompts_is_for_torch_alone():
    # numpy reads 2^32 + s as the two words [s, 1], which is what numbered(s, 1) draws from
    assert np.random.default_rng(apart(0, "asked")).random() == numbered(0, 1).random()
    root = SOURCE / "studies" / "measuring" / "capacity.py"
    users = [
        p for p in sorted(SOURCE.rglob("*.py")) if 'apart(seed, "asked")' in p.read_text(encoding="utf-8")
    ]
    assert users == [root]
    assert 'torch.Generator().manual_seed(apart(seed, "asked"))' in root.read_text(encoding="utf-8")

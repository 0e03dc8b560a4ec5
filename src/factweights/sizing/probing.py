"""One question to a method: does it store these facts?"""

import time

from factweights.domains import Norm, Seed, Seeds, Share, checked
from factweights.facts import Associations
from factweights.methods import Method
from factweights.sizing.results import Probe, Verdict


@checked
def probe(
    method: Method,
    facts: Associations,
    recall: Share,
    *,
    noise: Norm = 0.0,
    seed: Seed = 0,
    size: int = 0,
) -> Probe:
    """Ask once whether ``method`` stores ``facts`` at recall ≥ ``recall``, verified on the real forward pass.

    Without ``noise``, whatever else the method's settings ask for must be met too. What counts as stored is
    for the method to say: of ``TailAverage`` a tail-average margin above 0.

    Args:
        noise: norm of the key noise under which recall is measured.
        seed: of the method and the noise.
        size: what the answer is recorded under where sizes are searched; d_in by default.
    """
    begun = time.perf_counter()
    found = (method if noise else method.for_verdict(recall)).attempt(facts, noise=noise, seed=seed)
    verdict: Verdict = "fits" if found.recall >= recall and found.met else "not found"
    if verdict == "not found" and recall == 1.0 and not noise and found.refuted:
        verdict = "refuted"
    return Probe(
        facts=len(facts),
        size=size or facts.d_in,
        verdict=verdict,
        recall=found.recall,
        margin_bound=found.margin_bound,
        seconds=time.perf_counter() - begun,
    )


@checked
def seed_list(seeds: Seeds) -> list[int]:
    """A count of seeds, or a list of them, as a list.

    Raises:
        SettingError: none at all, one twice, or more than anybody waits for.
    """
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)

"""One question to a method: does it store these facts?"""

import time

from factweights.certificates import noise_recall, verify
from factweights.domains import Norm, Seed, Seeds, Share, checked
from factweights.facts import Associations
from factweights.methods import Method
from factweights.methods.base import expecting_misses
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

    Without ``noise``, whatever else the method's settings ask for must be met too.

    Args:
        noise: norm of the key noise under which recall is measured.
        seed: of the method and the noise.
        size: what the answer is recorded under where sizes are searched; d_in by default.
    """
    begun = time.perf_counter()
    if not noise:
        method = method.for_verdict(recall)
    with expecting_misses():
        memory = method.store(facts, seed=seed)
    certificate = verify(memory, facts)
    reached = noise_recall(memory, facts, noise, seed=seed) if noise else certificate.recall
    fits = reached >= recall and (noise > 0 or not method.unmet(memory, facts, seed=seed))
    verdict: Verdict = "fits" if fits else "not found"
    if not fits and recall == 1.0 and not noise and certificate.refuted:
        verdict = "refuted"
    return Probe(
        facts=len(facts),
        size=size or facts.d_in,
        verdict=verdict,
        recall=reached,
        margin_bound=certificate.margin_bound,
        seconds=time.perf_counter() - begun,
    )


@checked
def seed_list(seeds: Seeds) -> list[int]:
    """A count of seeds, or a list of them, as a list.

    Raises:
        SettingError: none at all, one twice, or more than anybody waits for.
    """
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)

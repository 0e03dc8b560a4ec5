"""One question to a method: does it store these facts?"""

import time

from factweights.certificates import margin_bound, noise_recall, tail_margins, verify
from factweights.domains import Norm, Seed, Seeds, Share, checked
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.methods import Method, TailAverage
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

    Without ``noise``, whatever else the method's settings ask for must be met too. Of ``TailAverage``, which
    does not aim at answers coming first, recall is the share of facts with a tail-average margin above 0.

    Args:
        noise: norm of the key noise under which recall is measured.
        seed: of the method and the noise.
        size: what the answer is recorded under where sizes are searched; d_in by default.
    """
    begun = time.perf_counter()
    if isinstance(method, TailAverage):
        return _listwise(method, facts, recall, noise, size or facts.d_in, begun)
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


def _listwise(
    method: TailAverage, facts: Associations, recall: float, noise: float, size: int, begun: float
) -> Probe:
    """The same question of tail-average margins, proved on either side where recall is 1."""
    if noise:
        raise SettingError(f"{method.name} is not asked under key noise; leave noise out", fields=("noise",))
    found = method.solve(facts)
    reached = float((tail_margins(found.memory, facts, method.share) > 0).double().mean())
    verdict: Verdict = "fits" if reached >= recall else "not found"
    if verdict == "not found" and recall == 1.0 and found.storable is False:
        verdict = "refuted"
    bound = None if found.witness is None else margin_bound(facts, found.witness)
    return Probe(len(facts), size, verdict, reached, bound, time.perf_counter() - begun)


@checked
def seed_list(seeds: Seeds) -> list[int]:
    """A count of seeds, or a list of them, as a list.

    Raises:
        SettingError: none at all, one twice, or more than anybody waits for.
    """
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)

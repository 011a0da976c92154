"""How surprising a number of silences is. Pure."""

from math import log


def surprise(silent: int, schools: int, rate: float) -> float:
    """In nats: how much better "a burst of its own rate" explains ``silent`` of ``schools`` than
    chance, by which each falls silent with probability ``rate``. 0 when there are no more than
    chance brings.

    The likelihood ratio of Kulldorff's scan statistic (Communications in Statistics 26, 1997) with
    the rate known from before; exp(-nats) bounds the probability of so many by chance (Chernoff).
    """
    if schools <= 0 or silent <= rate * schools:
        return 0.0
    share = min(1.0, silent / schools)
    nats = silent * log(share / rate)
    if share < 1.0:
        nats += (schools - silent) * log((1 - share) / (1 - rate))
    return nats

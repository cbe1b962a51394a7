"""The arithmetic of the comparisons: intervals, bounds and verdicts. Nothing here knows servers."""

import math
from functools import lru_cache
from statistics import NormalDist, mean, median, stdev

# Student's t by degrees of freedom: two-sided 95 %, and one-sided 95 %.
T_INTERVAL = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
T_UPPER = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
Z_INTERVAL = NormalDist().inv_cdf(0.975)
Z_UPPER = NormalDist().inv_cdf(0.95)


def student(freedom, table, z):
    """Beyond the table by the expansion around the normal distribution: right to 0.001 there."""
    if freedom <= len(table):
        return table[freedom - 1]
    return (z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3))


def t_interval(freedom):
    return student(freedom, T_INTERVAL, Z_INTERVAL)


def t_upper(freedom):
    return student(freedom, T_UPPER, Z_UPPER)


def median_interval(values):
    """The 95 % interval of the median by order statistics: no assumption about the noise.

    (None, None) for fewer than six values: not even their extremes hold the median that surely.
    """
    ordered = sorted(values)
    count = len(ordered)
    outside, tail = -1, 0.0
    for below in range(count // 2):
        tail += math.comb(count, below) / 2**count
        if 2 * tail > 0.05:
            break
        outside = below
    if outside < 0:
        return None, None
    return ordered[outside], ordered[count - 1 - outside]


@lru_cache(maxsize=None)
def signed_rank_cut(count, alpha):
    """The largest c for which Wilcoxon's signed-rank sum of `count` values is c or less with a
    probability of alpha at most; -1 where even 0 is likelier. Exact up to 40 values."""
    if count > 40:
        spread = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return math.floor(count * (count + 1) / 4 - NormalDist().inv_cdf(1 - alpha) * spread - 0.5)
    ways = [1]  # in which a subset of the ranks 1..n has a sum of i
    for rank in range(1, count + 1):
        ways = [(ways[i] if i < len(ways) else 0) + (ways[i - rank] if i >= rank else 0)
                for i in range(len(ways) + rank)]
    cut, below = -1, ways[0]
    while below <= alpha * 2**count:
        cut += 1
        below += ways[cut + 1]
    return cut


def walsh_averages(values):
    return sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])


def ratio_of(ratios):
    """What the ratios of the rounds say: the Hodges-Lehmann estimate on their logarithms with the
    interval that belongs to Wilcoxon's signed-rank test, and beside it their geometric mean with
    Student's interval.

    The noise here is bursts: most rounds agree within a few per cent, some are off by half. The
    mean's interval is made by the bursts. This one asks only that a burst hits either side as
    easily, is nearly as narrow as the mean's where there are none, and twice as narrow where there
    are. Fewer than six rounds have no such interval: then it is the mean after all.
    """
    if not ratios:
        return None
    logs = [math.log(ratio) for ratio in ratios]
    result = {"ratio": math.exp(mean(logs)), "half_width": None, "lower": None, "upper": None,
              "mean": math.exp(mean(logs)), "mean_half_width": None, "rounds": len(ratios)}
    if len(logs) > 1:
        error = stdev(logs) / math.sqrt(len(logs))
        width, bound = (quantile(len(logs) - 1) * error for quantile in (t_interval, t_upper))
        result |= {"half_width": math.expm1(width), "mean_half_width": math.expm1(width),
                   "upper": result["mean"] * math.exp(bound),
                   "lower": result["mean"] * math.exp(-bound)}
    two_sided = signed_rank_cut(len(logs), 0.025)
    if two_sided >= 0:
        averages = walsh_averages(logs)
        one_sided = signed_rank_cut(len(logs), 0.05)
        width = (averages[-1 - two_sided] - averages[two_sided]) / 2
        result |= {"ratio": math.exp(median(averages)), "half_width": math.expm1(width),
                   "lower": math.exp(averages[one_sided]),
                   "upper": math.exp(averages[-1 - one_sided])}
    return result


def noise_of(ratio):
    """How far from 1 the ratio of a program to itself may be: the far end of its 95 % interval.
    What two equal programs differ by is no difference between two others either."""
    if ratio is None or ratio["half_width"] is None:
        return None
    return math.expm1(abs(math.log(ratio["ratio"])) + math.log1p(ratio["half_width"]))


def verdict(ratio, goal, noise=0.0):
    """"shown" when even the upper bound keeps the goal, "refuted" when even the lower one (each
    95 %, one-sided) misses it, "open" in between and wherever the noise makes up the distance."""
    if ratio is None or ratio["upper"] is None:
        return "open"
    if max(ratio["upper"], ratio["ratio"] * (1 + noise)) <= goal:
        return "shown"
    return "refuted" if min(ratio["lower"], ratio["ratio"] / (1 + noise)) > goal else "open"


def mean_interval(values):
    """The mean and half its 95 % interval (None for one value)."""
    if len(values) < 2:
        return mean(values), None
    error = stdev(values) / math.sqrt(len(values))
    return mean(values), t_interval(len(values) - 1) * error


def share_interval(hits, count):
    """Wilson's 95 % interval of a share that was sampled."""
    if count == 0:
        return 0.0, 1.0
    z, share = Z_INTERVAL, hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    width = z / (1 + z * z / count) * math.sqrt(
        share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - width), min(1.0, centre + width)

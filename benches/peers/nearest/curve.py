"""How fast is a search at a given recall, when it was measured at others?

A point is (recall, queries a second).
"""

import math


def frontier(points):
    """Those that no other point beats in both, the lowest recall first."""
    best = []
    for recall, qps in sorted(points, reverse=True):
        if not best or qps > best[-1][1]:
            best.append((recall, qps))
    return best[::-1]


def qps_at(points, recall):
    """Queries a second at this recall: between the two points around it, on a line of the logarithm of the speed. Below
    the lowest recall that was measured it is that one's speed; above the highest there is none."""
    front = frontier(points)
    if not front or front[-1][0] < recall:
        return None
    low = None
    for high in front:
        if high[0] >= recall:
            break
        low = high
    if low is None or high[0] == recall:
        return high[1]
    share = (recall - low[0]) / (high[0] - low[0])
    return math.exp(math.log(low[1]) * (1 - share) + math.log(high[1]) * share)

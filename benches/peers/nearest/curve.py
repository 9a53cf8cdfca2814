"""How fast is a search at a given recall, when it was measured at others?

A point is (recall, queries a second).
"""

import math

# The recalls at which speeds are compared.
RECALLS = [0.96, 0.99]


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


def around(measured, recalls):
    """The settings on whose speeds those at these recalls rest, the least recall first. Measured is what a point, its setting
    beside it, is made of."""
    ranked = {(point["recall"], point["qps"]): point["setting"] for point in measured}
    front = frontier(list(ranked))
    wanted = set()
    for recall in recalls:
        above = [point for point in front if point[0] >= recall][:1]
        wanted.update(above, [point for point in front if point[0] < recall][-1:] if above else [])
    return [ranked[point] for point in sorted(wanted)]

#!/usr/bin/env python3
"""Writes outlines.txt: the countries of the world in the Equal Earth projection, for the page's map.

Origin: Natural Earth 4.1.0, Admin 0 countries, 1:110m and 1:50m (https://www.naturalearthdata.com), which is in the
public domain; as TopoJSON in the npm package world-atlas 2.0.2. Codes: Debian's package iso-codes.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    ./make-outlines.py package >outlines.txt

A line is an ISO 3166-1 alpha-2 code, a tab, and the data of an SVG path in a drawing that is 1000 wide. Countries that
are too small for 1:110m have a dot: a code, a tab, and "x,y". Antarctica is left out. The first line has width and height.
"""
import json
import math
import sys

WIDTH = 1000
NORTH, SOUTH = 84.0, -56.5
# Points closer than this to the line between their neighbours are left out, in units of the drawing.
TOLERANCE = 0.6
# Codes for areas that Natural Earth draws separately without a code of ISO 3166-1: the code of the country that they
# are part of there, or the unofficial XK.
UNCODED = {"N. Cyprus": "CY", "Somaliland": "SO", "Kosovo": "XK"}
ISO = "/usr/share/iso-codes/json/iso_3166-1.json"


def equal_earth(longitude, latitude):
    """The projection by Šavrič, Patterson and Jenny (2018)."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    root3 = math.sqrt(3)
    theta = math.asin(root3 / 2 * math.sin(math.radians(latitude)))
    t2 = theta * theta
    t6 = t2 * t2 * t2
    x = 2 * root3 * math.radians(longitude) * math.cos(theta) / (3 * (9 * a4 * t6 * t2 + 7 * a3 * t6 + 3 * a2 * t2 + a1))
    y = theta * (a4 * t6 * t2 + a3 * t6 + a2 * t2 + a1)
    return x, y


SCALE = WIDTH / (2 * equal_earth(180, 0)[0])
TOP = equal_earth(0, NORTH)[1]


def project(longitude, latitude):
    x, y = equal_earth(longitude, latitude)
    return WIDTH / 2 + x * SCALE, (TOP - y) * SCALE


def simplified(points):
    """The points that the Ramer-Douglas-Peucker algorithm keeps; distances are measured in the drawing."""
    if len(points) < 3:
        return points
    flat = [project(*point) for point in points]
    (ax, ay), (bx, by) = flat[0], flat[-1]
    length = math.hypot(bx - ax, by - ay)

    def distance(point):
        px, py = point
        if length == 0:
            return math.hypot(px - ax, py - ay)
        return abs((bx - ax) * (ay - py) - (ax - px) * (by - ay)) / length

    at = max(range(1, len(points) - 1), key=lambda i: distance(flat[i]))
    if distance(flat[at]) < TOLERANCE:
        return [points[0], points[-1]]
    return simplified(points[: at + 1])[:-1] + simplified(points[at:])


def near(longitude, other):
    """The same meridian as a longitude within 180 degrees of another one; it may be beyond 180."""
    return longitude - 360 * round((longitude - other) / 360)


def arcs_of(topology):
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            longitude = x * sx + tx
            points.append((near(longitude, points[-1][0]) if points else longitude, y * sy + ty))
        yield points


def ring_of(arcs, indexes):
    ring = []
    for index in indexes:
        part = arcs[index] if index >= 0 else arcs[~index][::-1]
        shift = near(part[0][0], ring[-1][0]) - part[0][0] if ring else 0
        ring += [(x + shift, y) for x, y in (part[1:] if ring else part)]
    return ring


def clipped(ring, meridian, side):
    """The part of a ring on one side (1: east, -1: west) of a meridian."""
    kept = []
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1]):
        a_in, b_in = (ax - meridian) * side >= 0, (bx - meridian) * side >= 0
        if a_in:
            kept.append((ax, ay))
        if a_in != b_in:
            kept.append((meridian, ay + (by - ay) * (meridian - ax) / (bx - ax)))
    return kept


def rings_of(geometry, arcs):
    """The rings of a country in units of the drawing, cut at the 180th meridian."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for polygon in polygons:
        for indexes in polygon:
            ring = ring_of(arcs, indexes)
            parts = [(clipped(clipped(ring, -180, 1), 180, -1), 0)]
            parts += [(clipped(ring, 180, 1), -360), (clipped(ring, -180, -1), 360)]
            for part, shift in parts:
                if len(part) >= 3:
                    yield [project(x + shift, y) for x, y in part]


def path_of(rings):
    text = ""
    for ring in rings:
        points = [(round(x), round(y)) for x, y in ring]
        points = [point for i, point in enumerate(points) if i == 0 or point != points[i - 1]]
        if points and points[0] == points[-1]:
            points.pop()
        if len(points) < 3:
            continue
        text += "M%d,%d" % points[0] + "l"
        for (ax, ay), (bx, by) in zip(points, points[1:]):
            dx, dy = bx - ax, by - ay
            space = "" if text[-1] == "l" or dx < 0 else " "
            text += f"{space}{dx}{'' if dy < 0 else ','}{dy}"
        text += "z"
    return text


def area_and_middle(ring):
    area = x = y = 0
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1]):
        cross = ax * by - bx * ay
        area, x, y = area + cross, x + (ax + bx) * cross, y + (ay + by) * cross
    if area == 0:
        return 0, ring[0]
    return abs(area / 2), (x / (3 * area), y / (3 * area))


def main(package):
    codes = {}
    for country in json.load(open(ISO))["3166-1"]:
        codes[country["numeric"]] = country["alpha_2"]

    def read(scale):
        topology = json.load(open(f"{package}/countries-{scale}.json"))
        for geometry in topology["objects"]["countries"]["geometries"]:
            code = codes.get(geometry.get("id")) or UNCODED.get(geometry["properties"]["name"])
            if code and code != "AQ" and geometry.get("arcs"):
                yield code, geometry, topology

    outlines, dots = {}, {}
    arcs = None
    for code, geometry, topology in read("110m"):
        arcs = arcs or [simplified(points) for points in arcs_of(topology)]
        outlines[code] = outlines.get(code, "") + path_of(rings_of(geometry, arcs))
    outlines = {code: path for code, path in outlines.items() if path}
    arcs = None
    for code, geometry, topology in read("50m"):
        arcs = arcs or list(arcs_of(topology))
        if code not in outlines:
            _, middle = max(area_and_middle(ring) for ring in rings_of(geometry, arcs))
            dots[code] = "%d,%d" % (round(middle[0]), round(middle[1]))
    print(f"{WIDTH}\t{round((TOP - equal_earth(0, SOUTH)[1]) * SCALE)}")
    for code, path in sorted({**outlines, **dots}.items()):
        print(f"{code}\t{path}")


main(sys.argv[1])

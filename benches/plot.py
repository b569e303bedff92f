# SPDX-License-Identifier: MIT OR Apache-2.0
"""Draws the results of scripts/bench as SVG, with nothing but the standard library."""

import math
import os
import statistics
from xml.sax.saxutils import escape

COLOURS = {
    "rinotify": "#0b6e4f", "hand": "#555555", "raw, leaves not listed": "#aaaaaa",
    "read(2) alone": "#aaaaaa", "inotifytools": "#c05621", "uv": "#2b6cb0",
    "notify": "#97266d", "fswatch": "#b7791f", "setup": "#0b6e4f", "close": "#555555",
    "ignore": "#2b6cb0", "move out": "#c05621", "move in": "#97266d",
}
NAMES = {"inotifytools": "libinotifytools", "uv": "libuv", "notify": "notify 8",
         "fswatch": "libfswatch", "hand": "hand-written C", "rinotify": "librinotify"}
FONT = 'font-family="system-ui, Helvetica, Arial, sans-serif"'


def name(label):
    return NAMES.get(label, label)


def colour(label):
    return COLOURS.get(label, "#718096")


def median(runs, key):
    values = [r[key] for r in runs if r and isinstance(r.get(key), float)]
    return statistics.median(values) if values else None


def number(x):
    if x >= 1000:
        return f"{x:,.0f}"
    digits = 0 if x >= 100 else 1 if x >= 10 else 2
    text = f"{x:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Picture:
    def __init__(self, width, height, title):
        self.width, self.height, self.parts = width, height, []
        self.parts.append(f'<rect width="{width}" height="{height}" fill="#ffffff"/>')
        self.text(16, 26, title, size=15, weight="600")

    def text(self, x, y, text, size=12, anchor="start", fill="#1a202c", weight="400"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" '
                          f'font-weight="{weight}" text-anchor="{anchor}" fill="{fill}">'
                          f'{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, stroke="#e2e8f0", width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{stroke}" stroke-width="{width}"/>')

    def save(self, path):
        with open(path, "w") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" '
                    f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" role="img">\n'
                    + "\n".join(self.parts) + "\n</svg>\n")


def steps(top):
    """A round distance between grid lines, about five of them."""
    raw = top / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw)


def lines(path, title, unit, series):
    """series: label -> {number of directories: value}."""
    series = {k: v for k, v in series.items() if len(v) > 1}
    if not series:
        return
    width, height, left, top, right, bottom = 760, 380, 60, 60, 190, 50
    p = Picture(width, height, title)
    sizes = sorted({n for v in series.values() for n in v})
    most = max(x for v in series.values() for x in v.values()) * 1.08
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(n):
        return left + (math.log10(n) - low) / (high - low) * (width - left - right)

    def y(value):
        return height - bottom - value / most * (height - top - bottom)

    step = steps(most)
    for i in range(int(most / step) + 1):
        p.line(left, y(i * step), width - right, y(i * step))
        p.text(left - 8, y(i * step) + 4, number(i * step), anchor="end", fill="#4a5568")
    for n in sizes:
        p.text(x(n), height - bottom + 20, f"{n:,}", anchor="middle", fill="#4a5568")
    p.text((left + width - right) / 2, height - 10, "directories", anchor="middle", fill="#4a5568")
    p.text(16, 46, unit, fill="#4a5568")
    ends = []
    for label, values in series.items():
        points = [(x(n), y(v)) for n, v in sorted(values.items())]
        thick = 3 if label.startswith("rinotify") else 1.8
        p.parts.append(f'<polyline fill="none" stroke="{colour(label)}" stroke-width="{thick}" '
                       f'points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
        for a, b in points:
            p.parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour(label)}"/>')
        ends.append([points[-1][1], points[-1][0], label, values[max(values)]])
    # Labels at the right end, pushed apart so that none covers another.
    at = top - 10
    for end_y, _, label, value in sorted(ends):
        at = max(at + 16, end_y + 4)
        p.text(width - right + 10, at, f"{name(label)} {number(value)}", fill=colour(label),
               weight="600" if label.startswith("rinotify") else "400")
    p.save(path)


def bars(path, title, unit, rows):
    """rows: (label, value, note); a bar that is longer than the rest by far is cut."""
    rows = [r for r in rows if r[1] is not None]
    if not rows:
        return
    width, left, top, each = 780, 230, 62, 26
    height = top + each * len(rows) + 16
    p = Picture(width, height, title)
    p.text(16, 46, unit, fill="#4a5568")
    values = sorted(v for _, v, _ in rows)
    room = width - left - 90
    most = min(values[-1], 3 * values[len(values) // 2])
    for i, (label, value, note) in enumerate(rows):
        y = top + i * each
        long = min(value, most) / most * room
        strong = label.startswith("rinotify")
        p.text(left - 10, y + 14, name(label) + note, anchor="end",
               weight="600" if strong else "400")
        p.parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="18" '
                       f'fill="{colour(label)}"/>')
        if value > most:
            p.parts.append(f'<path d="M{left + room - 24} {y + 20} l8 -22 h6 l-8 22 z" '
                           'fill="#ffffff"/>')
        p.text(left + long + 8, y + 14, number(value), weight="600" if strong else "400")
    p.save(path)


def over_sizes(results, prefix, label, key):
    found = {}
    for group, cases in results.items():
        head, _, size = group.rpartition("-")
        if head == prefix and size.isdigit() and label in cases:
            value = median(cases[label], key)
            if value is not None:
                found[int(size)] = value
    return found


def in_group(results, group, program, key):
    """Of cases that are named "program, above 10,000" or "program, 10,000"."""
    found = {}
    for label, runs in results.get(group, {}).items():
        if label.startswith(program + ","):
            digits = "".join(c for c in label if c.isdigit())
            value = median(runs, key)
            if digits and value is not None:
                found[int(digits)] = value
    return found


def draw(results, where):
    os.makedirs(where, exist_ok=True)
    order = ["rinotify", "hand", "raw, leaves not listed", "uv", "inotifytools", "notify", "fswatch"]

    def file(stem):
        return os.path.join(where, stem + ".svg")

    lines(file("setup"), "Watching a tree: every directory, 5 files in each",
          "us of CPU a directory",
          {label: over_sizes(results, "setup", label, "cpu_us") for label in order})

    rows = []
    for group, note in (("drain-flat", ", one directory"), ("drain-1000", ", 1,000 directories")):
        for label in ["read(2) alone"] + order:
            runs = results.get(group, {}).get(label)
            rows.append((label, median(runs, "cpu_ns") if runs else None, note))
    rows.sort(key=lambda r: (r[2] != ", one directory", r[1] or 0))
    bars(file("drain"), "Delivering an event that waits in the queue", "ns of CPU an event", rows)

    for size in (100000, 10000):
        group = results.get(f"setup-{size}")
        if group:
            rows = [(label, median(group[label], "rss_B"), "") for label in order
                    if label in group and not label.startswith("raw")]
            rows.sort(key=lambda r: r[1] or 0)
            bars(file("memory"), f"Memory of a watched directory, of {size:,}",
                 "bytes of resident memory in user space, names of 10 bytes", rows)
            break

    lines(file("growth"), "How the cost of librinotify grows", "us of CPU a directory", {
        "setup": over_sizes(results, "setup", "rinotify", "cpu_us"),
        "close": over_sizes(results, "setup", "rinotify", "close_cpu_us"),
        "ignore": in_group(results, "ignore", "rinotify", "cpu_us"),
        "move out": in_group(results, "move", "rinotify", "out_cpu_us"),
        "move in": in_group(results, "move", "rinotify", "in_cpu_us"),
    })
    lines(file("rename"), "Rename of a directory with that many below",
          "us until the next event under the new path",
          {"rinotify": in_group(results, "rename", "rinotify", "p50_us")})
    spread = {label: over_sizes(results, "drain", label, "cpu_ns")
              for label in ("rinotify", "hand", "read(2) alone")}
    lines(file("spread"), "Delivering queued events, spread over that many directories",
          "ns of CPU an event", spread)

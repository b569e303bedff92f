# SPDX-License-Identifier: MIT OR Apache-2.0
"""What scripts/bench measures: groups of cases that are run in turns, and what is compared."""

import collections

# program: the implementation; args: after the work's name; tree: directories of the standing tree
# that the case needs, None if it makes its own; rounds: fewer than asked for, for slow peers.
Case = collections.namedtuple("Case", "label program args tree rounds")
# reference: label of the case that ratios are taken to; reach, stretch: ratios of ours, or, without
# a reference, the figure itself.
Metric = collections.namedtuple("Metric", "key unit reference reach stretch")
Group = collections.namedtuple("Group", "name work title cases metrics")

OURS = "rinotify"
PEERS = ["inotifytools", "uv", "notify", "fswatch"]


def thousands(number):
    return f"{number:,}"


def files_in(number, files):
    """tmpfs has as many inodes as half the pages of memory: not enough for six million."""
    return min(files, 1) if number >= 1000000 else files


def case(label, program, *args, tree=None, rounds=None):
    return Case(label, program, [str(a) for a in args], tree, rounds)


def peers_for(work, available, *args, tree=None):
    """Peers that can do the work; a round of some of them takes many seconds."""
    able = {
        "setup": ["inotifytools", "uv", "notify", "fswatch"],
        "drain": ["inotifytools", "uv", "notify", "fswatch"],
        "latency": ["inotifytools", "uv", "notify", "fswatch"],
        "storm": ["inotifytools", "notify", "fswatch"],
        "removal": ["inotifytools", "uv", "notify", "fswatch"],
        "rename": ["notify"],
    }[work]
    few = {("setup", "fswatch"): 3, ("removal", "notify"): 1, ("storm", "fswatch"): 1,
           ("drain", "fswatch"): 3}
    return [case(p, p, *args, tree=tree, rounds=few.get((work, p)))
            for p in able if p in available]


def setup(number, files, available):
    size = ["--dirs", number, "--files", files_in(number, files)]
    cases = [
        case(OURS, OURS, *size, tree=number),
        case("hand", "hand", *size, tree=number),
        case("raw, leaves not listed", "raw", *size, "--variant", "leaf", tree=number),
        case("raw, listed", "raw", *size, "--variant", "listed", tree=number),
        case("walk alone", "raw", *size, "--variant", "walk", tree=number),
    ] + peers_for("setup", available, *size, tree=number)
    big = number >= 100000
    return Group(f"setup-{number}", "setup", f"setup of {thousands(number)} directories", cases, [
        Metric("cpu_us", "us CPU a directory", "hand", 1.5 if big else None, 1.1 if big else None),
        Metric("wall_us", "us wall a directory", "hand", None, None),
        Metric("rss_B", "bytes of RSS a directory", None, 64 if big else None, 48 if big else None),
        Metric("heap_B", "bytes of heap a directory", "hand", None, None),
        Metric("close_cpu_us", "us CPU a directory to close", "hand", None, None),
    ])


def existing(number, files):
    size = ["--dirs", number, "--files", files_in(number, files)]
    cases = [
        case(OURS + ", existing told", OURS, *size, "--existing", tree=number),
        case("raw, listed", "raw", *size, "--variant", "listed", tree=number),
        case(OURS + ", entries tracked", OURS, *size, "--track", tree=number),
        case("raw, listed, status read", "raw", *size, "--variant", "status", tree=number),
    ]
    return Group(f"listed-{number}", "setup",
                 f"setup of {thousands(number)} directories, every one listed", cases, [
        Metric("cpu_us", "us CPU a directory", "raw, listed", 1.3, 1.1),
        Metric("rss_B", "bytes of RSS a directory", "raw, listed", None, None),
    ])


def drain(name, title, available, events, *args):
    size = ["--events", events, "--files", 0, *args]
    cases = [
        case(OURS, OURS, *size),
        case("hand", "hand", *size),
        case("read(2) alone", "raw", *size, "--variant", "read"),
        case("raw, path from the parents", "raw", *size, "--variant", "chain"),
    ] + peers_for("drain", available, *size)
    few = name in ("drain-flat", "drain-1000")
    return Group(name, "drain", title, cases, [
        Metric("cpu_ns", "ns CPU an event", "hand", 1.15 if few else None, 1.05 if few else None)])


def latency(available, events):
    size = ["--events", events]
    cases = [
        case(OURS, OURS, *size),
        case("epoll + read", "raw", *size, "--variant", "read"),
        case("hand", "hand", *size),
    ] + peers_for("latency", available, *size)
    return Group("latency", "latency", "creat(2) to callback, one file each 200 us", cases, [
        Metric("p50_us", "us, median", "epoll + read", 1.1, 1.0),
        Metric("p99_us", "us, 99 of 100", "epoll + read", 1.1, 1.0)])


def storm(available):
    size = ["--dirs", 2000, "--files", 10]
    cases = [
        case(OURS, OURS, *size),
        case("hand", "hand", *size),
        case(OURS + ", read 1 ms later", OURS, *size, "--delay-us", 1000),
        case("hand, read 1 ms later", "hand", *size, "--delay-us", 1000),
    ] + peers_for("storm", available, *size)
    return Group("storm", "storm", "storm of 2,000 new nested directories with 10 files each",
                 cases, [Metric("cpu_ms", "ms CPU", "hand", 1.5, 1.2),
                         Metric("told", "files told", None, None, None),
                         Metric("twice", "told twice", None, None, None)])


def removal(available, number):
    size = ["--dirs", number]
    cases = [
        case(OURS, OURS, *size),
        case("hand", "hand", *size),
        case(OURS + ", queued", OURS, *size, "--queued"),
        case("hand, queued", "hand", *size, "--queued"),
    ] + peers_for("removal", available, *size)
    return Group("removal", "removal", f"rm -rf of {thousands(number)} watched directories", cases,
                 [Metric("cpu_ms", "ms CPU", "hand", 1.3, 1.0)])


def rename(available, sizes, rounds):
    cases = [case(f"{OURS}, above {thousands(n)}", OURS, "--dirs", n, "--rounds", rounds, tree=n)
             for n in sizes]
    cases += [case(f"hand, above {thousands(n)}", "hand", "--dirs", n, "--rounds", rounds, tree=n)
              for n in sizes[-1:]]
    at = 10000 if 10000 in sizes else sizes[-1]
    # It watches all below anew at each rename.
    for peer in peers_for("rename", available, "--dirs", at, "--rounds", 3, tree=at):
        cases.append(peer._replace(label=f"{peer.label}, above {thousands(at)}", rounds=1))
    return Group("rename", "rename", "rename of a directory until the next right path", cases, [
        Metric("p50_us", "us", cases[0].label, 1.1, 1.0),
        Metric("missed", "events missed", None, None, None)])


def move(sizes):
    cases = [case(f"{OURS}, above {thousands(n)}", OURS, "--dirs", n, "--rounds", 1, tree=n)
             for n in sizes]
    return Group("move", "move", "a directory moved out of the tree, and back", cases, [
        Metric("out_longest_cpu_us", "us CPU, longest do_read, out", None, 2000, 500),
        Metric("in_longest_cpu_us", "us CPU, longest do_read, in", None, 2000, 500),
        Metric("out_longest_us", "us wall, longest do_read, out", None, None, None),
        Metric("in_longest_us", "us wall, longest do_read, in", None, None, None),
        Metric("out_cpu_us", "us CPU a directory, out", None, None, None),
        Metric("in_cpu_us", "us CPU a directory, in", None, None, None)])


def ignore(sizes):
    cases = []
    for n in sizes:
        for program in (OURS, "hand"):
            cases.append(case(f"{program}, {thousands(n)}", program, "--dirs", n, tree=n))
    return Group("ignore", "ignore", "end of the watch of a tree", cases, [
        Metric("cpu_us", "us CPU a directory", f"hand, {thousands(sizes[-1])}", None, None)])


def groups(options, available):
    quick = options.quick
    peers = [] if options.no_peers else available
    if quick:
        peers = [p for p in peers if p != "fswatch"]
    sizes = [10000] if quick else [10000, 100000]
    growth = [1000, 10000] if quick else [1000, 10000, 100000]
    if options.million:
        sizes.append(1000000)
        growth.append(1000000)
    events = 60000 if quick else 400000
    all_groups = []
    if options.million:
        # Before there are other trees, for tmpfs has not inodes enough. Making a million directories
        # anew for each case takes long, so it is done once.
        group = drain("drain-1000000", "queued events over 1,000,000 directories", [], events,
                      "--dirs", 1000000)
        all_groups.append(group._replace(cases=[c._replace(rounds=1) for c in group.cases[:2]]))
    if not quick:
        all_groups.append(setup(1000, options.files, peers))
    for n in sizes:
        # A peer at a million directories proves nothing and takes minutes.
        all_groups.append(setup(n, options.files, peers if n <= 100000 else []))
    all_groups += [existing(n, options.files) for n in sizes if n < 1000000]
    all_groups.append(drain("drain-flat", "queued events of one directory", peers, events,
                            "--flat"))
    all_groups.append(drain("drain-1000", "queued events over 1,000 directories", peers, events,
                            "--dirs", 1000))
    if not quick:
        for n in (10000, 100000):
            all_groups.append(drain(f"drain-{n}",
                                    f"queued events over {thousands(n)} directories", [],
                                    events, "--dirs", n))
    all_groups += [
        latency(peers, 2000 if quick else 5000),
        storm(peers),
        removal(peers, 2000 if quick else 10000),
        rename(peers, [10] + growth[1:], 200),
        move(growth),
        ignore(growth),
    ]
    return all_groups

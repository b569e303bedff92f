/* What a loss of events excuses, and what not: and files as a consumer has them who looks at each
 * one that he is told about, and at no other.
 *
 * From IN_Q_OVERFLOW until the end of the rescan the events may contradict the mirror. From then on
 * its directories must be right again, and its files too if the watch tracks entries.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdlib.h>
#include <string.h>

void overflow_event(struct watch *watch, const inotify_watcher_event *e)
{
    bool begins = (e->flags & RINOTIFY_EVENT_RESCAN_BEGIN) != 0;
    bool ends = (e->flags & RINOTIFY_EVENT_RESCAN_END) != 0;

    if (begins && ends)
        fail("rescan", "watch %s: a rescan begins and ends in one event", watch->label);
    if (begins && !(e->mask & IN_Q_OVERFLOW))
        fail("rescan", "watch %s: a rescan, but no overflow was told", watch->label);
    if (e->mask & IN_Q_OVERFLOW) {
        watch->overflows++;
        watch->overflowed = true;
        /* Of one directory nothing is remembered that could be compared. */
        watch->unrepaired = watch->kind != SECOND_FLAT || opt.track_entries;
        if (begins != watch->unrepaired)
            fail("rescan", "watch %s: an overflow %s a rescan", watch->label,
                 begins ? "with" : "without");
        if (!opt.allow_overflow)
            fail(CLASS_OVERFLOW, "the queue overflowed");
    }
    if (begins)
        watch->rescanning = true;
    if (ends && !watch->rescanning)
        fail("rescan", "watch %s: a rescan ends that was not begun", watch->label);
    if (ends) {
        watch->rescanning = watch->unrepaired = false;
        shared->totals.rescans++;
    }
}

/* May an event about a file, or about anything, contradict the mirror now? */
bool overflow_excuses(struct watch *watch, bool file)
{
    if (watch->unrepaired && !opt.strict_order) {
        shared->totals.odd_lost++;
        return true;
    }
    return watch->overflowed && !opt.track_entries && (file || watch->kind == SECOND_FLAT);
}

/* All is quiet: every overflow was told, and everything that could be repaired is. */
void check_overflows(const struct watch *watch, uint64_t counted)
{
    uint64_t due = counted - watch->overflows_before;

    /* One that was in the queue already when the watch was made is not about it. */
    if (watch->overflows > due || watch->overflows + (watch->kind != SECOND_NONE) < due)
        fail("overflow", "watch %s was told %llu overflows of %llu", watch->label,
             (unsigned long long)watch->overflows, (unsigned long long)due);
    if (watch->rescanning)
        fail("rescan", "watch %s: a rescan was begun and not ended", watch->label);
    if (watch->unrepaired)
        fail("rescan", "watch %s: an overflow was not followed by a rescan", watch->label);
}

/* ---- Files. */

/* Is the watch told of every change of a file, under a path by which it can be looked at? */
static bool looks(const struct watch *watch)
{
    return opt.contents && (watch->kind == SECOND_NONE || watch->kind == SECOND_SAME ||
                            watch->kind == SECOND_LINK || watch->kind == SECOND_STABLE);
}

static void look_below(struct node *node, const char *path)
{
    struct stat st;

    for (unsigned i = 0; i < node->used; i++) {
        char *below = must_print("%s/%s", path, node->kids[i]->name);

        look_below(node->kids[i], below);
        free(below);
    }
    if (node->dir)
        return;
    shared->totals.looks++;
    memset(&node->look, 0, sizeof(node->look));
    /* Gone, or something else already: there is an event on the way that says so. */
    if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        node->look = (struct look){true, st.st_ino, st.st_mode, st.st_size, st.st_mtim};
}

/* An event about `path`: whoever cares looks there. What came with a directory is looked at again,
 * as the path to it was another before. */
void look(struct watch *watch, struct node *node, const char *path)
{
    if (node && looks(watch))
        look_below(node, path);
}

void check_look(const struct watch *watch, const struct node *node, int dir, const char *path)
{
    const struct look *look = &node->look;
    const char *what = NULL;
    struct stat st;

    if (!looks(watch) || (watch->overflowed && !opt.track_entries) ||
        fstatat(dir, node->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    /* With its directory it can have been away at that moment and have come back since, and a loss of both
     * events leaves no difference to what was told. */
    if (watch->overflowed && !look->done)
        return;
    shared->totals.contents++;
    if (!look->done)
        what = "was not there at the last event about it";
    else if (look->ino != st.st_ino)
        what = "is another inode than at the last event about it";
    else if (look->size != st.st_size)
        what = "has another size than at the last event about it";
    else if (look->mode != st.st_mode)
        what = "has another mode than at the last event about it";
    else if (look->mtime.tv_sec != st.st_mtim.tv_sec || look->mtime.tv_nsec != st.st_mtim.tv_nsec)
        what = "was written after the last event about it";
    if (what)
        fail("content", "watch %s: %s %s", watch->label, path, what);
}

/* What the events tell, with the errors told taken into account.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "believe.h"

#include <ftw.h>

char belief_context[256];

static void fail(const char *what, const char *path)
{
    check_fail(__FILE__, __LINE__, "[%s] %s: %s", belief_context, what, path);
}

static bool at_or_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static struct believed *find(const struct belief *belief, const char *path)
{
    for (size_t i = 0; i < belief->count; i++)
        if (strcmp(belief->entries[i].path, path) == 0)
            return &belief->entries[i];
    return NULL;
}

bool belief_excuses(const struct belief *belief, const char *path)
{
    if (belief->limited)
        return true;
    for (size_t i = 0; i < belief->count; i++)
        if (belief->entries[i].excused && at_or_below(path, belief->entries[i].path))
            return true;
    for (size_t i = 0; i < belief->excuse_count; i++)
        if (at_or_below(path, belief->excuses[i]))
            return true;
    return false;
}

static void take_away(struct belief *belief, const char *top)
{
    size_t left = 0;

    for (size_t i = 0; i < belief->count; i++) {
        if (at_or_below(belief->entries[i].path, top))
            free(belief->entries[i].path);
        else
            belief->entries[left++] = belief->entries[i];
    }
    belief->count = left;
}

static void carry(struct belief *belief, const char *from, const char *to)
{
    size_t length = strlen(from);

    for (size_t i = 0; i < belief->count; i++) {
        char *path = belief->entries[i].path;

        if (at_or_below(path, from)) {
            CHECK(asprintf(&belief->entries[i].path, "%s%s", to, path + length) > 0);
            free(path);
        }
    }
}

static void add(struct belief *belief, const char *path, bool directory)
{
    bool excused = false;

    /* The error may have been told before its directory was. */
    for (size_t i = 0; i < belief->excuse_count; i++) {
        if (strcmp(belief->excuses[i], path) == 0) {
            excused = true;
            free(belief->excuses[i]);
            belief->excuses[i--] = belief->excuses[--belief->excuse_count];
        }
    }
    if (belief->count == belief->room) {
        belief->room = belief->room == 0 ? 64 : belief->room * 2;
        belief->entries = realloc(belief->entries, belief->room * sizeof *belief->entries);
        CHECK(belief->entries != NULL);
    }
    belief->entries[belief->count++] = (struct believed){strdup(path), directory, excused};
}

static void excuse(struct belief *belief, const char *path)
{
    struct believed *entry = find(belief, path);

    if (entry != NULL) {
        entry->excused = true;
        return;
    }
    if (belief->excuse_count == belief->excuse_room) {
        belief->excuse_room = belief->excuse_room == 0 ? 16 : belief->excuse_room * 2;
        belief->excuses =
            realloc(belief->excuses, belief->excuse_room * sizeof *belief->excuses);
        CHECK(belief->excuses != NULL);
    }
    belief->excuses[belief->excuse_count++] = strdup(path);
}

void believe(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct belief *belief = user_data;
    bool directory = (event->mask & IN_ISDIR) != 0;
    struct believed *entry = find(belief, event->path);
    char kept[64];

    (void)watcher;
    CHECK_EQ(belief->released, 0);
    belief->events++;
    belief->overflowed |= (event->mask & IN_Q_OVERFLOW) != 0;
    if ((event->flags & RINOTIFY_EVENT_ERROR) != 0) {
        CHECK(event->error > 0);
        belief->errors++;
        belief->last_error = event->error;
        belief->limited |= event->error == ENOSPC || event->error == EMFILE ||
                           event->error == ENFILE || event->error == ENOMEM;
        excuse(belief, event->path);
        return;
    }
    if ((event->mask & IN_IGNORED) != 0)
        belief->ended = true;
    if (event->name == NULL)
        return;
    snprintf(kept, sizeof kept, "\n%u", event->cookie);
    if ((event->mask & IN_CREATE) != 0) {
        if (entry != NULL && !belief_excuses(belief, event->path))
            fail("announced twice", event->path);
        if (entry == NULL)
            add(belief, event->path, directory);
        else
            entry->directory = directory;
    } else if ((event->mask & IN_MOVED_TO) != 0) {
        take_away(belief, event->path);
        if (event->old_path == NULL) {
            add(belief, event->path, directory);
        } else if (find(belief, kept) != NULL) {
            carry(belief, kept, event->path);
        } else {
            if (!belief_excuses(belief, event->old_path))
                fail("came from where nothing was taken away", event->path);
            add(belief, event->path, directory);
        }
    } else if (entry == NULL) {
        if (!belief_excuses(belief, event->path))
            fail("an event of what is not there", event->path);
    } else if ((event->mask & IN_DELETE) != 0) {
        take_away(belief, event->path);
    } else if ((event->mask & IN_MOVED_FROM) != 0) {
        carry(belief, event->path, kept);
    }
}

void believe_release(void *user_data)
{
    ((struct belief *)user_data)->released++;
}

struct tables {
    const struct belief *const *beliefs;
    struct kernel_watch *list;
    bool *seen;
    size_t count;
};

static int compare_watchpoint(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    struct tables *tables = user_data;
    struct stat status;
    bool excused = false;

    for (size_t i = 0; tables->beliefs[i] != NULL; i++)
        excused = excused || belief_excuses(tables->beliefs[i], watchpoint->path);
    for (size_t i = 0; i < tables->count; i++) {
        const struct kernel_watch *kernel = &tables->list[i];

        if (kernel->wd != watchpoint->wd)
            continue;
        tables->seen[i] = true;
        if (excused)
            return 0;
        if ((watchpoint->mask & IN_ALL_EVENTS & ~kernel->mask) != 0)
            fail("watched for less than what was asked for", watchpoint->path);
        if (stat(watchpoint->path, &status) == -1 || status.st_ino != kernel->inode)
            fail("another inode is watched", watchpoint->path);
        return 0;
    }
    fail("no kernel watch", watchpoint->path);
    return 0;
}

void belief_tables(const inotify_watcher *watcher, const struct belief *const *beliefs)
{
    int fd = inotify_watcher_fileno(watcher);
    inotify_watcher_stats stats = get_stats(watcher);
    struct tables tables = {.beliefs = beliefs, .count = kernel_watches(fd, NULL, 0)};
    size_t seen = 0;

    tables.list = calloc(tables.count + 1, sizeof *tables.list);
    tables.seen = calloc(tables.count + 1, sizeof *tables.seen);
    CHECK(tables.list != NULL && tables.seen != NULL);
    CHECK_EQ(kernel_watches(fd, tables.list, tables.count), tables.count);
    CHECK_OK(inotify_watcher_for_each_watchpoint(watcher, compare_watchpoint, &tables));
    for (size_t i = 0; i < tables.count; i++)
        seen += tables.seen[i];
    if (seen != stats.watchpoints || tables.count != seen + stats.internal_watchpoints)
        check_fail(__FILE__, __LINE__, "[%s] the kernel has %zu watches, the tables %zu and %llu",
                   belief_context, tables.count, seen,
                   (unsigned long long)stats.internal_watchpoints);
    free(tables.list);
    free(tables.seen);
}

/* nftw has no user data. */
static struct {
    struct belief *belief;
    size_t excused;
} walk;

static int visit(const char *path, const struct stat *status, int type, struct FTW *at)
{
    struct believed *entry;

    (void)type;
    if (at->level == 0)
        return 0;
    entry = find(walk.belief, path);
    if (entry == NULL || entry->directory != S_ISDIR(status->st_mode)) {
        if (!belief_excuses(walk.belief, path))
            fail(entry == NULL ? "not told of" : "of another type", path);
        walk.excused++;
    }
    return 0;
}

size_t belief_compare(struct belief *belief, const char *root)
{
    size_t gone = 0;

    walk.belief = belief;
    walk.excused = 0;
    CHECK_SYS(nftw(root, visit, 32, FTW_PHYS));
    for (size_t i = 0; i < belief->count; i++) {
        struct stat status;

        if (belief->entries[i].path[0] == '\n' || lstat(belief->entries[i].path, &status) == 0)
            continue;
        if (!belief_excuses(belief, belief->entries[i].path))
            fail("not there any more", belief->entries[i].path);
        gone++;
    }
    return walk.excused + gone;
}

void belief_forgive(struct belief *belief)
{
    belief->limited = false;
    for (size_t i = 0; i < belief->count; i++)
        belief->entries[i].excused = false;
    for (size_t i = 0; i < belief->excuse_count; i++)
        free(belief->excuses[i]);
    belief->excuse_count = 0;
}

void belief_clear(struct belief *belief)
{
    belief_forgive(belief);
    for (size_t i = 0; i < belief->count; i++)
        free(belief->entries[i].path);
    free(belief->entries);
    free(belief->excuses);
    memset(belief, 0, sizeof *belief);
}

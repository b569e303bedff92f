/* The mirror of a tree.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <ftw.h>
#include <inttypes.h>

/* What MOVED_FROM took away is kept under its cookie, at a path that no file can have. */
static const char *kept_path(uint32_t cookie)
{
    return format("\n%" PRIu32, cookie);
}

static struct mirror_entry *find(const struct mirror *mirror, const char *path)
{
    for (size_t i = 0; i < mirror->count; i++)
        if (strcmp(mirror->entries[i].path, path) == 0)
            return &mirror->entries[i];
    return NULL;
}

static bool is_at_or_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static void take_away(struct mirror *mirror, const char *top)
{
    size_t left = 0;

    for (size_t i = 0; i < mirror->count; i++) {
        if (is_at_or_below(mirror->entries[i].path, top))
            free(mirror->entries[i].path);
        else
            mirror->entries[left++] = mirror->entries[i];
    }
    mirror->count = left;
}

static void carry(struct mirror *mirror, const char *was, const char *is)
{
    /* The strings given can be buffers of format(), which is called for each entry. */
    char *from = strdup(was), *to = strdup(is);
    size_t length = strlen(from);

    for (size_t i = 0; i < mirror->count; i++) {
        char *path = mirror->entries[i].path;

        if (is_at_or_below(path, from)) {
            mirror->entries[i].path = strdup(format("%s%s", to, path + length));
            free(path);
        }
    }
    free(from);
    free(to);
}

static void add(struct mirror *mirror, const char *path, bool directory)
{
    if (mirror->count == mirror->room) {
        mirror->room = mirror->room == 0 ? 64 : mirror->room * 2;
        mirror->entries = realloc(mirror->entries, mirror->room * sizeof *mirror->entries);
        CHECK(mirror->entries != NULL);
    }
    mirror->entries[mirror->count++] = (struct mirror_entry){strdup(path), directory, 0};
    mirror->announced++;
}

void mirror_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct mirror *mirror = user_data;
    bool directory = (event->mask & IN_ISDIR) != 0;
    struct mirror_entry *entry = find(mirror, event->path);

    const uint32_t loss = RINOTIFY_EVENT_RESCAN_BEGIN | RINOTIFY_EVENT_RESCAN_END;

    (void)watcher;
    CHECK_EQ(event->flags & ~(RINOTIFY_EVENT_SYNTHETIC | RINOTIFY_EVENT_ERROR |
                              RINOTIFY_EVENT_COVERAGE | (mirror->overflows ? loss : 0)),
             0);
    /* What cannot be read is missing in the mirror until it can. */
    if ((event->flags & RINOTIFY_EVENT_ERROR) != 0)
        CHECK_EQ(event->error, EACCES);
    if (event->name == NULL)
        return; /* about the root itself */
    if ((event->mask & IN_CREATE) != 0) {
        if (entry != NULL)
            check_fail(__FILE__, __LINE__, "announced twice: %s", event->path);
        add(mirror, event->path, directory);
        return;
    }
    if ((event->mask & IN_MOVED_TO) != 0) {
        char kept[32];

        snprintf(kept, sizeof kept, "%s", kept_path(event->cookie));
        take_away(mirror, event->path);
        if (event->old_path == NULL) {
            add(mirror, event->path, directory);
            return;
        }
        if (find(mirror, kept) == NULL)
            check_fail(__FILE__, __LINE__, "%s came from %s, but nothing was taken away there",
                       event->path, event->old_path);
        carry(mirror, kept, event->path);
        CHECK_EQ(find(mirror, event->path)->directory, directory);
        return;
    }
    if (mirror->many_writers && (event->mask & (IN_DELETE | IN_MOVED_FROM)) == 0)
        return;
    if (entry == NULL)
        check_fail(__FILE__, __LINE__, "event %x of an entry that is not there: %s", event->mask,
                   event->path);
    CHECK_EQ(entry->directory, directory);
    if ((event->mask & IN_DELETE) != 0)
        take_away(mirror, event->path);
    else if ((event->mask & IN_MOVED_FROM) != 0)
        carry(mirror, event->path, kept_path(event->cookie));
}

int64_t mirror_watch(inotify_watcher *watcher, const char *root, struct mirror *mirror)
{
    return CHECK_OK(inotify_watcher_watch(watcher, root, RINOTIFY_WATCH_MASK,
                                          TREE | RINOTIFY_WATCH_EMIT_EXISTING, mirror_event,
                                          mirror));
}

void mirror_note_inodes(struct mirror *mirror)
{
    for (size_t i = 0; i < mirror->count; i++) {
        struct stat status;

        CHECK_SYS(lstat(mirror->entries[i].path, &status));
        mirror->entries[i].inode = status.st_ino;
    }
}

/* nftw has no user data. */
static struct {
    const struct mirror *mirror;
    const char *file;
    int line;
    size_t seen;
} walk;

static int visit(const char *path, const struct stat *status, int type, struct FTW *at)
{
    struct mirror_entry *entry;

    (void)type;
    if (at->level == 0)
        return 0;
    entry = find(walk.mirror, path);
    if (entry == NULL)
        check_fail(walk.file, walk.line, "the mirror does not have %s", path);
    if (entry->directory != S_ISDIR(status->st_mode))
        check_fail(walk.file, walk.line, "the mirror has another type for %s", path);
    if (entry->inode != 0 && entry->inode != status->st_ino)
        check_fail(walk.file, walk.line,
                   "the mirror has inode %" PRIu64 " at %s, but it is %" PRIu64, entry->inode, path,
                   (uint64_t)status->st_ino);
    walk.seen++;
    return 0;
}

void mirror_expect(const char *file, int line, inotify_watcher *watcher, struct mirror *mirror,
                   const char *root)
{
    check_ok(file, line, "inotify_watcher_sync", inotify_watcher_sync(watcher));
    drain(watcher);
    for (size_t i = 0; i < mirror->count; i++) {
        if (mirror->entries[i].path[0] == '\n') {
            take_away(mirror, format("%.*s", (int)strcspn(mirror->entries[i].path, "/"),
                                     mirror->entries[i].path));
            i = (size_t)-1;
        }
    }
    walk.mirror = mirror;
    walk.file = file;
    walk.line = line;
    walk.seen = 0;
    CHECK_SYS(nftw(root, visit, 32, FTW_PHYS));
    if (walk.seen == mirror->count)
        return;
    for (size_t i = 0; i < mirror->count; i++) {
        struct stat status;

        if (lstat(mirror->entries[i].path, &status) == -1)
            check_fail(file, line, "the mirror has %s, but it is not there",
                       mirror->entries[i].path);
    }
    check_fail(file, line, "the mirror has an entry twice");
}

void mirror_clear(struct mirror *mirror)
{
    for (size_t i = 0; i < mirror->count; i++)
        free(mirror->entries[i].path);
    free(mirror->entries);
    memset(mirror, 0, sizeof *mirror);
}

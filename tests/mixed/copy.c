/* The copy of the tree: kept by the rules of docs/guarantees.md, from the events alone. An event
 * that contradicts it ends the run.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mixed.h"

#include <inttypes.h>

struct copy copy;

static bool is_at_or_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

bool is_left_out(const char *path)
{
    return plan.filter && strrchr(path, '/')[1] == 'x';
}

struct entry *copy_find(const char *path)
{
    for (size_t i = 0; i < copy.count; i++)
        if (strcmp(copy.entries[i].path, path) == 0)
            return &copy.entries[i];
    return NULL;
}

static void add(const char *path, bool directory)
{
    if (copy.count == copy.room) {
        copy.room = copy.room == 0 ? 64 : copy.room * 2;
        copy.entries = realloc(copy.entries, copy.room * sizeof *copy.entries);
        CHECK(copy.entries != NULL);
    }
    copy.entries[copy.count++] = (struct entry){.path = strdup(path), .directory = directory};
}

static void drop(const char *top, bool itself)
{
    size_t left = 0;

    for (size_t i = 0; i < copy.count; i++) {
        struct entry *entry = &copy.entries[i];

        if (is_at_or_below(entry->path, top) && (itself || strcmp(entry->path, top) != 0))
            free(entry->path);
        else
            copy.entries[left++] = *entry;
    }
    copy.count = left;
}

static void carry(const char *from, const char *to)
{
    size_t length = strlen(from);

    for (size_t i = 0; i < copy.count; i++) {
        char *path = copy.entries[i].path;

        if (is_at_or_below(path, from)) {
            copy.entries[i].path = strdup(format("%s%s", to, path + length));
            free(path);
        }
    }
}

/* What MOVED_FROM took away is kept under its cookie, at a path that no file has. */
static const char *kept_path(char *buffer, size_t size, uint32_t cookie)
{
    snprintf(buffer, size, "\n%" PRIu32, cookie);
    return buffer;
}

void copy_forget_kept(void)
{
    size_t left = 0;

    for (size_t i = 0; i < copy.count; i++) {
        if (copy.entries[i].path[0] == '\n')
            free(copy.entries[i].path);
        else
            copy.entries[left++] = copy.entries[i];
    }
    copy.count = left;
}

static void look(struct entry *entry)
{
    struct stat status, root;

    entry->look = (struct look){0};
    if (stat(ROOT, &root) == -1 || lstat(entry->path, &status) == -1 || S_ISDIR(status.st_mode))
        return;
    entry->look = (struct look){.done = true,
                                .root = root.st_ino,
                                .inode = status.st_ino,
                                .mode = status.st_mode,
                                .size = status.st_size,
                                .written = status.st_mtim};
}

static void look_below(const char *top)
{
    for (size_t i = 0; i < copy.count; i++)
        if (!copy.entries[i].directory && is_at_or_below(copy.entries[i].path, top))
            look(&copy.entries[i]);
}

void copy_begin(void)
{
    drop(ROOT, true);
    copy_forget_kept();
    copy.coverage = RINOTIFY_COVERAGE_COMPLETE;
    copy.root = !plan.follow;
}

void copy_release(void *user_data)
{
    (void)user_data;
    copy.released++;
}

int copy_filter(inotify_watcher *of, const inotify_watcher_directory *directory, void *user_data)
{
    (void)of;
    (void)user_data;
    return directory->name[0] != 'x';
}

static void note_event(const inotify_watcher_event *event)
{
    char words[200];

    /* There are thousands of these, to fill the queue. */
    if (event->mask == IN_ATTRIB && event->name != NULL && event->name[0] == 'f')
        return;
    inotify_watcher_mask_names(event->mask, words, sizeof words);
    note("      event %s %s%s%s flags %x error %d coverage %u cookie %u", words, event->path,
         event->old_path != NULL ? " <- " : "", event->old_path != NULL ? event->old_path : "",
         event->flags, event->error, event->coverage, event->cookie);
}

static void root_event(const inotify_watcher_event *event)
{
    CHECK(event->name == NULL);
    if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
        if (!copy.root)
            FAIL("the root goes, and was not there");
        copy.root = false;
    } else {
        CHECK((event->mask & (IN_CREATE | IN_MOVED_TO)) != 0);
        if ((event->mask & IN_CREATE) != 0 && copy.root && !copy.rescanning)
            FAIL("the root is made, and was there");
        copy.root = true;
    }
    drop(ROOT, false);
}

/* Nothing may be told from below a directory that is left out. */
static void check_way(const char *path)
{
    const char *component = path + strlen(ROOT) + 1, *slash;

    while (plan.filter && (slash = strchr(component, '/')) != NULL) {
        if (component[0] == 'x')
            FAIL("told of %s, which is left out", path);
        component = slash + 1;
    }
}

static void created(const inotify_watcher_event *event, bool directory, bool lax)
{
    const char *parent = format("%.*s", (int)(event->name - event->path - 1), event->path);
    struct entry *above = copy_find(parent);

    if (copy_find(event->path) != NULL && !lax)
        FAIL("announced twice: %s", event->path);
    if (strcmp(parent, ROOT) != 0 && !lax && (above == NULL || !above->directory))
        FAIL("announced before its directory: %s", event->path);
    drop(event->path, true);
    add(event->path, directory);
    look_below(event->path);
}

static void moved_to(const inotify_watcher_event *event, bool directory, bool lax)
{
    char kept[32];
    struct entry *entry;

    drop(event->path, true);
    if (event->old_path == NULL) {
        add(event->path, directory);
    } else if (copy_find(kept_path(kept, sizeof kept, event->cookie)) == NULL) {
        if (!lax)
            FAIL("%s came from %s, but nothing was taken away there", event->path,
                 event->old_path);
        add(event->path, directory);
    } else {
        carry(kept, event->path);
        entry = copy_find(event->path);
        if (entry->directory != directory && !lax)
            FAIL("%s is of another type than it was at %s", event->path, event->old_path);
        if (directory && is_left_out(event->path))
            drop(event->path, false);
    }
    look_below(event->path);
}

static void entry_event(const inotify_watcher_event *event)
{
    bool directory = (event->mask & IN_ISDIR) != 0, lax;
    struct entry *entry = copy_find(event->path);
    char kept[32];

    if (strncmp(event->path, ROOT "/", strlen(ROOT "/")) != 0)
        FAIL("told of %s, which is not below the root", event->path);
    if (!copy.root)
        FAIL("told of %s, but the root is not there", event->path);
    check_way(event->path);
    /* Where the library cannot know what the copy has. */
    lax = copy.rescanning || no_descriptors ||
          (copy.lost && !plan.track && (!directory || (entry != NULL && !entry->directory)));
    if ((event->mask & IN_CREATE) != 0) {
        created(event, directory, lax);
    } else if ((event->mask & IN_MOVED_TO) != 0) {
        moved_to(event, directory, lax);
    } else if ((event->mask & IN_UNMOUNT) != 0) {
        drop(event->path, false);
    } else if (entry == NULL) {
        if (!lax)
            FAIL("told of %s, which is not there", event->path);
    } else {
        if (entry->directory != directory && !lax)
            FAIL("%s is of another type", event->path);
        if ((event->mask & IN_DELETE) != 0)
            drop(event->path, true);
        else if ((event->mask & IN_MOVED_FROM) != 0)
            carry(event->path, kept_path(kept, sizeof kept, event->cookie));
        else
            look_below(event->path);
    }
}

void copy_event(inotify_watcher *of, const inotify_watcher_event *event, void *user_data)
{
    (void)user_data;
    CHECK(of == watcher);
    note_event(event);
    if (copy.ended || copy.released != 0)
        FAIL("an event after the last");
    if ((event->flags & RINOTIFY_EVENT_COVERAGE) != 0) {
        if (event->coverage == copy.coverage)
            FAIL("the same coverage is told twice");
        copy.coverage = event->coverage;
    } else if ((event->flags & RINOTIFY_EVENT_ERROR) != 0) {
        CHECK(event->error > 0);
    } else if ((event->mask & IN_Q_OVERFLOW) != 0) {
        copy.lost = true;
        if ((event->flags & RINOTIFY_EVENT_RESCAN_BEGIN) != 0)
            copy.rescanning = true;
    } else if ((event->flags & RINOTIFY_EVENT_RESCAN_END) != 0) {
        if (!copy.rescanning)
            FAIL("a repair ends that has not begun");
        copy.rescanning = false;
    } else if ((event->mask & IN_IGNORED) != 0) {
        copy.ended = true;
        drop(ROOT, true);
    } else if ((event->flags & RINOTIFY_EVENT_ROOT) != 0) {
        root_event(event);
    } else if (event->name != NULL) {
        entry_event(event);
    } else if ((event->mask & IN_UNMOUNT) != 0) {
        drop(ROOT, false);
    }
}

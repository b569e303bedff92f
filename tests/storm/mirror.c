/* The tree as a consumer has it who only believes the events, and the checks of each event
 * against it. The rules are those that the library promises to be enough:
 *
 * CREATE: the entry exists. DELETE: it and all below is gone. MOVED_FROM: it and all below is
 * taken away and kept under its cookie. MOVED_TO with old_path: what was kept stands here, in
 * place of whatever stood here; without: as CREATE.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STRUCTURE (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define SELF (IN_DELETE_SELF | IN_MOVE_SELF)

static struct node *node_new(struct node *parent, const char *name, size_t len, bool dir)
{
    struct node *node = must_alloc(NULL, sizeof(*node));

    memset(node, 0, sizeof(*node));
    node->name = must_alloc(NULL, len + 1);
    memcpy(node->name, name, len);
    node->name[len] = '\0';
    node->dir = dir;
    node->parent = parent;
    return node;
}

static void node_free(struct node *node)
{
    if (!node)
        return;
    for (unsigned i = 0; i < node->used; i++)
        node_free(node->kids[i]);
    free(node->kids);
    free(node->name);
    free(node);
}

static void attach(struct node *parent, struct node *node)
{
    if (parent->used == parent->room) {
        parent->room = parent->room ? parent->room * 2 : 8;
        parent->kids = must_alloc(parent->kids, parent->room * sizeof(*parent->kids));
    }
    parent->kids[parent->used++] = node;
    node->parent = parent;
}

static void detach(struct node *node)
{
    struct node *parent = node->parent;

    for (unsigned i = 0; i < parent->used; i++) {
        if (parent->kids[i] == node) {
            parent->kids[i] = parent->kids[--parent->used];
            break;
        }
    }
    node->parent = NULL;
}

struct node *mirror_child(const struct node *dir, const char *name, size_t len)
{
    for (unsigned i = 0; i < dir->used; i++) {
        if (strncmp(dir->kids[i]->name, name, len) == 0 && dir->kids[i]->name[len] == '\0')
            return dir->kids[i];
    }
    return NULL;
}

/* Follows `path` (no leading slash) up to `end`; NULL if it leaves the known directories. */
static struct node *descend(struct node *node, const char *path, const char *end)
{
    while (node && path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const char *stop = slash ? slash : end;

        node = node->dir ? mirror_child(node, path, (size_t)(stop - path)) : NULL;
        path = slash ? slash + 1 : end;
    }
    return node;
}

const struct node *mirror_find(const struct node *tree, const char *relative)
{
    return descend((struct node *)(uintptr_t)tree, relative, relative + strlen(relative));
}

uint64_t mirror_directories(const struct node *node)
{
    uint64_t count = 1;

    for (unsigned i = 0; i < node->used; i++) {
        if (node->kids[i]->dir && !node->kids[i]->left_out)
            count += mirror_directories(node->kids[i]);
    }
    return count;
}

uint64_t mirror_left_out(const struct node *node)
{
    uint64_t count = node->left_out;

    for (unsigned i = 0; i < node->used; i++)
        count += mirror_left_out(node->kids[i]);
    return count;
}

/* What the patterns and the filter of seed.c say: a hot name everywhere, and one in T/S alone, which
 * stays where it is, so that the path cannot change between the question and the event. */
bool mirror_wants(const struct watch *watch, const char *relative)
{
    const char *slash = strrchr(relative, '/');

    if (watch->kind != SECOND_FILTER && watch->kind != SECOND_ASK)
        return true;
    return strcmp(slash ? slash + 1 : relative, "b") != 0 && strcmp(relative, "S/c") != 0;
}

/* A directory has come to stand at this place: what is below one that is left out is not told. */
static void stand(const struct watch *watch, struct node *node, const char *path)
{
    node->left_out = node->dir && !mirror_wants(watch, path + watch->root_len + 1);
    while (node->left_out && node->used > 0)
        node_free(node->kids[--node->used]);
}

void watch_start(struct watch *watch, const char *label, const char *root, uint32_t mask,
                 uint32_t flags, enum second_kind kind)
{
    memset(watch, 0, sizeof(*watch));
    watch->label = label;
    watch->root = must_print("%s", root);
    watch->root_len = strlen(root);
    watch->mask = mask;
    watch->flags = flags;
    watch->kind = kind;
    watch->tree = node_new(NULL, "", 0, true);
}

/* What was moved away and did not come back is gone. */
void mirror_settle(struct watch *watch)
{
    while (watch->held) {
        struct held *held = watch->held;

        watch->held = held->next;
        node_free(held->node);
        free(held->path);
        free(held);
    }
}

void watch_free(struct watch *watch)
{
    mirror_settle(watch);
    node_free(watch->tree);
    free(watch->root);
    memset(watch, 0, sizeof(*watch));
}

/* The struct itself: strings, lengths and bits that belong together. False: do not go on. */
static bool check_fields(struct watch *watch, const inotify_watcher_event *e)
{
    uint32_t bits = e->mask & (uint32_t)IN_ALL_EVENTS;
    uint32_t always = IN_ISDIR | IN_IGNORED | IN_Q_OVERFLOW | IN_UNMOUNT | IN_DELETE_SELF;
    bool moved = (e->mask & (IN_MOVED_FROM | IN_MOVED_TO)) != 0;

    if (e->size < sizeof(*e))
        fail("fields", "size %zu of an event", e->size);
    if (watch->id != 0 && e->watch != watch->id)
        fail("fields", "event for watch %lld came with the user data of watch %lld",
             (long long)e->watch, (long long)watch->id);
    if (!e->path || strlen(e->path) != e->path_len) {
        fail("fields", "path and path_len do not agree");
        return false;
    }
    if (e->path_len < watch->root_len ||
        memcmp(e->path, watch->root, watch->root_len) != 0 ||
        (e->path[watch->root_len] != '\0' && e->path[watch->root_len] != '/')) {
        fail("outside", "path %s is not below the root %s", e->path, watch->root);
        return false;
    }
    if (e->path_len == watch->root_len ? e->name != NULL
                                       : e->name != strrchr(e->path, '/') + 1)
        fail("fields", "name does not point at the last component of %s", e->path);
    if ((bits & (bits - 1)) != 0)
        fail("fields", "two event bits in mask 0x%x of %s", e->mask, e->path);
    if ((e->mask & ~always & ~watch->mask) != 0 && !(e->flags & RINOTIFY_EVENT_SYNTHETIC))
        fail("mask", "mask 0x%x of %s, but 0x%x was asked for", e->mask, e->path, watch->mask);
    if (moved != (e->cookie != 0))
        fail("cookie", "cookie %u with mask 0x%x of %s", e->cookie, e->mask, e->path);
    if (e->old_path ? !(e->mask & IN_MOVED_TO) || strlen(e->old_path) != e->old_path_len
                    : e->old_path_len != 0)
        fail("fields", "old_path does not fit mask 0x%x of %s", e->mask, e->path);
    return true;
}

/* A root that was moved cannot be reached by its path any more, so that nothing can be looked at
 * there: whether files were exchanged, for one. What goes wrong with its mirror is a failure only
 * if the root turns out not to have moved. */
__attribute__((format(printf, 3, 4))) static void wrong(struct watch *watch, const char *class,
                                                        const char *format, ...)
{
    char text[sizeof(fail_text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (faults_excuse) {
        log_note("EXCUSED [%s] %s", class, text);
        watch->confused = true;
        shared->totals.fault_excused++;
        return;
    }
    if (overflow_excuses(watch, false)) {
        log_note("EXCUSED [%s] %s", class, text);
        return;
    }
    if (watch->kind != SECOND_VOLATILE) {
        fail(class, "%s", text);
        return;
    }
    if (!watch->lost)
        log_note("LOST [%s] %s", class, text);
    watch->lost = true;
}

static void identify(const struct watch *watch, struct node *node,
                     const inotify_watcher_event *e)
{
    int writer;
    unsigned number;
    char kind;

    /* Only what the kernel itself reported at the time it appeared: a listing may have found
     * something else under that name by then. */
    if (watch->overflowed || (e->flags & RINOTIFY_EVENT_SYNTHETIC) ||
        sscanf(node->name, "%c%d_%u", &kind, &writer, &number) != 3 ||
        writer < 0 || writer > MAX_WRITERS || number >= MAX_UNIQUE)
        return;
    if ((kind == 'u' && (e->mask & IN_CREATE) && !node->dir) ||
        (kind == 'v' && (e->mask & IN_MOVED_TO) && node->dir)) {
        node->id_writer = writer;
        node->id_number = number;
    }
}

/* Is what stands at the target of a rename something that a rename can replace? */
static void check_over(const struct node *over, bool dir, const char *path)
{
    if (over->dir != dir || over->used > 0) {
        shared->totals.odd_over++;
        if (opt.strict_order)
            fail("over", "%s arrived at %s, where a %s stood", dir ? "a directory" : "a file",
                 path, over->dir ? "directory with entries" : "file");
    }
}

static void moved_to(struct watch *watch, struct node *parent, struct node *node,
                     const inotify_watcher_event *e, bool dir)
{
    struct held **at = &watch->held;
    struct node *arrived;

    while (*at && (*at)->cookie != e->cookie)
        at = &(*at)->next;
    if (!e->old_path) {
        if (*at)
            wrong(watch, "pair", "%s: MOVED_TO without old_path, but cookie %u was taken from %s",
                 e->path, e->cookie, (*at)->path);
        if (node) {
            check_over(node, dir, e->path);
            detach(node);
            node_free(node);
        }
        arrived = node_new(parent, e->name, strlen(e->name), dir);
        attach(parent, arrived);
        stand(watch, arrived, e->path);
        identify(watch, arrived, e);
        return;
    }
    if (!*at) {
        if (!overflow_excuses(watch, !dir)) {
            wrong(watch, "pair", "%s: MOVED_TO from %s, but nothing is kept under cookie %u",
                  e->path, e->old_path, e->cookie);
            return;
        }
        if (node) {
            detach(node);
            node_free(node);
        }
        attach(parent, node_new(parent, e->name, strlen(e->name), dir));
        return;
    }
    struct held *held = *at;
    if (strcmp(held->path, e->old_path) != 0)
        wrong(watch, "pair", "%s: MOVED_TO from %s, but cookie %u was taken from %s", e->path,
             e->old_path, e->cookie, held->path);
    arrived = held->node;
    *at = held->next;
    free(held->path);
    free(held);
    if (node) {
        check_over(node, dir, e->path);
        detach(node);
        node_free(node);
    }
    if (arrived->dir != dir)
        wrong(watch, "type", "%s: MOVED_TO of a %s that left as a %s", e->path,
             dir ? "directory" : "file", arrived->dir ? "directory" : "file");
    free(arrived->name);
    arrived->name = must_print("%s", e->name);
    attach(parent, arrived);
    stand(watch, arrived, e->path);
}

static void structure(struct watch *watch, struct node *parent, struct node *node,
                      const inotify_watcher_event *e)
{
    bool dir = (e->mask & IN_ISDIR) != 0;

    if (e->mask & IN_CREATE) {
        if (node && overflow_excuses(watch, !node->dir)) {
            if (node->dir == dir)
                return;
            detach(node);
            node_free(node);
            node = NULL;
        }
        if (node) {
            wrong(watch, "twice", "%s: CREATE%s of what is there already", e->path,
                 (e->flags & RINOTIFY_EVENT_SYNTHETIC) ? " (synthetic)" : "");
            return;
        }
        node = node_new(parent, e->name, strlen(e->name), dir);
        attach(parent, node);
        stand(watch, node, e->path);
        identify(watch, node, e);
        return;
    }
    if (e->mask & IN_MOVED_TO) {
        moved_to(watch, parent, node, e, dir);
        return;
    }
    if (!node) {
        if (!overflow_excuses(watch, !dir))
            wrong(watch, "unknown", "%s: %s of what is not there", e->path,
                  (e->mask & IN_DELETE) ? "DELETE" : "MOVED_FROM");
        return;
    }
    if (node->dir != dir) {
        shared->totals.odd_type++;
        if (opt.strict_order)
            wrong(watch, "type", "%s: mask 0x%x, but it is a %s", e->path, e->mask,
                 node->dir ? "directory" : "file");
    }
    detach(node);
    if (e->mask & IN_DELETE) {
        node_free(node);
        return;
    }
    struct held *held = must_alloc(NULL, sizeof(*held));
    held->cookie = e->cookie;
    held->path = must_print("%s", e->path);
    held->node = node;
    held->next = watch->held;
    watch->held = held;
    for (const struct held *other = held->next; other; other = other->next) {
        if (other->cookie == e->cookie)
            wrong(watch, "pair", "cookie %u at once for %s and %s", e->cookie, other->path,
                  e->path);
    }
}

/* Events without a name: about the root, the queue or the watch as a whole. */
static void root_event(struct watch *watch, const inotify_watcher_event *e)
{
    if ((e->mask & IN_Q_OVERFLOW) ||
        (e->flags & (RINOTIFY_EVENT_RESCAN_BEGIN | RINOTIFY_EVENT_RESCAN_END))) {
        overflow_event(watch, e);
        return;
    }
    if (e->mask & STRUCTURE)
        fail("fields", "mask 0x%x for the root", e->mask);
    if ((e->mask & IN_ATTRIB) && !(e->flags & RINOTIFY_EVENT_SYNTHETIC))
        watch->attribs++;
    if (e->mask & IN_DELETE_SELF) {
        if (watch->self_gone)
            fail("twice", "DELETE_SELF of the root twice");
        watch->self_gone = true;
    }
    if (e->mask & IN_MOVE_SELF)
        watch->self_moved = true;
    if (e->mask & IN_IGNORED)
        watch->ended = true;
    if (watch->kind != SECOND_VOLATILE && (e->mask & (SELF | IN_IGNORED | IN_UNMOUNT)))
        fail("root", "mask 0x%x for the root, which never went away", e->mask);
}

void mirror_event(struct watch *watch, const inotify_watcher_event *e)
{
    watch->events++;
    watch->changes += !((e->mask & IN_CREATE) && (e->flags & RINOTIFY_EVENT_SYNTHETIC));
    if (!check_fields(watch, e) || fail_class)
        return;
    if (!watch->alive && watch->id != 0) {
        fail("ended", "%s: mask 0x%x after the watch was ignored", e->path, e->mask);
        return;
    }
    if (watch->ended) {
        fail("ended", "%s: mask 0x%x after the watch's IGNORED", e->path, e->mask);
        return;
    }
    if (e->flags & RINOTIFY_EVENT_ERROR) {
        /* A root that was moved has no path any more by which something new could be opened. */
        watch->faulted = true;
        shared->totals.fault_errors++;
        if (watch->kind == SECOND_VOLATILE)
            watch->lost = true;
        else if (!opt.allow_errors && !faults_excuse)
            fail("error", "%s: error %d", e->path, e->error);
        return;
    }
    if (!e->name) {
        root_event(watch, e);
        return;
    }
    /* A watch of its own goes with its root, wherever that is moved. */
    if (e->name[0] == 'X' && e->name[1] != '\0' && watch->kind != SECOND_VOLATILE) {
        fail("outside", "%s was made outside of the tree", e->path);
        return;
    }
    if (watch->kind == SECOND_CLOSE || watch->lost)
        return; /* names files that it was never told of */

    const char *below = e->path + watch->root_len + 1;
    struct node *parent =
        e->name > below ? descend(watch->tree, below, e->name - 1) : watch->tree;
    if (!parent || !parent->dir) {
        wrong(watch, "orphan", "%s: mask 0x%x in a directory that is not there", e->path, e->mask);
        return;
    }
    if (watch->kind == SECOND_FLAT && parent != watch->tree) {
        fail("deep", "%s: mask 0x%x for a watch that is not recursive", e->path, e->mask);
        return;
    }
    if (parent->left_out) {
        fail("left out", "%s: mask 0x%x in a directory that is left out", e->path, e->mask);
        return;
    }
    struct node *node = mirror_child(parent, e->name, strlen(e->name));
    if (e->mask & STRUCTURE) {
        structure(watch, parent, node, e);
        if (e->mask & (IN_CREATE | IN_MOVED_TO))
            look(watch, mirror_child(parent, e->name, strlen(e->name)), e->path);
        return;
    }
    if (node)
        look(watch, node, e->path);
    if ((e->mask & IN_ATTRIB) && !(e->flags & RINOTIFY_EVENT_SYNTHETIC))
        watch->attribs++;
    if (e->mask & (SELF | IN_IGNORED))
        fail("self", "%s: mask 0x%x, which its parent tells too", e->path, e->mask);
    if (!node) {
        /* A writer's change of a file and another's removal of its name are not ordered by any
         * lock, so the kernel itself may queue them the wrong way round. */
        if (running && running->plan->writers == 1 && !overflow_excuses(watch, true))
            wrong(watch, "unknown", "%s: mask 0x%x of what is not there", e->path, e->mask);
        else
            shared->totals.late++;
    } else if (node->dir != ((e->mask & IN_ISDIR) != 0)) {
        shared->totals.odd_type++;
        if (opt.strict_order)
            wrong(watch, "type", "%s: mask 0x%x, but it is a %s", e->path, e->mask,
                 node->dir ? "directory" : "file");
    }
}

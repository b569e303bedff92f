/* Damages one event, or one watch, on purpose: the oracle must see it, or it proves nothing.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdlib.h>
#include <string.h>

enum damage {
    DROP,      /* the event is lost */
    DEAF,      /* and every other one like it that follows */
    TWICE,     /* it comes again */
    PATH,      /* it names another entry */
    PLACE,     /* it names another directory */
    OUTSIDE,   /* it is not below the root */
    TYPE,      /* a file is called a directory, or the other way round */
    NO_OLD,    /* the pair is not made */
    WRONG_OLD, /* the pair is made with the wrong place */
    COOKIE,    /* the pair is made with the wrong cookie */
    IDENTITY,  /* a file is taken for another one */
    LEAK,      /* a kernel watch too many */
    LOSE       /* a kernel watch too few */
};

static const struct kind {
    const char *name;
    enum damage damage;
    uint32_t mask;
} kinds[] = {
    {"drop-create", DROP, IN_CREATE},
    {"drop-delete", DROP, IN_DELETE},
    {"drop-from", DROP, IN_MOVED_FROM},
    {"drop-to", DROP, IN_MOVED_TO},
    {"drop-writes", DEAF, IN_MODIFY},
    {"twice-create", TWICE, IN_CREATE},
    {"twice-delete", TWICE, IN_DELETE},
    {"twice-from", TWICE, IN_MOVED_FROM},
    {"wrong-name", PATH, IN_CREATE | IN_DELETE | IN_MOVED_FROM},
    {"wrong-place", PLACE, IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB},
    {"outside", OUTSIDE, IN_CREATE | IN_MODIFY},
    {"wrong-type", TYPE, IN_CREATE},
    {"no-old-path", NO_OLD, IN_MOVED_TO},
    {"wrong-old-path", WRONG_OLD, IN_MOVED_TO},
    {"wrong-cookie", COOKIE, IN_MOVED_TO},
    {"identity", IDENTITY, IN_CREATE},
    {"leak-watch", LEAK, 0},
    {"lose-watch", LOSE, 0},
};

static const struct kind *active;
static unsigned skip;
static bool hit;
static int last_writer;
static unsigned last_number;

static const struct kind *lookup(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

bool sabotage_known(const char *kind)
{
    return lookup(kind) != NULL;
}

void sabotage_list(FILE *out)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        fprintf(out, "%s\n", kinds[i].name);
}

void sabotage_reset(uint64_t seed)
{
    active = opt.sabotage ? lookup(opt.sabotage) : NULL;
    skip = (unsigned)(seed * 7 % 23);
    hit = false;
    last_number = 0;
}

static void hit_now(const char *path)
{
    hit = true;
    shared->totals.sabotaged++;
    log_note("SABOTAGE %s at %s", active->name, path);
}

static void take_for_another(struct watch *watch, const inotify_watcher_event *e)
{
    struct node *node = (struct node *)(uintptr_t)mirror_find(
        watch->tree, e->path + watch->root_len + 1);

    if (!node || !node->id_number)
        return;
    if (last_number && (last_number != node->id_number || last_writer != node->id_writer)) {
        if (skip > 0) {
            skip--;
        } else {
            hit_now(e->path);
            node->id_number = last_number;
            node->id_writer = last_writer;
        }
    }
    if (!hit) {
        last_number = node->id_number;
        last_writer = node->id_writer;
    }
}

void sabotage_event(struct watch *watch, const inotify_watcher_event *event,
                    void (*deliver)(struct watch *, const inotify_watcher_event *))
{
    inotify_watcher_event changed = *event;
    char *path = NULL;

    if (active && active->damage == DEAF && hit && (event->mask & active->mask))
        return;
    if (!active || hit || !event->name || !(event->mask & active->mask) ||
        (active->mask == IN_MOVED_TO && active->damage != DROP && !event->old_path)) {
        deliver(watch, event);
        return;
    }
    if (active->damage == IDENTITY) {
        deliver(watch, event);
        take_for_another(watch, event);
        return;
    }
    if (skip > 0) {
        skip--;
        deliver(watch, event);
        return;
    }
    hit_now(event->path);
    switch (active->damage) {
    case DROP:
    case DEAF:
        return;
    case TWICE:
        deliver(watch, event);
        break;
    case PATH:
        path = must_print("%s_", event->path);
        break;
    case PLACE:
        path = must_print("%.*snot-there/%s", (int)(event->name - event->path), event->path,
                          event->name);
        break;
    case OUTSIDE:
        path = must_print("/elsewhere/%s", event->name);
        break;
    case TYPE:
        changed.mask ^= IN_ISDIR;
        break;
    case NO_OLD:
        changed.old_path = NULL;
        changed.old_path_len = 0;
        break;
    case WRONG_OLD:
        path = must_print("%s_", event->old_path);
        changed.old_path = path;
        changed.old_path_len = strlen(path);
        break;
    case COOKIE:
        changed.cookie ^= 0x40000000;
        break;
    default:
        break;
    }
    if (path && active->damage != WRONG_OLD) {
        changed.path = path;
        changed.path_len = strlen(path);
        changed.name = strrchr(path, '/') + 1;
    }
    deliver(watch, &changed);
    free(path);
}

static int lose_one(const inotify_watcher_watchpoint *point, void *data)
{
    inotify_watcher *watcher = data;

    hit_now(point->path);
    (void)inotify_rm_watch(inotify_watcher_fileno(watcher), point->wd);
    return 1;
}

/* Behind the library's back, before the tables are compared. */
void sabotage_tables(inotify_watcher *watcher)
{
    if (!active || hit)
        return;
    if (active->damage == LEAK) {
        hit_now("X");
        (void)inotify_add_watch(inotify_watcher_fileno(watcher), "X", IN_UNMOUNT);
    } else if (active->damage == LOSE) {
        (void)inotify_watcher_for_each_watchpoint(watcher, lose_one, watcher);
    }
}

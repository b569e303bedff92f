/* What happened, for the report of a failure: the writers' system calls, the kernel's events as
 * the library read them, and what it delivered, in one sequence.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum kind { DELIVERED, KERNEL, NOTE };

static struct entry {
    uint64_t time;
    enum kind kind;
    const char *label;
    uint32_t mask, cookie, flags;
    int32_t error;
    size_t at, len;     /* of the path, the kernel's bytes or the note, in `text` */
    size_t old, has_old;
} *entries;
static size_t used, room;
static char *text;
static size_t text_used, text_room;

static size_t keep(const void *data, size_t len)
{
    size_t at = text_used;

    if (text_used + len + 1 > text_room) {
        text_room = (text_used + len + 1) * 2 + 65536;
        text = must_alloc(text, text_room);
    }
    memcpy(text + at, data, len);
    text[at + len] = '\0';
    text_used += len + 1;
    return at;
}

static struct entry *entry_new(enum kind kind)
{
    if (used == room) {
        room = room * 2 + 1024;
        entries = must_alloc(entries, room * sizeof(*entries));
    }
    struct entry *entry = &entries[used++];
    memset(entry, 0, sizeof(*entry));
    entry->kind = kind;
    entry->time = now_ns();
    return entry;
}

void log_reset(void)
{
    used = 0;
    text_used = 0;
}

void log_delivered(const struct watch *watch, const inotify_watcher_event *e)
{
    struct entry *entry = entry_new(DELIVERED);

    entry->label = watch->label;
    entry->mask = e->mask;
    entry->cookie = e->cookie;
    entry->flags = e->flags;
    entry->error = e->error;
    entry->at = e->path ? keep(e->path, strlen(e->path)) : keep("(null)", 6);
    if (e->old_path) {
        entry->old = keep(e->old_path, strlen(e->old_path));
        entry->has_old = 1;
    }
}

void log_kernel(const void *data, size_t len)
{
    struct entry *entry = entry_new(KERNEL);

    entry->len = len;
    entry->at = keep(data, len);
}

void log_note(const char *format, ...)
{
    char line[1400];
    struct entry *entry = entry_new(NOTE);
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    entry->at = keep(line, strlen(line));
}

/* One line of the report: an entry, or a writer's record. */
struct line {
    uint64_t time;
    const struct entry *entry;
    const struct op_record *record;
    int writer;
    size_t number;
};

static int by_time(const void *left, const void *right)
{
    const struct line *a = left, *b = right;

    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static const char *names(uint32_t mask)
{
    static char buffer[256];

    buffer[0] = '\0';
    (void)inotify_watcher_mask_names(mask, buffer, sizeof(buffer));
    return buffer;
}

static void print_kernel(const struct entry *entry, FILE *out)
{
    size_t at = 0;

    fprintf(out, "kernel  read of %zu bytes\n", entry->len);
    while (at + sizeof(struct inotify_event) <= entry->len) {
        struct inotify_event event;

        memcpy(&event, text + entry->at + at, sizeof(event));
        fprintf(out, "%14s kernel  wd %d %s", "", event.wd, names(event.mask));
        if (event.cookie)
            fprintf(out, " cookie %u", event.cookie);
        if (event.len)
            fprintf(out, " %s", text + entry->at + at + sizeof(event));
        fputc('\n', out);
        at += sizeof(event) + event.len;
    }
}

static void print_entry(const struct entry *entry, FILE *out)
{
    if (entry->kind == NOTE) {
        fprintf(out, "note    %s\n", text + entry->at);
        return;
    }
    if (entry->kind == KERNEL) {
        print_kernel(entry, out);
        return;
    }
    fprintf(out, "told    [%s] %s%s%s%s %s", entry->label, names(entry->mask),
            (entry->flags & RINOTIFY_EVENT_SYNTHETIC) ? " synthetic" : "",
            (entry->flags & RINOTIFY_EVENT_RESCAN_BEGIN) ? " rescan-begin" : "",
            (entry->flags & RINOTIFY_EVENT_RESCAN_END) ? " rescan-end" : "", text + entry->at);
    if (entry->has_old)
        fprintf(out, " from %s", text + entry->old);
    if (entry->cookie)
        fprintf(out, " cookie %u", entry->cookie);
    if (entry->flags & RINOTIFY_EVENT_ERROR)
        fprintf(out, " error %d", entry->error);
    fputc('\n', out);
}

void log_dump(const struct plan *plan, FILE *out)
{
    size_t count = used, at = 0;
    struct line *lines;

    plan_print(plan, out);
    for (int i = 0; i <= MAX_WRITERS; i++)
        count += shared->writer[i].used;
    lines = must_alloc(NULL, (count + 1) * sizeof(*lines));
    for (size_t i = 0; i < used; i++, at++)
        lines[at] = (struct line){.time = entries[i].time, .entry = &entries[i], .number = i};
    for (int w = 0; w <= MAX_WRITERS; w++) {
        for (uint32_t i = 0; i < shared->writer[w].used && at < count; i++, at++) {
            const struct op_record *record = &shared->writer[w].record[i];
            lines[at] = (struct line){
                .time = record->start, .record = record, .writer = w, .number = i};
        }
    }
    qsort(lines, at, sizeof(*lines), by_time);
    for (size_t i = 0; i < at; i++) {
        fprintf(out, "%+14.3f ", (double)(lines[i].time - lines[0].time) / 1000);
        if (lines[i].record) {
            const struct op_record *record = lines[i].record;
            fprintf(out, "writer%d %s %s %s = %d (%.1f us)\n", lines[i].writer, record->what,
                    record->path, record->other, record->result,
                    (double)(record->end - record->start) / 1000);
        } else {
            print_entry(lines[i].entry, out);
        }
    }
    free(lines);
}

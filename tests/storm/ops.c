/* What the writers do. Nobody looks before he leaps: names are drawn at random from a small pool,
 * so that most collide with what the others do, and a call that fails costs little.
 *
 * Three directories are used, all relative to the current one: T is watched, O is outside, X is
 * outside too and nothing ever comes back from it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 256

/* The lower of two draws: early names are hot. */
static char pool_name(struct writer *w)
{
    unsigned pool = (unsigned)w->plan->pool;
    unsigned one = rng_below(&w->rng, pool), two = rng_below(&w->rng, pool);

    return (char)('a' + (one < two ? one : two));
}

static void add_component(char *path, char name)
{
    size_t len = strlen(path);

    if (len + 3 < PATH_SIZE) {
        path[len] = '/';
        path[len + 1] = name;
        path[len + 2] = '\0';
    }
}

/* A directory of the tree, perhaps; T/S is there in every seed and stays. */
static void pick_dir(struct writer *w, char *path)
{
    unsigned depth = rng_below(&w->rng, (unsigned)w->plan->depth);

    strcpy(path, rng_one_in(&w->rng, 5) ? "T/S" : "T");
    for (unsigned i = 0; i < depth; i++)
        add_component(path, pool_name(w));
}

/* Where an entry of the tree is or may be made. Never a unique name: those are used once. */
static void pick_new(struct writer *w, char *path)
{
    pick_dir(w, path);
    add_component(path, pool_name(w));
}

/* An entry of the tree, perhaps. */
static void pick(struct writer *w, char *path)
{
    const char *recent = w->recent[rng_below(&w->rng, 16)];

    if (*recent && rng_one_in(&w->rng, 10))
        strcpy(path, recent);
    else
        pick_new(w, path);
}

static void pick_outside(struct writer *w, char *path)
{
    strcpy(path, "O");
    if (rng_one_in(&w->rng, 3))
        add_component(path, pool_name(w));
    add_component(path, pool_name(w));
}

/* A name never used before, in a directory of the tree; false when they are used up. */
static bool pick_unique(struct writer *w, char kind, char *path)
{
    size_t len;

    if (w->unique + 1 >= MAX_UNIQUE)
        return false;
    w->unique++;
    pick_dir(w, path);
    len = strlen(path);
    if (len + 16 > PATH_SIZE)
        return false;
    snprintf(path + len, PATH_SIZE - len, "/%c%d_%u", kind, w->index, w->unique);
    strcpy(w->recent[w->recent_next++ % 16], path);
    return true;
}

static void op_create(struct writer *w)
{
    char path[PATH_SIZE];

    pick_new(w, path);
    (void)do_create(w, path, rng_one_in(&w->rng, 2) ? O_EXCL : 0, rng_below(&w->rng, 3));
}

static void op_unique(struct writer *w)
{
    char path[PATH_SIZE];

    if (pick_unique(w, 'u', path))
        (void)do_create(w, path, O_EXCL, rng_below(&w->rng, 2));
}

static void op_write(struct writer *w)
{
    char path[PATH_SIZE];

    pick(w, path);
    (void)do_write(w, path, rng_one_in(&w->rng, 3) ? O_TRUNC : O_APPEND);
}

static void op_unlink(struct writer *w)
{
    char path[PATH_SIZE];

    pick(w, path);
    (void)do_unlink(w, path);
}

static void op_mkdir(struct writer *w)
{
    char path[PATH_SIZE];

    pick_new(w, path);
    (void)do_mkdir(w, path);
}

static void op_rmdir(struct writer *w)
{
    char path[PATH_SIZE];

    pick(w, path);
    (void)do_rmdir(w, path);
}

/* mkdir -p with files inside at once. */
static void op_mkchain(struct writer *w)
{
    char path[PATH_SIZE], file[PATH_SIZE + 4];
    unsigned depth = 1 + rng_below(&w->rng, 5);

    pick_dir(w, path);
    for (unsigned i = 0; i < depth; i++) {
        add_component(path, pool_name(w));
        if (do_mkdir(w, path) == -ENOTDIR)
            return;
        for (unsigned files = rng_below(&w->rng, 4); files > 0; files--) {
            snprintf(file, sizeof(file), "%s/%c", path, pool_name(w));
            (void)do_create(w, file, 0, files == 1);
        }
    }
}

/* A directory with children in each: cp -a, tar. */
static void plant(struct writer *w, const char *top, unsigned depth)
{
    char path[PATH_SIZE];

    if (do_mkdir(w, top) < 0 || strlen(top) + 8 > PATH_SIZE)
        return;
    for (unsigned i = rng_below(&w->rng, 4); i > 0; i--) {
        snprintf(path, sizeof(path), "%s/%c", top, pool_name(w));
        if (depth > 0 && rng_one_in(&w->rng, 2))
            plant(w, path, depth - 1);
        else
            (void)do_create(w, path, 0, 0);
    }
}

static void op_tree(struct writer *w)
{
    char path[PATH_SIZE];

    pick_new(w, path);
    plant(w, path, 3);
}

static void op_rm_rf(struct writer *w)
{
    char path[PATH_SIZE];

    pick(w, path);
    do_rm_rf(w, path);
}

static void op_rename(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    pick(w, from);
    pick_new(w, to);
    (void)do_rename(w, from, to, rng_one_in(&w->rng, 4) ? RENAME_NOREPLACE : 0);
}

/* Renames that only the order of events tells apart from an exchange, or from each other. */
static void op_shuffle(struct writer *w)
{
    char one[PATH_SIZE], two[PATH_SIZE], three[PATH_SIZE];

    pick_new(w, one);
    pick_new(w, two);
    switch (rng_below(&w->rng, 5)) {
    case 0:
        (void)do_rename(w, one, two, 0);
        (void)do_rename(w, two, one, 0);
        break;
    case 1:
        pick_new(w, three);
        (void)do_rename(w, one, three, 0);
        (void)do_rename(w, two, one, 0);
        (void)do_rename(w, three, two, 0);
        break;
    case 2:
        (void)do_rename(w, one, two, 0);
        (void)do_rename(w, two, one, 0);
        (void)do_create(w, two, 0, 0);
        break;
    case 3:
        (void)do_rename(w, one, two, 0);
        (void)do_unlink(w, two);
        (void)do_rmdir(w, two);
        break;
    default:
        (void)do_rename(w, one, two, 0);
        (void)do_create(w, one, O_EXCL, 0);
        (void)do_rename(w, two, one, 0);
        break;
    }
}

/* A new directory is renamed before anybody can have watched it. */
static void op_fresh(struct writer *w)
{
    char path[PATH_SIZE], to[PATH_SIZE], file[PATH_SIZE + 4];

    pick_new(w, path);
    pick_new(w, to);
    if (do_mkdir(w, path) < 0)
        return;
    snprintf(file, sizeof(file), "%s/%c", path, pool_name(w));
    (void)do_create(w, file, 0, 0);
    (void)do_rename(w, path, to, 0);
    snprintf(file, sizeof(file), "%s/%c", to, pool_name(w));
    (void)do_create(w, file, 0, 0);
    if (rng_one_in(&w->rng, 3))
        do_rm_rf(w, to);
}

static void op_move_out(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    pick(w, from);
    pick_outside(w, to);
    if (rng_one_in(&w->rng, 2))
        do_rm_rf(w, to);
    if (do_rename(w, from, to, 0) == 0 && rng_one_in(&w->rng, 2)) {
        size_t len = strlen(to);
        snprintf(to + len, sizeof(to) - len, "/%c", pool_name(w));
        (void)do_create(w, to, 0, 1);
    }
}

static void op_move_in(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    pick_outside(w, from);
    pick_new(w, to);
    if (rng_one_in(&w->rng, 2)) {
        do_rm_rf(w, from);
        plant(w, from, 3);
    }
    if (do_rename(w, from, to, 0) == 0 && rng_one_in(&w->rng, 2)) {
        size_t len = strlen(to);
        if (len + 3 < sizeof(to)) {
            snprintf(to + len, sizeof(to) - len, "/%c", pool_name(w));
            (void)do_create(w, to, 0, 1);
        }
    }
}

/* Out for good; what is made there afterwards has a name that no event may carry. */
static void op_move_away(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    pick(w, from);
    snprintf(to, sizeof(to), "X/x%d_%u", w->index, ++w->unique);
    if (do_rename(w, from, to, 0) == 0) {
        do_mark_outside(w, to, "X1");
        do_mark_outside(w, to, "X2");
    }
}

/* A directory under a unique name, whose inode is known, moved in from a place of its own. */
static void op_unique_dir(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    struct stat st;

    if (!pick_unique(w, 'v', to))
        return;
    snprintf(from, sizeof(from), "X/p%d_%u", w->index, w->unique);
    if (do_mkdir(w, from) < 0)
        return;
    if (lstat(from, &st) == 0)
        w->log->inode[w->unique] = st.st_ino;
    if (rng_one_in(&w->rng, 2)) {
        char file[PATH_SIZE + 4];
        snprintf(file, sizeof(file), "%s/%c", from, pool_name(w));
        (void)do_create(w, file, 0, 0);
    }
    if (do_rename(w, from, to, RENAME_NOREPLACE) < 0)
        do_rm_rf(w, from);
}

/* A v-name stands for one arrival; an exchange under it could look like another. */
static bool arrival_name(const char *path)
{
    const char *name = strrchr(path, '/');

    return name && name[1] == 'v';
}

static void op_exchange(struct writer *w)
{
    char one[PATH_SIZE], two[PATH_SIZE];

    pick(w, one);
    if (rng_one_in(&w->rng, 4))
        pick_outside(w, two);
    else
        pick(w, two);
    if (arrival_name(one) || arrival_name(two))
        return;
    if (do_rename(w, one, two, RENAME_EXCHANGE) == 0 && rng_one_in(&w->rng, 3)) {
        if (rng_one_in(&w->rng, 2))
            (void)do_rename(w, one, two, RENAME_EXCHANGE);
        else
            (void)do_unlink(w, rng_one_in(&w->rng, 2) ? one : two);
    }
}

/* Never "..", by which one link after the other would lead out of the scratch directory. */
static void op_symlink(struct writer *w)
{
    static const char *const targets[] = {".", "a", "b/c", "S", "nowhere", "T", "O"};
    char path[PATH_SIZE], here[PATH_MAX - 8], target[PATH_MAX];
    const char *to = targets[rng_below(&w->rng, 7)];

    pick_new(w, path);
    if ((*to == 'T' || *to == 'O') && getcwd(here, sizeof(here))) {
        snprintf(target, sizeof(target), "%s/%s", here, to);
        to = target;
    }
    (void)do_symlink(w, to, path);
}

static void op_link(struct writer *w)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    if (rng_one_in(&w->rng, 4))
        pick_outside(w, from);
    else
        pick(w, from);
    pick_dir(w, to);
    add_component(to, pool_name(w));
    (void)do_link(w, from, to);
}

static void op_fifo(struct writer *w)
{
    char path[PATH_SIZE];

    pick_new(w, path);
    (void)do_fifo(w, path);
}

static void op_tmpfile(struct writer *w)
{
    char dir[PATH_SIZE], path[PATH_SIZE];

    pick_dir(w, dir);
    pick_dir(w, path);
    add_component(path, pool_name(w));
    (void)do_tmpfile(w, dir, path);
}

/* The same name goes and comes again, perhaps as something else. */
static void op_again(struct writer *w)
{
    char path[PATH_SIZE], file[PATH_SIZE + 4];

    pick_new(w, path);
    for (unsigned i = 1 + rng_below(&w->rng, 4); i > 0; i--) {
        do_rm_rf(w, path);
        if (rng_one_in(&w->rng, 2)) {
            (void)do_create(w, path, O_EXCL, 0);
        } else if (do_mkdir(w, path) == 0) {
            snprintf(file, sizeof(file), "%s/%c", path, pool_name(w));
            (void)do_create(w, file, 0, 0);
        }
    }
}

static void op_chmod(struct writer *w)
{
    static const mode_t modes[] = {0700, 0711, 0755, 0750};
    char path[PATH_SIZE];

    if (rng_one_in(&w->rng, 20))
        strcpy(path, "T");
    else
        pick(w, path);
    (void)do_chmod(w, path, modes[rng_below(&w->rng, 4)]);
}

const struct op ops[] = {
    {"create", 10, op_create},     {"unique", 6, op_unique},       {"write", 5, op_write},
    {"unlink", 6, op_unlink},      {"mkdir", 8, op_mkdir},         {"rmdir", 4, op_rmdir},
    {"mkchain", 6, op_mkchain},    {"tree", 3, op_tree},           {"rmrf", 3, op_rm_rf},
    {"rename", 12, op_rename},     {"shuffle", 5, op_shuffle},     {"fresh", 4, op_fresh},
    {"out", 3, op_move_out},       {"in", 4, op_move_in},          {"away", 2, op_move_away},
    {"uniquedir", 3, op_unique_dir}, {"exchange", 6, op_exchange}, {"symlink", 2, op_symlink},
    {"link", 2, op_link},          {"fifo", 1, op_fifo},           {"tmpfile", 1, op_tmpfile},
    {"again", 4, op_again},        {"chmod", 4, op_chmod},
};
const int op_count = (int)(sizeof(ops) / sizeof(ops[0]));

void writer_start(struct writer *w, const struct plan *plan, int index)
{
    memset(w, 0, sizeof(*w));
    w->plan = plan;
    w->index = index;
    w->log = &shared->writer[index];
    rng_seed(&w->rng, plan->seed, 100u + (uint64_t)index);
}

/* The reader stands still while this writer does `stopped` operations. */
static void stop_or_continue(struct writer *w, unsigned *stopped, bool end)
{
    if (*stopped > 0 && (--*stopped == 0 || end)) {
        *stopped = 0;
        (void)kill(getppid(), SIGCONT);
    } else if (!*stopped && !end && w->index == 0 && rng_one_in(&w->rng, 40)) {
        unsigned long_stop = w->plan->ops > 4000 ? (unsigned)w->plan->ops : 4000;

        *stopped = 20 + rng_below(&w->rng, rng_one_in(&w->rng, 4) ? long_stop : 200);
        (void)kill(getppid(), SIGSTOP);
    }
}

void writer_ops(struct writer *w, int count)
{
    unsigned sum = 0, stopped = 0;

    for (int i = 0; i < op_count; i++)
        sum += w->plan->weights[i];
    for (int n = 0; n < count; n++) {
        unsigned draw = rng_below(&w->rng, sum);
        int i = 0;

        while (draw >= w->plan->weights[i])
            draw -= w->plan->weights[i++];
        ops[i].run(w);
        if (opt.stop_reader && w->index != POPULATOR)
            stop_or_continue(w, &stopped, n + 1 == count);
        atomic_fetch_add_explicit(&w->log->ops, 1, memory_order_relaxed);
    }
}

/* A byte on `commands` is a phase to run, its end is the end; a byte on `done` tells the reader. */
void writer_process(const struct plan *plan, int index, int commands, int done)
{
    static struct writer writer;
    char byte;

    writer_start(&writer, plan, index);
    while (read(commands, &byte, 1) == 1) {
        writer_ops(&writer, plan->ops);
        if (write(done, &byte, 1) != 1)
            break;
    }
    _exit(writer.log->unexpected ? 2 : 0);
}

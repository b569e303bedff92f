/* Somebody who can write in the tree, and nowhere else, swaps directories for symbolic links to a
 * place outside, moves them away and back, and does the same with the root and with the directory
 * above it, while the library scans: nothing outside is ever watched, by the kernel's own list, and
 * nothing from outside is ever told.
 *
 * The writer is an unprivileged user, the library runs as root, and the place outside is not the
 * writer's.
 * CHECK_ROUNDS makes it longer (600: some minutes).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "forbid.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* own/      the writer's
 *   w/tree    the root: t/ in it has directories with these names, three levels deep
 *   away/     where directories go
 * outside/  not the writer's; the same names, and "tree", lead to directories here too
 */
static const char *const names[] = {"a", "b", "c", "d"};
#define NAMES 4
#define DEPTH 3
#define OPERATIONS 200 /* a round */
#define SCANS 12      /* of the whole tree a round, at the most */
#define MORE 30       /* rounds at the most, until a link was met */

static char *outside;
static uint64_t random_state = 1;

static unsigned pick(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 11) % limit);
}

/* ---- The writer. What fails fails: names come and go. */

static void some_path(char *path, size_t size, const char *top, unsigned depth)
{
    size_t used = (size_t)snprintf(path, size, "%s", top);

    for (unsigned i = 0; i < depth; i++)
        used += (size_t)snprintf(path + used, size - used, "/%s", names[pick(NAMES)]);
}

/* Links that lead outside in each of the ways there are. */
static void make_link(const char *path)
{
    char target[4096], up[512] = "";

    switch (pick(4)) {
    case 0: /* from the top of the file system */
        snprintf(target, sizeof target, "%s", outside);
        break;
    case 1: { /* up from here */
        size_t used = (size_t)snprintf(up, sizeof up, "../");
        for (const char *at = path; *at != '\0'; at++)
            if (*at == '/')
                used += (size_t)snprintf(up + used, sizeof up - used, "../");
        snprintf(target, sizeof target, "%soutside/%s", up, names[pick(NAMES)]);
        break;
    }
    case 2: /* as deep as the tree is, so that paths go on in it */
        some_path(target, sizeof target, outside, 1 + pick(DEPTH));
        break;
    default: /* up and up */
        snprintf(target, sizeof target, "../../../../../../../../..");
        break;
    }
    (void)!symlink(target, path);
}

/* With all the directories above it, where links are not in the way. */
static void plant(const char *path)
{
    char deep[4096];

    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            snprintf(deep, sizeof deep, "%.*s", (int)i, path);
            (void)mkdir(deep, 0755);
        }
    }
    (void)mkdir(path, 0755);
    for (unsigned i = 0; i < 3; i++) {
        some_path(deep, sizeof deep, path, 1);
        (void)mkdir(deep, 0755);
        some_path(deep + strlen(deep), sizeof deep - strlen(deep), "", 1);
        (void)mkdir(deep, 0755);
    }
}

/* Links that are left where a directory was, for some operations more. */
static struct swapped {
    char path[512], spare[64];
    bool exchanged;
} swaps[4];

static void swap_back(struct swapped *swap)
{
    if (swap->path[0] == '\0')
        return;
    if (swap->exchanged) {
        (void)renameat2(AT_FDCWD, swap->path, AT_FDCWD, swap->spare, RENAME_EXCHANGE);
        (void)unlink(swap->spare);
    } else {
        (void)unlink(swap->path);
        if (rename(swap->spare, swap->path) == -1)
            plant(swap->path);
    }
    swap->path[0] = '\0';
}

static void one_operation(void)
{
    struct swapped *swap = &swaps[pick(4)];
    char path[512], other[1024], spare[64];
    unsigned number = pick(8);

    swap_back(swap);
    some_path(path, sizeof path, "w/tree", 1 + pick(DEPTH));
    if (access(path, F_OK) == -1)
        plant(path);
    snprintf(spare, sizeof spare, "away/%u", number);
    switch (pick(9)) {
    case 0:
    case 1: /* away, a link in its place, and back */
        snprintf(spare, sizeof spare, "away/swap%u", (unsigned)(swap - swaps));
        if (rename(path, spare) == 0) {
            make_link(path);
            memcpy(swap->path, path, sizeof path);
            memcpy(swap->spare, spare, sizeof spare);
            swap->exchanged = false;
        } else {
            plant(path);
        }
        break;
    case 2: /* at once */
        snprintf(spare, sizeof spare, "away/link%u", (unsigned)(swap - swaps));
        make_link(spare);
        if (renameat2(AT_FDCWD, path, AT_FDCWD, spare, RENAME_EXCHANGE) == 0) {
            memcpy(swap->path, path, sizeof path);
            memcpy(swap->spare, spare, sizeof spare);
            swap->exchanged = true;
        } else {
            (void)unlink(spare);
        }
        break;
    case 3: { /* away, with something made there that is not the tree's, and back without it */
        char gone[128];

        if (rename(path, spare) == -1)
            break;
        snprintf(gone, sizeof gone, "%s/GONE", spare);
        (void)mkdir(gone, 0755);
        snprintf(gone, sizeof gone, "%s/GONE/GONE", spare);
        (void)!mknod(gone, S_IFREG | 0644, 0);
        (void)unlink(gone);
        *strrchr(gone, '/') = '\0';
        (void)rmdir(gone);
        (void)rename(spare, path);
        break;
    }
    case 4: /* elsewhere in the tree, and a link to where it went */
        some_path(other, sizeof other, "w/tree", 1 + pick(DEPTH));
        if (rename(path, other) == 0) {
            make_link(path);
            plant(other);
            (void)unlink(path);
        }
        break;
    case 5: /* something new, and at once something else */
        snprintf(other, sizeof other, "%s/new%u", path, number);
        if (mkdir(other, 0755) == 0) {
            if (pick(2) == 0)
                plant(other);
            if (rename(other, spare) == 0)
                make_link(other);
        } else {
            (void)unlink(other);
        }
        break;
    case 6: /* comes with all that is in it, and each of that is swapped at once */
        plant(spare);
        if (rename(spare, path) == -1)
            break;
        for (unsigned i = 0; i < NAMES; i++) {
            snprintf(other, sizeof other, "%s/%s", path, names[i]);
            if (rename(other, spare) == 0)
                make_link(other);
        }
        break;
    case 7:
        (void)unlink(path);
        (void)rmdir(path);
        plant(path);
        break;
    default:
        plant(path);
        break;
    }
}

/* The root, and the directory above it, are swapped as well. */
static void swap_the_root(void)
{
    const char *path = pick(2) == 0 ? "w/tree" : "w";

    if (rename(path, "away/top") == -1)
        return;
    if (strcmp(path, "w") == 0)
        CHECK_SYS(symlink(outside, "w"));
    else
        CHECK_SYS(symlink(pick(2) == 0 ? outside : "../../outside/tree", "w/tree"));
    sched_yield();
    CHECK_SYS(unlink(path));
    CHECK_SYS(rename("away/top", path));
}

static void write_on(int commands, int answers)
{
    char command;

    CHECK_SYS(setgroups(0, NULL));
    CHECK_SYS(setgid(65534));
    CHECK_SYS(setuid(65534));
    /* The place outside is really not his. */
    CHECK(mkdir("outside/mine", 0755) == -1 && (errno == EACCES || errno == EPERM));
    CHECK_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    CHECK_SYS(chdir("own"));
    while (read(commands, &command, 1) == 1) {
        for (unsigned i = 0; i < OPERATIONS; i++) {
            one_operation();
            if (command == 'r' && pick(8) == 0)
                swap_the_root();
        }
        for (unsigned i = 0; i < 4; i++)
            swap_back(&swaps[i]);
        /* Each look at the kernel's list costs as much as there are directories. */
        (void)!system("rm -rf w/tree/* away/* 2>/dev/null");
        CHECK_EQ(write(answers, "d", 1), 1);
    }
    _exit(0);
}

/* ---- The inodes outside, and the kernel's list of watches. */

static struct {
    dev_t device;
    ino_t *inode;
    size_t count;
} forbidden;

static void list_outside(const char *path)
{
    DIR *directory = opendir(path);
    struct stat status;

    CHECK(directory != NULL);
    CHECK_SYS(stat(path, &status));
    forbidden.device = status.st_dev;
    forbidden.inode = realloc(forbidden.inode, (forbidden.count + 1) * sizeof *forbidden.inode);
    CHECK(forbidden.inode != NULL);
    forbidden.inode[forbidden.count++] = status.st_ino;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char *below;

        if (entry->d_name[0] == '.')
            continue;
        CHECK(asprintf(&below, "%s/%s", path, entry->d_name) > 0);
        CHECK_SYS(lstat(below, &status));
        if (S_ISDIR(status.st_mode))
            list_outside(below);
        free(below);
    }
    closedir(directory);
}

static unsigned long added, refused;
static int away = -1; /* own/away */
static int newest; /* numbers go up: a lower one was looked at before */

/* The inode of a watch, by the kernel's own list; 0 if the list has it no more. */
static ino_t inode_of(int fd, int wanted)
{
    static _Thread_local char list[1 << 20];
    char path[64], start[32];
    const char *line;
    unsigned long inode;
    unsigned device;
    ssize_t size;
    int info;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    snprintf(start, sizeof start, "inotify wd:%x ", (unsigned)wanted);
    info = (int)CHECK_SYS(open(path, O_RDONLY | O_CLOEXEC));
    size = CHECK_SYS(read(info, list, sizeof list - 1));
    close(info);
    CHECK((size_t)size < sizeof list - 1);
    list[size] = '\0';
    line = strstr(list, start);
    if (line == NULL || sscanf(line + strlen(start), "ino:%lx sdev:%x", &inode, &device) != 2 ||
        makedev(device >> 20, device & 0xfffff) != forbidden.device)
        return 0;
    return inode;
}

/* The worst moment of all: between the library's finding a name and its watching it. */
static bool swap_now(int dir, const char *name)
{
    if (renameat(dir, name, away, "now") == -1)
        return false;
    if (symlinkat(outside, dir, name) == 0)
        return true;
    (void)renameat(away, "now", dir, name);
    return false;
}

/* Stands before the C library's function: whatever the library watches, for however short a time,
 * is looked at here. */
int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    int dir, at = 0, wd, error;
    bool named = sscanf(path, "/proc/self/fd/%d/%n", &dir, &at) == 1 && at > 0 &&
                 strcmp(path + at, ".") != 0;
    bool swapped = named && away != -1 && pick(4) == 0 && swap_now(dir, path + at);

    wd = (int)syscall(SYS_inotify_add_watch, fd, path, mask);
    error = errno;
    if (swapped) {
        (void)unlinkat(dir, path + at, 0);
        (void)renameat(away, "now", dir, path + at);
    }
    refused += wd == -1 && error == ENOTDIR;
    if (wd > newest && forbidden.count > 0) {
        ino_t inode = inode_of(fd, wd);

        newest = wd;
        for (size_t i = 0; i < forbidden.count; i++)
            if (forbidden.inode[i] == inode)
                check_fail(__FILE__, __LINE__, "inode %lu outside was watched, as %s",
                           (unsigned long)inode, path);
        added++;
    }
    errno = error;
    return wd;
}

/* ---- The library. */

static unsigned long told, errors;

static void believe_nothing(inotify_watcher *watcher, const inotify_watcher_event *event,
                            void *user_data)
{
    (void)watcher;
    (void)user_data;
    told++;
    errors += (event->flags & RINOTIFY_EVENT_ERROR) != 0;
    if ((event->flags & RINOTIFY_EVENT_ERROR) != 0 && getenv("CHECK_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s\n", event->path, strerrorname_np(event->error));
    if (strstr(event->path, "SECRET") != NULL || strstr(event->path, "GONE") != NULL)
        check_fail(__FILE__, __LINE__, "told of what is outside: mask 0x%x, flags %u, %s",
                   event->mask, event->flags, event->path);
}

static void watch_root(inotify_watcher *watcher, int *one, int *other)
{
    static bool by_name;

    /* The first one to come makes the kernel watches: by opened directories if it tells what is
     * there, else by names in them. */
    by_name = !by_name;
    (void)inotify_watcher_ignore(watcher, "own/w/tree");
    for (int i = 0; i < 2; i++) {
        if (by_name == (i == 0))
            CHECK_OK(inotify_watcher_watch(watcher, "own/w/tree", IN_CREATE | IN_OPEN, TREE,
                                           believe_nothing, other));
        else
            CHECK_OK(inotify_watcher_watch(watcher, "own/w/tree", RINOTIFY_WATCH_MASK,
                                           TREE | RINOTIFY_WATCH_EMIT_EXISTING, believe_nothing,
                                           one));
    }
}

static void run_round(inotify_watcher *watcher, int commands, int answers, char command)
{
    static int one, other;
    bool done = false;
    char answer;

    CHECK_EQ(write(commands, &command, 1), 1);
    for (unsigned turn = 1; !done; turn++) {
        /* Sometimes he is ahead. */
        for (unsigned i = pick(4); i > 0; i--)
            sched_yield();
        CHECK_OK(inotify_watcher_do_read(watcher));
        /* A path that is a link now is followed if somebody asks for that: while the root is
         * swapped nobody does. */
        if (command != 'r' && turn % 8 == 0 && turn <= 8 * SCANS)
            watch_root(watcher, &one, &other);
        if (turn % 16 == 0) {
            /* Made and removed outside all the time, by us. */
            make_file("outside/a/SECRET_now");
            remove_file("outside/a/SECRET_now");
        }
        if (turn % 8 == 0)
            done = read(answers, &answer, 1) == 1;
    }
    CHECK_OK(inotify_watcher_sync(watcher));
}

static void make_outside(const char *path, unsigned depth)
{
    make_dirs(path);
    make_file(format("%s/SECRET_file", path));
    make_dir(format("%s/SECRET_dir", path));
    for (unsigned i = 0; depth > 0 && i < NAMES; i++) {
        char *below = strdup(format("%s/%s", path, names[i]));

        make_outside(below, depth - 1);
        free(below);
    }
}

/* Before the scratch directory is removed, by paths that he could swap. */
static pid_t writer;

static void end_of_the_writer(void)
{
    if (writer > 0) {
        kill(writer, SIGKILL);
        (void)waitpid(writer, NULL, 0);
    }
}

int main(void)
{
    unsigned rounds = check_rounds(6);
    inotify_watcher_options options = {.size = sizeof options, .read_size = 512};
    int commands[2], answers[2], status;
    inotify_watcher *watcher;
    static int one, other;

    check_begin(300 + rounds * 10);
    if (geteuid() != 0)
        check_skip("needs root, to be somebody else than the writer");
    check_case("hostile");
    CHECK_SYS(chmod("..", 0711));
    make_outside("outside", DEPTH);
    make_outside("outside/tree", 1);
    CHECK(asprintf(&outside, "%s/outside", check_where()) > 0);
    list_outside("outside");
    make_dirs("own/w/tree");
    make_dirs("own/away");
    for (size_t i = 0; i < 4; i++)
        CHECK_SYS(chown((const char *const[]){"own", "own/w", "own/w/tree", "own/away"}[i], 65534,
                        65534));
    away = (int)CHECK_SYS(open("own/away", O_PATH | O_DIRECTORY | O_CLOEXEC));
    CHECK_SYS(pipe2(commands, O_CLOEXEC));
    CHECK_SYS(pipe2(answers, O_CLOEXEC | O_NONBLOCK));
    CHECK_EQ(atexit(end_of_the_writer), 0);
    writer = (pid_t)CHECK_SYS(fork());
    if (writer == 0) {
        close(commands[1]);
        write_on(commands[0], answers[1]);
    }
    close(commands[0]);
    close(answers[1]);

    /* Small reads, so that the library acts on what is long past. */
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    /* A round may meet no link at all: under valgrind a fourth of them do not. */
    for (unsigned round = 0; round < rounds || (refused == 0 && round < rounds + MORE); round++) {
        /* The other half with what the library falls back to. */
        if (round == (rounds + 1) / 2 && !forbid(&(const unsigned){SYS_openat2}, 1, ENOSYS))
            fprintf(stderr, "openat2 cannot be forbidden here\n");
        watch_root(watcher, &one, &other);
        run_round(watcher, commands[1], answers[0], round % 2 == 0 ? 't' : 'r');
    }
    close(commands[1]);
    CHECK_EQ(waitpid(writer, &status, 0), writer);
    writer = 0;
    CHECK_EQ(status, 0);

    /* And when he rests, all is as if it had never happened. */
    close(away);
    away = -1;
    CHECK_OK(inotify_watcher_ignore(watcher, "own/w/tree"));
    watch_root(watcher, &one, &other);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_TABLES(watcher);
    printf("%u rounds of %d operations, %lu events, %lu errors told, %lu new watches, %lu links met\n",
           rounds, OPERATIONS, told, errors, added, refused);
    CHECK(added > rounds * 100 && refused > 0);
    inotify_watcher_destroy(watcher);
    free(outside);
    free(forbidden.inode);
    return 0;
}

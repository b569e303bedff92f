/* Runs examples-c/events_to_socket: clients that read all, never read, die in the middle, or only
 * close their writing half. events_to_socket PROGRAM
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "program.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Less than the kernel's queue has room for, and much more than a socket and a stream buffer take
 * with names of this length. */
#define FILES 12000u
#define NAME_LENGTH 200

static struct program server;

static const char *name_of(unsigned number)
{
    return format("t/%0*u", NAME_LENGTH, number);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

    memcpy(address.sun_path, path, strlen(path));
    CHECK_SYS(connect(fd, (struct sockaddr *)&address, sizeof address));
    return fd;
}

/* ---- A client that reads, line by line. */

struct reader {
    int fd;
    char text[65536];
    size_t start, end;
};

static struct reader *connected(void)
{
    struct reader *reader = calloc(1, sizeof *reader);

    CHECK(reader != NULL);
    reader->fd = connect_to("socket");
    return reader;
}

/* The next line, without its end; NULL at the end of the data. */
static const char *next_line(struct reader *reader)
{
    for (;;) {
        char *line = reader->text + reader->start;
        char *newline = memchr(line, '\n', reader->end - reader->start);
        ssize_t count;

        if (newline != NULL) {
            *newline = '\0';
            reader->start = (size_t)(newline + 1 - reader->text);
            return line;
        }
        memmove(reader->text, line, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
        count = read(reader->fd, reader->text + reader->end, sizeof reader->text - reader->end);
        CHECK_SYS(count);
        if (count == 0) {
            CHECK_EQ(reader->end, 0);
            return NULL;
        }
        reader->end += (size_t)count;
    }
}

/* The next line is about this path, and its mask is this word. */
static void expect_line(struct reader *reader, const char *word, const char *path)
{
    const char *line = next_line(reader);

    CHECK(line != NULL);
    if (strstr(line, format("\"mask\":[\"%s\"]", word)) == NULL ||
        strstr(line, format("\"path\":\"%s\"", path)) == NULL)
        check_fail(__FILE__, __LINE__, "\"%s\" is not %s %s", line, word, path);
}

static void hang_up(struct reader *reader)
{
    close(reader->fd);
    free(reader);
}

/* A line that tells the client that the server knows it: the file was there, or is made. */
static void greet(struct reader *reader)
{
    expect_line(reader, "create", "t/first");
}

/* A client that dies with what it was sent half read. */
static void die_in_the_middle(void)
{
    pid_t child;
    int status;

    fflush(NULL);
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        struct reader *reader = connected();

        /* What is there already comes in no particular order. */
        for (unsigned i = 0; i < 100; i++)
            CHECK(next_line(reader) != NULL);
        raise(SIGKILL);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
}

/* The memory that the server has filled with data of its own, in KiB: counted by the page tables, as
 * the counters in /proc/PID/status lag behind by some hundred KiB. */
static long filled(void)
{
    char line[256];
    long size = -1;
    FILE *file = fopen(format("/proc/%d/smaps_rollup", (int)server.pid), "re");

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Anonymous: %ld", &size) == 1)
            break;
    fclose(file);
    CHECK(size > 0);
    return size;
}

/* The lowest number that no descriptor of the server has. */
static rlim_t first_free(void)
{
    struct stat status;
    rlim_t number = 0;

    while (lstat(format("/proc/%d/fd/%u", (int)server.pid, (unsigned)number), &status) == 0)
        number++;
    return number;
}

/* With no descriptor left for a client, the server says so once, and takes it when another has gone. */
static void no_descriptor_left(struct reader *one)
{
    struct rlimit before, none;
    struct reader *another;
    const char *said;

    CHECK_SYS(prlimit(server.pid, RLIMIT_NOFILE, NULL, &before));
    none = before;
    none.rlim_cur = first_free();
    CHECK_SYS(prlimit(server.pid, RLIMIT_NOFILE, &none, NULL));
    another = connected();
    program_wait_prefix(&server, "a client has to wait: ");
    make_file("t/meanwhile");
    expect_line(one, "create", "t/meanwhile");
    said = strstr(server.text, "a client has to wait: ");
    CHECK(strstr(said + 1, "a client has to wait: ") == NULL);
    CHECK_SYS(prlimit(server.pid, RLIMIT_NOFILE, &before, NULL));
    hang_up(one);
    CHECK(next_line(another) != NULL);
    hang_up(another);
}

int main(int argc, char **argv)
{
    struct reader *all, *never, *half;
    long before;
    unsigned files;
    char *path;

    CHECK_EQ(argc, 2);
    path = realpath(argv[1], NULL);
    CHECK(path != NULL);
    check_begin(240);
    files = check_under_valgrind() ? FILES / 6 : FILES;
    check_case("events_to_socket");
    signal(SIGPIPE, SIG_IGN);
    make_dir("t");
    make_file("t/first");

    PROGRAM_START(&server, path, "t", "missing/socket");
    CHECK_EQ(program_end(&server), 1);
    program_free(&server);
    PROGRAM_START(&server, path, "t", "socket");
    program_wait(&server, "ready");

    all = connected();
    never = connected();
    half = connected();
    greet(all);
    greet(half);
    CHECK_SYS(shutdown(half->fd, SHUT_WR));
    /* That one is connected, too, when its first byte can be read. */
    CHECK_SYS(poll(&(struct pollfd){.fd = never->fd, .events = POLLIN}, 1, -1));
    before = filled();
    for (unsigned i = 0; i < files; i++)
        make_file(name_of(i));
    /* It is told what is there and dies over it, while the others are served. */
    die_in_the_middle();
    for (unsigned i = 0; i < files; i++)
        expect_line(all, "create", name_of(i));
    for (unsigned i = 0; i < files; i++)
        expect_line(half, "create", name_of(i));
    if (!check_under_valgrind()) {
        long grown = filled() - before;

        /* All that waits for the one that does not read is more than 3 MB. */
        if (grown > 1500)
            check_fail(__FILE__, __LINE__, "the server grew by %ld KiB", grown);
    }

    /* Now it reads, and has missed nothing. */
    greet(never);
    for (unsigned i = 0; i < files; i++)
        expect_line(never, "create", name_of(i));
    hang_up(never);

    /* The tree goes: told, then the end. The server stays, for those who come when it is back. */
    remove_tree("t");
    for (const char *line; (line = next_line(all)) != NULL;)
        if (strstr(line, "\"mask\":[\"ignored\"]") != NULL) {
            CHECK(next_line(all) == NULL);
            break;
        }
    hang_up(all);
    while (next_line(half) != NULL)
        ;
    hang_up(half);
    all = connected();
    CHECK(next_line(all) == NULL);
    hang_up(all);
    program_wait_prefix(&server, "a client is turned away: ");
    make_dir("t");
    make_file("t/first");
    all = connected();
    greet(all);
    make_file("t/back");
    expect_line(all, "create", "t/back");
    no_descriptor_left(all);
    all = connected();
    CHECK(next_line(all) != NULL);

    program_signal(&server, SIGTERM);
    CHECK_EQ(program_end(&server), 0);
    while (next_line(all) != NULL)
        ;
    hang_up(all);
    CHECK_EQ(access("socket", F_OK), -1);
    program_free(&server);
    free(path);
    return 0;
}

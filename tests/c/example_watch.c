/* Runs the tool examples-c/watch.c: example_watch PROGRAM
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "program.h"

#include <signal.h>
#include <sys/wait.h>

static char *tool;

static void events(void)
{
    struct program program;

    make_dirs("t/there");
    make_dir("u");
    make_dirs("new/b");
    PROGRAM_START(&program, tool, "t", "u");
    program_wait_prefix(&program, "ready: 3 directories in ");
    make_file("t/there/f");
    program_wait(&program, "create t/there/f");
    make_file("u/g");
    program_wait(&program, "create u/g");
    move("new", "t/a");
    program_wait(&program, "moved_to|is_dir t/a");
    program_wait(&program, "create|is_dir|synthetic t/a/b");
    move("t/a", "t/x");
    program_wait(&program, "moved_from|is_dir t/a");
    program_wait(&program, "moved_to|is_dir t/a -> t/x");
    CHECK_SYS(chmod("t/x/b", 0700));
    program_wait(&program, "attrib|is_dir t/x/b");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    program_wait_prefix(&program, "7 events, 5 directories watched, ");
    program_free(&program);
}

/* A name cannot be taken for anything but a name. */
static void names(void)
{
    static const char *const rows[][2] = {
        {"plain-name_1.txt", "t/plain-name_1.txt"},
        {"a b", "\"t/a b\""},
        {"x -> t/y", NULL}, /* has a slash: see below */
        {"two\nlines", "\"t/two\\nlines\""},
        {"tab\tcr\rbell\a", "\"t/tab\\tcr\\rbell\\x07\""},
        {"\033[2Jclear", "\"t/\\x1b[2Jclear\""},
        {"\x7f", "\"t/\\x7f\""},
        {"say \"hi\"", "\"t/say \\\"hi\\\"\""},
        {"back\\slash", "\"t/back\\\\slash\""},
        {"\xff\xfe", "\"t/\\xff\\xfe\""},
        {"\xc3\x28", "\"t/\\xc3(\""},
        {"\xc0\xaf", "\"t/\\xc0\\xaf\""},
        {"\xed\xa0\x80", "\"t/\\xed\\xa0\\x80\""},
        {"\xc2\x9b" "31m", "\"t/\\xc2\\x9b31m\""},
        {"\xe2\x80\xae" "gpj.exe", "\"t/\\xe2\\x80\\xaegpj.exe\""},
        {"\xe2\x80\xa8", "\"t/\\xe2\\x80\\xa8\""},
        {"caf\xc3\xa9", "t/caf\xc3\xa9"},
        {"\xe6\xbc\xa2\xe5\xad\x97", "t/\xe6\xbc\xa2\xe5\xad\x97"},
        {"\xf0\x9f\x98\x80", "t/\xf0\x9f\x98\x80"},
    };
    struct program program;

    make_dir("t");
    make_dir("t/x -> t");
    CHECK_SYS(setenv("LC_ALL", "C.UTF-8", 1));
    PROGRAM_START(&program, tool, "t");
    program_wait_prefix(&program, "ready");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        make_file(format("t/%s", rows[i][0]));
        program_wait(&program, format("create %s", rows[i][1] != NULL ? rows[i][1]
                                                                      : "\"t/x -> t/y\""));
    }
    move("t/a b", "t/a -> b");
    program_wait(&program, "moved_to \"t/a b\" -> \"t/a -> b\"");
    program_signal(&program, SIGTERM);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);

    /* Where text is ASCII alone, nothing else is shown. */
    CHECK_SYS(setenv("LC_ALL", "C", 1));
    remove_tree("t");
    make_dir("t");
    make_file("t/caf\xc3\xa9");
    PROGRAM_START(&program, tool, "-e", "t");
    program_wait(&program, "create|synthetic \"t/caf\\xc3\\xa9\"");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);
}

static void masks(void)
{
    struct program program;

    make_dir("t");
    PROGRAM_START(&program, tool, "-m", "close_write,delete", "-m", "moved_to", "t");
    program_wait_prefix(&program, "ready");
    write_file("t/a", "text");
    move("t/a", "t/b");
    remove_file("t/b");
    make_dirs("t/d/e");
    write_file("t/d/e/f", "made before its directory is watched, perhaps");
    remove_tree("t/d");
    program_wait(&program, "delete|is_dir t/d");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, "close_write t/a\n"));
    CHECK(program_printed(&program, "\nmoved_to t/a -> t/b\n"));
    CHECK(program_printed(&program, "\ndelete t/b\n"));
    CHECK(!program_printed(&program, "create"));
    CHECK(!program_printed(&program, "modify"));
    CHECK(!program_printed(&program, "moved_from"));
    program_free(&program);

    PROGRAM_START(&program, tool, "-m", "create,foo", "t");
    CHECK_EQ(program_end(&program), 2);
    CHECK(program_printed(&program, "foo"));
    program_free(&program);
    PROGRAM_START(&program, tool, "-m", "", "t");
    CHECK_EQ(program_end(&program), 2);
    program_free(&program);
    PROGRAM_START(&program, tool, "-m", "is_dir", "t");
    CHECK_EQ(program_end(&program), 2);
    program_free(&program);
}

static void left_out(void)
{
    struct program program;

    make_dirs("t/.git/objects");
    make_dirs("t/build/out");
    make_dirs("t/src/build");
    PROGRAM_START(&program, tool, "-x", ".git", "-x", "/build", "-1", "t");
    program_wait_prefix(&program, "ready: 3 directories in ");
    make_file("t/.git/unseen");
    make_file("t/build/unseen");
    make_dirs("t/src/.git/unseen");
    make_file("t/src/build/f");
    program_wait(&program, "create t/src/build/f");
    move("t/.git", "t/git");
    program_wait(&program, "moved_to|is_dir t/.git -> t/git");
    program_wait(&program, "create|is_dir|synthetic t/git/objects");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(!program_printed(&program, "create t/.git"));
    CHECK(!program_printed(&program, "create t/build"));
    CHECK(!program_printed(&program, ".git/unseen"));
    CHECK(program_printed(&program, "\ncreate|is_dir t/src/.git\n"));
    program_free(&program);

    PROGRAM_START(&program, tool, "-x", "", "t");
    CHECK_EQ(program_end(&program), 1);
    CHECK(program_printed(&program, "options.excludes"));
    program_free(&program);
}

static void existing_and_quiet(void)
{
    struct program program;

    make_dirs("t/d");
    make_file("t/d/f");
    PROGRAM_START(&program, tool, "-q", "-e", "-m", "all", "t");
    program_wait(&program, "create|is_dir|synthetic t/d");
    program_wait(&program, "create|synthetic t/d/f");
    write_file("t/d/f", "text");
    program_wait(&program, "close_write t/d/f");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(!program_printed(&program, "ready"));
    CHECK(!program_printed(&program, "directories"));
    program_free(&program);
}

static void arguments(void)
{
    struct program program;

    PROGRAM_START(&program, tool, "--help");
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, "Usage: watch"));
    program_free(&program);
    PROGRAM_START(&program, tool, "--version");
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, rinotify_version()));
    program_free(&program);
    PROGRAM_START(&program, tool, "-x");
    CHECK_EQ(program_end(&program), 2);
    program_free(&program);
    PROGRAM_START(&program, tool, "no/such/directory");
    CHECK_EQ(program_end(&program), 1);
    CHECK(program_printed(&program, "no/such/directory"));
    CHECK(program_printed(&program, strerror(ENOENT)));
    program_free(&program);
}

static void file_and_end(void)
{
    struct program program;

    make_file("f");
    make_dir("t");
    PROGRAM_START(&program, tool, "f", "t", "t");
    program_wait_prefix(&program, "ready");
    CHECK_SYS(chmod("f", 0600));
    program_wait(&program, "attrib f");
    make_file("t/g");
    program_wait(&program, "create t/g");
    remove_file("f");
    program_wait(&program, "ignored f");
    remove_tree("t");
    program_wait(&program, "ignored t");
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, "nothing left to watch\n"));
    /* Given twice, watched once: attrib f twice (its last link goes), its two last events, and of
     * t a creation, a deletion and two last events. */
    program_wait_prefix(&program, "8 events, ");
    program_free(&program);
}

static void progress(void)
{
    struct program program;

    make_dir("t");
    for (int i = 0; i < 6000; i++)
        make_dir(format("t/%d", i));
    PROGRAM_START(&program, tool, "t");
    program_wait_prefix(&program, "ready: 6001 directories");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(!program_printed(&program, "initial scan"));
    program_free(&program);

    PROGRAM_START(&program, tool, "-p", "t");
    program_wait_prefix(&program, "initial scan: ");
    program_wait_prefix(&program, "ready: 6001 directories");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);

    /* On a terminal it is one line that is written over and then taken away. */
    program_start(&program, (const char *const[]){tool, "t", NULL}, true);
    program_wait_prefix(&program, "\r\033[Kinitial scan: ");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, " directories\r\033[Kready: 6001 directories"));
    program_free(&program);

    /* A signal that comes while the tree is being added ends it, too. */
    PROGRAM_START(&program, tool, "-p", "t", "t/../t", "t/./", "./t");
    program_wait_prefix(&program, "initial scan: ");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    CHECK(program_printed(&program, "0 events, "));
    program_free(&program);
}

static void overflow(void)
{
    struct program program;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    unsigned limit = 0;
    int status;

    CHECK(file != NULL && fscanf(file, "%u", &limit) == 1);
    fclose(file);
    if (limit > 100000) {
        fprintf(stderr, "left out: the queue is too long to be filled\n");
        return;
    }
    make_dir("t");
    PROGRAM_START(&program, tool, "-m", "create,delete", "t");
    program_wait_prefix(&program, "ready");
    program_signal(&program, SIGSTOP);
    CHECK_EQ(waitpid(program.pid, &status, WUNTRACED), program.pid);
    CHECK(WIFSTOPPED(status));
    for (unsigned i = 0; i < limit / 2 + 1; i++) {
        make_file("t/f");
        remove_file("t/f");
    }
    program_signal(&program, SIGCONT);
    program_wait(&program, "queue_overflow|rescan_begin t");
    program_wait(&program, "rescan_end t");
    make_file("t/later");
    program_wait(&program, "create t/later");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);
}

/* What fails later is shown too: here, a new directory that no path leads to any more. */
static void error(void)
{
    struct program program;

    make_dir("t");
    PROGRAM_START(&program, tool, "t");
    program_wait_prefix(&program, "ready");
    move("t", "u");
    program_wait(&program, "move_self t");
    make_dir("u/d");
    program_wait_prefix(&program, "error t/d: ");
    program_signal(&program, SIGINT);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    tool = realpath(argv[1], NULL);
    CHECK(tool != NULL);
    check_begin(240);
    check_case("events");
    events();
    check_case("names");
    names();
    check_case("masks");
    masks();
    check_case("left-out");
    left_out();
    check_case("existing-and-quiet");
    existing_and_quiet();
    check_case("arguments");
    arguments();
    check_case("file-and-end");
    file_and_end();
    check_case("progress");
    progress();
    check_case("overflow");
    overflow();
    check_case("error");
    error();
    free(tool);
    return 0;
}

/* Flow control of a watcher, driven by a loop: in the loop and out of it, paused and resumed, and
 * every way to its end. Compiled once for each loop.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "loop.h"

#include <fcntl.h>
#include <sys/wait.h>

/* ---- A reactor in front of the loop's own, which counts and can misbehave. */

static struct {
    unsigned adds;
    unsigned removes;
    int fails; /* what add_reader returns, if not 0 */
    void (*in_add)(inotify_watcher *);
    void (*in_remove)(inotify_watcher *);
    bool calling;
} gate;

static int gate_add(void *context, int fd, inotify_watcher *watcher, void **slot)
{
    inotify_watcher_reactor reactor = loop_reactor();
    int result;

    (void)context;
    CHECK(!gate.calling);
    CHECK(*slot == NULL);
    if (gate.fails != 0)
        return gate.fails;
    gate.calling = true;
    gate.adds++;
    CHECK_EQ(gate.adds, gate.removes + 1);
    result = reactor.add_reader(reactor.context, fd, watcher, slot);
    if (gate.in_add != NULL)
        gate.in_add(watcher);
    gate.calling = false;
    return result;
}

static int gate_remove(void *context, int fd, inotify_watcher *watcher, void **slot)
{
    inotify_watcher_reactor reactor = loop_reactor();
    int result;

    (void)context;
    CHECK(!gate.calling);
    /* It is taken out before it is closed. */
    CHECK_SYS(fcntl(fd, F_GETFD));
    gate.calling = true;
    gate.removes++;
    CHECK_EQ(gate.adds, gate.removes);
    result = reactor.remove_reader(reactor.context, fd, watcher, slot);
    if (gate.in_remove != NULL)
        gate.in_remove(watcher);
    gate.calling = false;
    return result;
}

/* ---- The program: one watcher of "t", what it told, and its end. */

static inotify_watcher *watcher;
static struct recorder recorder;
static bool in_callback;
/* Called with every event, after it was recorded. */
static void (*on_event)(void);
static unsigned lost;
static int reason;
static int descriptor;
static unsigned lines;
static char line[512];

static void told(inotify_watcher *from, const inotify_watcher_event *event, void *user_data)
{
    in_callback = true;
    record(from, event, user_data);
    if (on_event != NULL)
        on_event();
    in_callback = false;
}

static void note_lost(inotify_watcher *from, int why, void *user_data)
{
    CHECK(user_data == &lost);
    CHECK(from == watcher);
    lost++;
    reason = why;
    CHECK_EQ(lost, 1);
    CHECK_EQ(inotify_watcher_fileno(from), -1);
    /* Out of the loop, closed, and nothing can be had of it any more. */
    CHECK_EQ(gate.adds, gate.removes);
    CHECK_EQ(fcntl(descriptor, F_GETFD), -1);
    CHECK_EQ(inotify_watcher_do_read(from), -EBADF);
    CHECK_EQ(inotify_watcher_start_reading(from), -EBADF);
}

static void note_line(uint32_t level, const char *prefix, const char *message, void *user_data)
{
    CHECK(user_data == &lost);
    lines++;
    snprintf(line, sizeof line, "%s %u %s", prefix, (unsigned)level, message);
}

static inotify_watcher_options options_for(inotify_watcher_reactor *reactor)
{
    inotify_watcher_options options = {.size = sizeof options};

    memset(reactor, 0, sizeof *reactor);
    reactor->size = sizeof *reactor;
    reactor->add_reader = gate_add;
    reactor->remove_reader = gate_remove;
    options.reactor = reactor;
    options.connection_lost = note_lost;
    options.log = note_line;
    options.user_data = &lost;
    return options;
}

static void begin(const char *name, uint32_t flags)
{
    inotify_watcher_reactor reactor;
    inotify_watcher_options options = options_for(&reactor);
    inotify_watcher_watch_options watch_options = {.size = sizeof watch_options};

    check_case(name);
    memset(&gate, 0, sizeof gate);
    recorder_clear(&recorder);
    recorder.released = 0;
    on_event = NULL;
    lost = lines = 0;
    reason = -1;
    loop_begin();
    options.flags = flags;
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    /* The library has a copy. */
    memset(&reactor, 0, sizeof reactor);
    descriptor = inotify_watcher_fileno(watcher);
    make_dir("t");
    watch_options.mask = RINOTIFY_WATCH_MASK;
    watch_options.flags = TREE;
    watch_options.callback = told;
    watch_options.user_data = &recorder;
    watch_options.release = record_release;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &watch_options));
    CHECK_EQ(gate.adds, 0);
}

static void end(void)
{
    inotify_watcher_destroy(watcher);
    CHECK_EQ(lost, 1);
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(gate.adds, gate.removes);
    CHECK(!loop_is_ready());
    loop_end();
}

/* Turns the loop until so many events were told since the last call. */
static void turn_until(size_t count)
{
    while (recorder.count < count)
        loop_turn(true);
    CHECK_EQ(recorder.count, count);
}

/* Something is there to be read, and neither the loop nor the program gets at it. */
static void check_held(void)
{
    size_t before = recorder.count;

    CHECK(!loop_is_ready());
    loop_turn(false);
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_EQ(inotify_watcher_sync(watcher), -EAGAIN);
    CHECK_EQ(inotify_watcher_wants_read(watcher), 0);
    CHECK_EQ(recorder.count, before);
}

/* ---- Flow. */

static void start_and_stop(void)
{
    begin("start_and_stop", 0);
    make_file("t/a");
    check_held();

    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_EQ(gate.adds, 1);
    CHECK_EQ(inotify_watcher_wants_read(watcher), 1);
    CHECK(loop_is_ready());
    turn_until(1);

    CHECK_OK(inotify_watcher_stop_reading(watcher));
    CHECK_OK(inotify_watcher_stop_reading(watcher));
    CHECK_EQ(gate.removes, 1);
    make_file("t/b");
    remove_file("t/a");
    check_held();

    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_EQ(gate.adds, 2);
    turn_until(3);
    EXPECT(watcher, &recorder, "create t/a", "create t/b", "delete t/a");
    end();
    CHECK_EQ(reason, ECANCELED);
    CHECK_EQ(lines, 0);
}

static void pause_and_resume(void)
{
    begin("pause_and_resume", 0);
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    CHECK_EQ(gate.adds, 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    CHECK_EQ(gate.removes, 1);
    make_file("t/a");
    check_held();

    /* Stopped and paused are two things: it is read when it is neither. */
    CHECK_OK(inotify_watcher_start_reading(watcher));
    check_held();
    CHECK_OK(inotify_watcher_stop_reading(watcher));
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    check_held();
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    CHECK_OK(inotify_watcher_start_reading(watcher));
    check_held();
    CHECK_EQ(gate.adds, 1);
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    CHECK_EQ(gate.adds, 2);
    turn_until(1);
    EXPECT(watcher, &recorder, "create t/a");
    end();
}

static void pauses(void)
{
    CHECK_OK(inotify_watcher_pause_producing(watcher));
}

/* Paused in the middle of what was read: the rest comes later, and the descriptor says so. */
static void pause_inside(void)
{
    unsigned resumes = 0;

    begin("pause_inside", 0);
    on_event = pauses;
    for (int i = 0; i < 10; i++)
        make_file(format("t/%d", i));
    CHECK_OK(inotify_watcher_start_reading(watcher));
    while (recorder.count < 10) {
        size_t before = recorder.count;

        CHECK_OK(inotify_watcher_resume_producing(watcher));
        resumes++;
        while (recorder.count == before)
            loop_turn(true);
        CHECK_EQ(recorder.count, before + 1);
        check_held();
    }
    CHECK_EQ(resumes, 10);
    for (int i = 0; i < 10; i++)
        CHECK_STR(recorder.lines[i], format("create t/%d", i));
    /* By hand, without the loop: the same. */
    recorder_clear(&recorder);
    make_file("t/x");
    make_file("t/y");
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    CHECK_EQ(inotify_watcher_sync(watcher), -EAGAIN);
    CHECK_EQ(recorder.count, 1);
    on_event = NULL;
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    EXPECT(watcher, &recorder, "create t/x", "create t/y");
    end();
}

/* A new directory is found while it is paused, with all that is in it. */
static void pause_a_scan(void)
{
    begin("pause_a_scan", 0);
    on_event = pauses;
    CHECK_OK(inotify_watcher_start_reading(watcher));
    make_dirs("t/d/e/f");
    turn_until(1);
    check_held();
    make_file("t/d/e/f/late");
    on_event = NULL;
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    turn_until(4);
    CHECK_STR(recorder.lines[0], "create|is_dir t/d");
    CHECK_EQ(recorder_count(&recorder, "create t/d/e/f/late") +
                 recorder_count(&recorder, "create t/d/e/f/late [synthetic]"),
             1);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 4);
    CHECK_TABLES(watcher);
    end();
}

static unsigned long queue_limit(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    unsigned long limit = 0;

    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%lu", &limit), 1);
    fclose(file);
    return limit;
}

/* Paused for so long that the queue overflows: told in its place, with a line for the operator. */
static void pause_until_overflow(void)
{
    unsigned long limit = queue_limit();
    size_t overflow;

    if (limit > 100000)
        return;
    begin("pause_until_overflow", 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    for (unsigned long i = 0; i < limit + 100; i++)
        make_file(format("t/%lu", i));
    check_held();
    CHECK_EQ(lines, 0);
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    while (recorder_find(&recorder, "queue_overflow t [rescan_begin]") < 0)
        loop_turn(true);
    overflow = (size_t)recorder_find(&recorder, "queue_overflow t [rescan_begin]");
    CHECK(overflow + 4 >= limit);
    for (size_t i = 0; i < overflow; i++)
        CHECK_STR(recorder.lines[i], format("create t/%zu", i));
    CHECK_EQ(lines, 1);
    CHECK_STR(line, "inotify_watcher 4 overflow: the kernel's queue was full, events were lost");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    make_file("t/after");
    turn_until(1);
    CHECK_STR(recorder.lines[0], "create t/after");
    end();
}

/* ---- Endings. */

static void check_ended(int why)
{
    CHECK_EQ(lost, 1);
    CHECK_EQ(reason, why);
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(gate.adds, gate.removes);
    CHECK(!loop_is_ready());
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_sync(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_start_reading(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_stop_reading(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_pause_producing(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_resume_producing(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_wants_read(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(inotify_watcher_stop_producing(watcher), 0);
    CHECK_EQ(lost, 1);
    CHECK_EQ(lines, 0);
}

static void lose(void)
{
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK_EQ(inotify_watcher_wants_read(watcher), -EBADF);
    /* Inside a callback the end comes when that has returned. */
    CHECK_EQ(lost, in_callback ? 0 : 1);
}

static void stop_producing(void)
{
    CHECK_EQ(inotify_watcher_stop_producing(watcher), 0);
    CHECK_EQ(lost, in_callback ? 0 : 1);
}

static void destroy(void)
{
    inotify_watcher_destroy(watcher);
    CHECK_EQ(lost, 1);
    CHECK_EQ(reason, ECANCELED);
    CHECK_EQ(gate.adds, gate.removes);
    /* Of the running callback itself, until it has returned. */
    CHECK_EQ(recorder.released, in_callback ? 0 : 1);
}

/* Asked for outside and inside a callback, in the loop, paused, and never started. */
static void asked_for(void (*ask)(void), const char *name)
{
    begin(format("%s_outside", name), 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    make_file("t/a");
    ask();
    check_ended(0);
    end();

    begin(format("%s_paused", name), 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    ask();
    check_ended(0);
    end();

    begin(format("%s_never_started", name), 0);
    ask();
    CHECK_EQ(gate.adds, 0);
    check_ended(0);
    end();

    begin(format("%s_inside", name), 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    on_event = ask;
    make_file("t/a");
    make_file("t/b");
    while (lost == 0)
        loop_turn(true);
    CHECK_EQ(recorder.count, 1);
    check_ended(0);
    end();
}

static void destroyed(void)
{
    begin("destroyed", 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    make_file("t/a");
    destroy();
    CHECK(!loop_is_ready());
    loop_turn(false);
    CHECK_EQ(recorder.count, 0);
    loop_end();

    begin("destroyed_inside", 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    on_event = destroy;
    make_file("t/a");
    make_file("t/b");
    while (lost == 0)
        loop_turn(true);
    CHECK_EQ(recorder.count, 1);
    CHECK_EQ(recorder.released, 1);
    CHECK(!loop_is_ready());
    loop_end();
}

static void root_deleted(void)
{
    begin("root_deleted", RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    /* Only a root counts, and being ignored is another thing. */
    make_dir("u");
    CHECK_OK(inotify_watcher_watch(watcher, "u", IN_CREATE, 0, record, &recorder));
    CHECK_OK(inotify_watcher_ignore(watcher, "u"));
    remove_dir("u");
    make_dir("t/d");
    remove_dir("t/d");
    turn_until(2);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(lost, 0);
    recorder_clear(&recorder);
    remove_dir("t");
    while (lost == 0)
        loop_turn(true);
    CHECK_EQ(recorder.count, 2);
    CHECK_STR(recorder.lines[0], "delete_self t");
    CHECK_STR(recorder.lines[1], "ignored t");
    check_ended(0);
    end();

    /* A file is a root, too, and a mask that says nothing of its end does not hide that. */
    begin("root_deleted_any_mask", RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    make_file("u");
    CHECK_OK(inotify_watcher_watch(watcher, "u", IN_MODIFY, 0, record, &recorder));
    remove_file("u");
    while (lost == 0)
        loop_turn(true);
    CHECK_EQ(recorder.count, 2);
    CHECK_STR(recorder.lines[0], "delete_self u");
    check_ended(0);
    end();

    /* Without the option the watcher lives on. */
    begin("root_deleted_without", 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    remove_dir("t");
    turn_until(2);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(lost, 0);
    CHECK_EQ(inotify_watcher_fileno(watcher), descriptor);
    end();
    CHECK_EQ(reason, ECANCELED);
}

/* ---- Reactors that fail, or call back. */

static void failing_loop(void)
{
    begin("failing_loop", 0);
    gate.fails = -ENOSPC;
    CHECK_EQ(inotify_watcher_start_reading(watcher), -ENOSPC);
    CHECK_EQ(inotify_watcher_wants_read(watcher), 0);
    CHECK_STR(line, "inotify_watcher 3 cannot be read from the loop: No space left on device");
    make_file("t/a");
    check_held();
    gate.fails = -100000;
    CHECK_EQ(inotify_watcher_start_reading(watcher), -EINVAL);
    gate.fails = 0;
    CHECK_OK(inotify_watcher_start_reading(watcher));
    turn_until(1);

    CHECK_OK(inotify_watcher_pause_producing(watcher));
    gate.fails = -ENOMEM;
    lines = 0;
    CHECK_EQ(inotify_watcher_resume_producing(watcher), -ENOMEM);
    CHECK_EQ(lines, 1);
    gate.fails = 0;
    make_file("t/b");
    check_held();
    CHECK_OK(inotify_watcher_start_reading(watcher));
    turn_until(2);
    end();
}

static void stop_again(inotify_watcher *from)
{
    CHECK_OK(inotify_watcher_stop_reading(from));
}

static void start_again(inotify_watcher *from)
{
    gate.in_remove = NULL;
    CHECK_OK(inotify_watcher_start_reading(from));
}

static void lose_it(inotify_watcher *from)
{
    CHECK_OK(inotify_watcher_lose_connection(from));
    CHECK_EQ(lost, 0);
}

static void destroy_it(inotify_watcher *from)
{
    inotify_watcher_destroy(from);
    CHECK_EQ(lost, 0);
}

static void calls_back(void)
{
    begin("calls_back", 0);
    gate.in_add = stop_again;
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_EQ(gate.adds, 1);
    CHECK_EQ(gate.removes, 1);
    gate.in_add = NULL;
    CHECK_OK(inotify_watcher_start_reading(watcher));
    gate.in_remove = start_again;
    CHECK_OK(inotify_watcher_stop_reading(watcher));
    CHECK_EQ(gate.adds, 3);
    CHECK_EQ(gate.removes, 2);
    CHECK_EQ(inotify_watcher_wants_read(watcher), 1);
    make_file("t/a");
    turn_until(1);
    gate.in_remove = lose_it;
    CHECK_OK(inotify_watcher_stop_reading(watcher));
    check_ended(0);
    end();

    begin("calls_back_destroy", 0);
    gate.in_add = destroy_it;
    (void)inotify_watcher_start_reading(watcher);
    CHECK_EQ(lost, 1);
    CHECK_EQ(reason, ECANCELED);
    CHECK_EQ(gate.removes, 1);
    CHECK_EQ(recorder.released, 1);
    CHECK(!loop_is_ready());
    loop_end();
}

/* ---- Several in one loop, and a fork. */

static inotify_watcher *both[2];
static struct recorder records[2];

static void destroy_other(inotify_watcher *from, const inotify_watcher_event *event, void *user_data)
{
    unsigned self = user_data == &records[1];

    record(from, event, user_data);
    CHECK(from == both[self]);
    inotify_watcher_destroy(both[!self]);
    both[!self] = NULL;
}

/* Both are ready at once, and the first one that is called destroys the other. */
static void two_in_a_turn(void)
{
    check_case("two_in_a_turn");
    loop_begin();
    make_dir("t");
    for (int i = 0; i < 2; i++) {
        inotify_watcher_reactor reactor = loop_reactor();
        inotify_watcher_options options = {.size = sizeof options, .reactor = &reactor};

        both[i] = inotify_watcher_create(&options);
        CHECK(both[i] != NULL);
        CHECK_OK(inotify_watcher_watch(both[i], "t", IN_CREATE, 0, destroy_other, &records[i]));
        CHECK_OK(inotify_watcher_start_reading(both[i]));
    }
    make_file("t/a");
    while (records[0].count + records[1].count == 0)
        loop_turn(true);
    loop_turn(false);
    CHECK_EQ(records[0].count + records[1].count, 1);
    CHECK((both[0] == NULL) != (both[1] == NULL));
    inotify_watcher_destroy(both[0]);
    inotify_watcher_destroy(both[1]);
    CHECK(!loop_is_ready());
    loop_end();
}

/* A forked child shares the loop's own descriptor with its parent, and must not touch it. */
static void forked(void)
{
    pid_t child;
    int status;

    begin("forked", 0);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    fflush(NULL);
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        bool good = inotify_watcher_do_read(watcher) == -EPERM &&
                    inotify_watcher_stop_reading(watcher) == -EPERM &&
                    inotify_watcher_lose_connection(watcher) == -EPERM;

        inotify_watcher_destroy(watcher);
        if (good && gate.removes == 0 && lost == 0 && fcntl(descriptor, F_GETFD) == -1)
            execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    make_file("t/a");
    turn_until(1);
    end();
}

int main(void)
{
    check_begin(240);
    start_and_stop();
    pause_and_resume();
    pause_inside();
    pause_a_scan();
    pause_until_overflow();
    asked_for(lose, "lose_connection");
    asked_for(stop_producing, "stop_producing");
    destroyed();
    root_deleted();
    failing_loop();
    calls_back();
    two_in_a_turn();
    forked();
    return 0;
}

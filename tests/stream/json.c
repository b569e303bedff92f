/* An event as a line of JSON: the keys, every byte of a path, and the counting of snprintf(3).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

static char line[4096];

static const char *line_of(const inotify_watcher_event *event)
{
    size_t needed = inotify_watcher_format_json(event, line, sizeof line);

    CHECK_EQ(strlen(line), needed);
    CHECK_EQ(inotify_watcher_format_json(event, NULL, 0), needed);
    /* One line, and a terminal's cursor stays where it is. */
    for (size_t i = 0; i < needed; i++)
        CHECK((line[i] == '\n') == (i == needed - 1));
    return line;
}

static inotify_watcher_event event_of(const char *path)
{
    inotify_watcher_event event = {.size = sizeof event, .watch = 3, .mask = IN_CREATE};

    event.path = path;
    event.path_len = strlen(path);
    return event;
}

static void keys(void)
{
    inotify_watcher_event event = event_of("/a/b c");

    CHECK_STR(line_of(&event), "{\"watch\":3,\"mask\":[\"create\"],\"is_dir\":false,"
                               "\"path\":\"/a/b c\"}\n");
    event.mask = IN_MOVED_TO | IN_ISDIR;
    event.cookie = 4000000000;
    event.old_path = "/a/\xc3\xa9";
    event.old_path_len = 5;
    CHECK_STR(line_of(&event), "{\"watch\":3,\"mask\":[\"moved_to\"],\"is_dir\":true,"
                               "\"cookie\":4000000000,\"path\":\"/a/b c\","
                               "\"old_path\":\"/a/\xc3\xa9\"}\n");
    event = event_of("/gone");
    event.mask = 0;
    event.flags = RINOTIFY_EVENT_SYNTHETIC | RINOTIFY_EVENT_ERROR;
    event.error = EACCES;
    CHECK_STR(line_of(&event), "{\"watch\":3,\"mask\":[],\"is_dir\":false,"
                               "\"flags\":[\"synthetic\",\"error\"],\"error\":13,"
                               "\"path\":\"/gone\"}\n");
    event = event_of("/root");
    event.mask = 0;
    event.flags = RINOTIFY_EVENT_COVERAGE;
    event.coverage = RINOTIFY_COVERAGE_OUT_OF_STEP;
    CHECK_STR(line_of(&event), "{\"watch\":3,\"mask\":[],\"is_dir\":false,\"flags\":[\"coverage\"],"
                               "\"coverage\":\"out_of_step\",\"path\":\"/root\"}\n");
    event = event_of("/root");
    event.flags = RINOTIFY_EVENT_ROOT | RINOTIFY_EVENT_SYNTHETIC;
    event.mask = IN_MOVED_TO;
    CHECK_STR(line_of(&event), "{\"watch\":3,\"mask\":[\"moved_to\"],\"is_dir\":false,"
                               "\"flags\":[\"synthetic\",\"root\"],\"path\":\"/root\"}\n");
    event = event_of("/");
    event.mask = IN_Q_OVERFLOW | IN_IGNORED | 0x01000000;
    event.flags = RINOTIFY_EVENT_RESCAN_BEGIN | RINOTIFY_EVENT_RESCAN_END | 0x100;
    CHECK_STR(line_of(&event),
              "{\"watch\":3,\"mask\":[\"queue_overflow\",\"ignored\",\"only_dir\"],"
              "\"is_dir\":false,\"flags\":[\"rescan_begin\",\"rescan_end\",\"0x100\"],"
              "\"path\":\"/\"}\n");
}

/* The words are those of inotify_watcher_mask_names(), bit by bit. */
static void words(void)
{
    for (int bit = 0; bit < 32; bit++) {
        inotify_watcher_event event = event_of("p");
        char name[64];

        event.mask = UINT32_C(1) << bit;
        if (event.mask == IN_ISDIR)
            continue;
        inotify_watcher_mask_names(event.mask, name, sizeof name);
        CHECK_STR(line_of(&event), format("{\"watch\":3,\"mask\":[\"%s\"],\"is_dir\":false,"
                                          "\"path\":\"p\"}\n", name));
    }
}

static int value_of(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *place = strchr(alphabet, c);

    CHECK(place != NULL && c != '\0');
    return (int)(place - alphabet);
}

/* The bytes of the base64 at `text`, up to its closing quote. */
static size_t decode(const char *text, unsigned char *bytes)
{
    size_t length = 0;

    for (; *text != '"'; text += 4) {
        unsigned bits = (unsigned)value_of(text[0]) << 18 | (unsigned)value_of(text[1]) << 12;

        bytes[length++] = (unsigned char)(bits >> 16);
        if (text[2] != '=') {
            bits |= (unsigned)value_of(text[2]) << 6;
            bytes[length++] = (unsigned char)(bits >> 8);
        }
        if (text[3] != '=') {
            bits |= (unsigned)value_of(text[3]);
            bytes[length++] = (unsigned char)bits;
        }
    }
    return length;
}

/* Every byte but NUL, alone and among others: what is shown, and that nothing of it is lost. */
static void every_byte(void)
{
    for (int byte = 1; byte < 256; byte++) {
        char path[] = {'a', (char)byte, 'z', '\0'};
        inotify_watcher_event event = event_of(path);
        const char *text = strstr(line_of(&event), "\"path\":\"a") + 9;
        const char *coded = strstr(line, "\"path_b64\":\"");
        const char *shown = format("%c", byte);

        if (byte < 0x20 || byte == 0x7f)
            shown = byte == '\b'   ? "\\b"
                    : byte == '\t' ? "\\t"
                    : byte == '\n' ? "\\n"
                    : byte == '\f' ? "\\f"
                    : byte == '\r' ? "\\r"
                                   : format("\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            shown = format("\\%c", byte);
        else if (byte >= 0x80)
            shown = "\xef\xbf\xbd";
        CHECK_STR(format("%.*s", (int)strlen(shown), text), shown);
        CHECK(strncmp(text + strlen(shown), "z\"", 2) == 0);
        CHECK_EQ(coded != NULL, byte >= 0x80);
        if (coded != NULL) {
            unsigned char bytes[16];

            CHECK_EQ(decode(coded + 12, bytes), 3);
            CHECK(memcmp(bytes, path, 3) == 0);
        }
    }
}

static void more_than_ascii(void)
{
    static const struct {
        const char *path;
        const char *shown;
    } cases[] = {
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}"},
        /* Control characters and line ends beyond ASCII. */
        {"\xc2\x85", "\\u0085\"}"},
        {"\xc2\x9b", "\\u009b\"}"},
        {"\xc2\xa0", "\xc2\xa0\"}"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029\"}"},
        /* A replacement character that is in the name itself has no bytes beside it. */
        {"\xef\xbf\xbd", "\xef\xbf\xbd\"}"},
        {"\xff", "\xef\xbf\xbd\",\"path_b64\":\"/w==\"}"},
        /* A surrogate, an overlong form, a piece of a character. */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"path_b64\":\"7aCA\"}"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\",\"path_b64\":\"wK8=\"}"},
        {"\xe2\x82", "\xef\xbf\xbd\",\"path_b64\":\"4oI=\"}"},
        {"", "\"}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        inotify_watcher_event event = event_of(cases[i].path);

        CHECK_STR(strstr(line_of(&event), "\"path\":\"") + 8, format("%s\n", cases[i].shown));
    }
    /* The old path likewise. */
    {
        inotify_watcher_event event = event_of("p");

        event.old_path = "\x80";
        event.old_path_len = 1;
        CHECK_STR(strstr(line_of(&event), "\"old_path\""),
                  "\"old_path\":\"\xef\xbf\xbd\",\"old_path_b64\":\"gA==\"}\n");
    }
}

/* At every size: what fits, a NUL after it, nothing beyond. */
static void room(void)
{
    inotify_watcher_event event = event_of("\x80 and \x01\xff");
    size_t needed = strlen(line_of(&event));
    char whole[4096];

    memcpy(whole, line, needed + 1);
    for (size_t size = 0; size <= needed + 2; size++) {
        memset(line, '#', sizeof line);
        CHECK_EQ(inotify_watcher_format_json(&event, line, size), needed);
        if (size > 0) {
            size_t fits = size - 1 < needed ? size - 1 : needed;

            CHECK(memcmp(line, whole, fits) == 0);
            CHECK_EQ(line[fits], '\0');
            CHECK_EQ(line[fits + 1], '#');
        }
        CHECK_EQ(line[size], '#');
    }
}

static void not_an_event(void)
{
    inotify_watcher_event event = event_of("p");

    memset(line, '#', sizeof line);
    CHECK_EQ(inotify_watcher_format_json(NULL, line, sizeof line), 0);
    CHECK_EQ(line[0], '\0');
    CHECK_EQ(inotify_watcher_format_json(NULL, NULL, 0), 0);
    event.size = 16;
    CHECK_EQ(inotify_watcher_format_json(&event, line, sizeof line), 0);
    event.size = sizeof event + 8;
    CHECK(inotify_watcher_format_json(&event, line, sizeof line) > 0);
    event = event_of("p");
    event.path = NULL;
    CHECK(strstr(line_of(&event), "\"path\":null}") != NULL);
}

int main(void)
{
    check_begin(240);
    keys();
    words();
    every_byte();
    more_than_ascii();
    room();
    not_an_event();
    return 0;
}

/* Paths on a terminal.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "show.h"

#include <langinfo.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 sequence at `at`, with its code point; 0 if there is no valid one. */
static size_t decode(const unsigned char *at, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80             ? 1
                    : (at[0] & 0xe0) == 0xc0 ? 2
                    : (at[0] & 0xf0) == 0xe0 ? 3
                    : (at[0] & 0xf8) == 0xf0 ? 4
                                             : 0;

    if (length < 2) {
        *point = at[0];
        return length;
    }
    *point = at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (at[i] & 0x3f);
    }
    if (*point < smallest[length] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
        return 0;
    return length;
}

/* Has a visible shape, the same wherever it stands. */
static bool is_plain(uint32_t point)
{
    static const uint32_t ranges[][2] = {
        {0x00, 0x20},       {0x7f, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},
        {0x61c, 0x61c},     {0x115f, 0x1160},   {0x1680, 0x1680},   {0x180b, 0x180f},
        {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},
        {0x3164, 0x3164},   {0xe000, 0xf8ff},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0xe0000, 0x10ffff},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (point >= ranges[i][0] && point <= ranges[i][1])
            return false;
    return true;
}

static void escape(FILE *to, const unsigned char *at, size_t length)
{
    static const char letters[][2] = {{'\n', 'n'}, {'\t', 't'}, {'\r', 'r'},
                                      {'"', '"'},  {'\\', '\\'}};

    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (*at == (unsigned char)letters[i][0]) {
            fprintf(to, "\\%c", letters[i][1]);
            return;
        }
    }
    for (size_t i = 0; i < length; i++)
        fprintf(to, "\\x%02x", at[i]);
}

/* Returns whether anything had to be escaped, or is a space; writes if `to` is not NULL. */
static bool walk(FILE *to, const char *text)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const unsigned char *at = (const unsigned char *)text;
    bool odd = false;

    while (*at != '\0') {
        uint32_t point;
        size_t length = decode(at, &point);
        bool plain = length == 1 || (length > 1 && utf8);

        plain = plain && is_plain(point) && point != '"' && point != '\\';
        if (length == 0)
            length = 1;
        odd = odd || !plain;
        if (to != NULL) {
            if (plain || *at == ' ')
                fwrite(at, 1, length, to);
            else
                escape(to, at, length);
        }
        at += length;
    }
    return odd;
}

void show_path(FILE *to, const char *path)
{
    bool odd = walk(NULL, path);

    if (odd)
        fputc('"', to);
    walk(to, path);
    if (odd)
        fputc('"', to);
}

void show_text(FILE *to, const char *text)
{
    walk(to, text);
}

/* A sandbox for tests: system calls that are forbidden.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef FORBID_H
#define FORBID_H

#include "check.h"

#include <sys/syscall.h>

/* From here on these system calls of this thread, and of all that it starts, fail with `error`; 0:
 * they do nothing. There is no way back. False: no such filter is to be had here. */
bool forbid(const unsigned *calls, size_t count, unsigned error);

#endif

/* System calls of the library that fail when they are told to. Only the archive that is built for
 * these tests has these functions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stddef.h>
#include <stdint.h>

/* The calls, counted from 0. Their names, NULL behind the last. */
const char *rinotify_fault_name(uint32_t call);

/* Nothing fails any more, and all counts are 0. */
void rinotify_fault_clear(void);
/* `count` calls from the `from`th on (1: the next), counted from now, fail with `error`. */
int rinotify_fault_plan(uint32_t call, uint64_t from, uint64_t count, int error);
/* Each such call fails with this probability, with one of the errors given below whose bit (1 for
 * the first) is set in `among`. */
int rinotify_fault_random(uint32_t call, uint32_t per_million, uint32_t among);
/* What random failures are drawn from (at most 16), and the seed. */
int rinotify_fault_errors(const int *errors, size_t count, uint64_t seed);

#define RINOTIFY_FAULT_SHORT_LISTS 1 /* each getdents64 gives as little as it can */
#define RINOTIFY_FAULT_NO_TYPES 2    /* every entry is DT_UNKNOWN */
void rinotify_fault_lists(uint32_t how);

/* Calls made, and failed on demand, since they were counted from 0. */
uint64_t rinotify_fault_made(uint32_t call);
uint64_t rinotify_fault_failed(uint32_t call);

#endif

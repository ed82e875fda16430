/* Steady work by the clock.
 *
 * The programs here run for a number of seconds (their first argument, 3 when there is none) and not for a number
 * of rounds: a tool that makes a program thirty times slower then still sees the whole of it, in the same time.
 *
 *     pace_start(argc, argv);
 *     while (pace(10)) work();      // every 10 ms until the time is up
 */
#ifndef PACE_H
#define PACE_H

#include <stdlib.h>
#include <time.h>

static double pace_begin, pace_seconds;

static inline double pace_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void pace_start(int argc, char **argv) {
    pace_begin = pace_now();
    pace_seconds = argc > 1 ? atof(argv[1]) : 3.0;
}

/* The part of the time that has passed, from 0 to 1. */
static inline double pace_passed(void) {
    return (pace_now() - pace_begin) / pace_seconds;
}

/* Sleep that many milliseconds; 0 when the time is up. */
static inline int pace(int milliseconds) {
    struct timespec nap = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&nap, NULL);
    return pace_passed() < 1.0;
}

#endif

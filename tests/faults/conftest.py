"""Faults that take long or need much: run by `make faults`, not by `make test`."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.conftest import server, start

__all__ = ["server", "start"]  # fixtures

LEAKER = r"""
#define _GNU_SOURCE
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void nap(int ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000L}; nanosleep(&t, NULL); }
static void *keep[1000000];
static int kept;
static volatile sig_atomic_t heard;
__attribute__((noinline)) static void leaks(void) { keep[__sync_fetch_and_add(&kept, 1)] = malloc(3000); }
__attribute__((noinline)) static void lost(void) { void *volatile block = malloc(3000); (void)block; }
static void work(double seconds) { double end = now() + seconds; while (now() < end) { leaks(); nap(5); } }
static void *churn(void *seconds) {
    double end = now() + *(double *)seconds;
    for (unsigned n = 0; now() < end; n++) {
        void *blocks[64];
        for (int i = 0; i < 64; i++) blocks[i] = malloc(16 + (n * 31 + i) % 2000);
        for (int i = 0; i < 64; i++) free(blocks[i]);
        if (n % 500 == 0) leaks();
    }
    return NULL;
}
static void mine(int signum) { (void)signum; heard++; }
static void plant(const char *victim) {
    char place[4096], name[8192];
    snprintf(place, sizeof place, "%s", getenv("HEAPPROFILE"));
    *strrchr(place, '/') = 0;
    for (int n = 3; n < 60; n++) {
        snprintf(name, sizeof name, "%s/heap.%04d.heap", place, n);
        if (symlink(victim, name)) continue;
        snprintf(name, sizeof name, "%s/kept.%d.%04d.heap", place, (int)getppid(), n);
        if (symlink(victim, name)) continue;
    }
}
int main(int argc, char **argv) {
    const char *how = argv[1];
    double seconds = atof(argv[2]);
    if (!strcmp(how, "work")) work(seconds);
    else if (!strcmp(how, "lose")) for (double end = now() + seconds; now() < end; nap(5)) lost();
    else if (!strcmp(how, "reexec")) {
        int left = atoi(argv[3]);
        char next[32];
        if (left == 0) { work(seconds); return 0; }
        leaks();
        snprintf(next, sizeof next, "%d", left - 1);
        execl(argv[0], argv[0], how, argv[2], next, NULL);
        return 9;
    }
    else if (!strcmp(how, "own-handler")) { signal(SIGURG, mine); work(seconds); printf("heard %d\n", heard > 0); }
    else if (!strcmp(how, "threads")) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, churn, &seconds);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    }
    else if (!strcmp(how, "chroot")) { if (chroot(argv[3]) || chdir("/")) return 9; work(seconds); }
    else if (!strcmp(how, "plant")) {
        if (fork() == 0) {
            if (setgroups(0, NULL) || setgid(65534) || setuid(65534)) _exit(9);
            plant(argv[3]);
            _exit(0);
        }
        work(seconds);
    }
    else return 8;
    (void)argc;
    return 0;
}
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="session")
def leaker(compiled: Callable[..., Path]) -> Path:
    """A program that keeps 3,000 bytes each 5 ms in leaks(), in the way that its first word says, for so many seconds."""
    return compiled("leaker", LEAKER, "-pthread")


def need(*programs: str) -> None:
    """Skip where one of them is not installed."""
    missing = [program for program in programs if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed here")

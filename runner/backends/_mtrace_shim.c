/* Preloaded into a program, it starts glibc's own trace of malloc, mtrace(3), in a program that does not do so itself.

   LEAKRUN_MTRACE names a directory. Each process writes mtrace.PID.N.log there, N counting the programs that it has become
   by exec. Among what glibc writes stand lines of ours, "= leakrun KEY VALUE"; mtrace(1) passes over lines that begin with "=".
   Times are in milliseconds since the program, or the forked child, began; "clock" is when that was, since 1970. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <mcheck.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROGRAMS_OF_A_PROCESS 10000
#define HIGH_DESCRIPTOR 1000   /* out of the way of programs that count on the low numbers */
#define TIME_STEP 20            /* milliseconds between two times in the log */
#define MOST_UNWRITTEN 100      /* milliseconds of events that may be in the buffer when the next event comes */
#define LARGEST_PLAIN_NEW (16 << 20)

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on all machines; headers before 2020 lack it */
#endif

extern FILE *_IO_list_all; /* glibc's list of open streams, the newest first */

static char directory[PATH_MAX];
static char program_name[PATH_MAX]; /* as the trace calls it, which is argv[0] */
static char program_path[PATH_MAX];
static int log_descriptor = -1;
static FILE *log_stream; /* only where glibc locks it around each event, so that we hear of each */
static long began, timed, flushed;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* A file of this process that was not there before; its descriptor, or -1. */
static int new_log(char *path, size_t size) {
    for (int number = 0; number < PROGRAMS_OF_A_PROCESS; number++) {
        int length = snprintf(path, size, "%s/mtrace.%d.%d.log", directory, (int)getpid(), number);
        if (length < 0 || (size_t)length >= size) return -1;
        int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (descriptor >= 0 || errno != EEXIST) return descriptor;
    }
    return -1;
}

static void write_heading(int descriptor, const char *how) {
    char text[2 * PATH_MAX + 200];
    int length = snprintf(text, sizeof text, "= leakrun pid %d\n= leakrun parent %d\n= leakrun began %s\n= leakrun program %s\n= leakrun path %s\n",
                          (int)getpid(), (int)getppid(), how, program_name, program_path);
    began = timed = flushed = now();
    if (log_stream && length > 0 && (size_t)length < sizeof text) {
        struct timespec clock;
        clock_gettime(CLOCK_REALTIME, &clock);
        length += snprintf(text + length, sizeof text - length, "= leakrun clock %lld\n= leakrun time 0\n",
                           (long long)clock.tv_sec * 1000 + clock.tv_nsec / 1000000);
    }
    if (length > 0 && write(descriptor, text, (size_t)length) != length) return; /* a full disk: the trace itself will fail too */
}

/* Whether tracing is in a library of its own, which calls flockfile() as any program does. */
static int events_are_heard(void) {
    int major = 0, minor = 0;
    return sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor) == 2 && (major > 2 || minor >= 34);
}

/* The trace's stream as glibc has just opened it, moved to a high descriptor; -1 where it is not there. */
static int moved_up(int descriptor, const char *path) {
    struct stat expected, found;
    struct rlimit limit;
    if (stat(path, &expected) || fstat(descriptor, &found) || expected.st_ino != found.st_ino || expected.st_dev != found.st_dev)
        return -1;
    if (!_IO_list_all || fileno(_IO_list_all) != descriptor || getrlimit(RLIMIT_NOFILE, &limit)) return descriptor;
    int lowest = limit.rlim_cur > 2 * HIGH_DESCRIPTOR ? HIGH_DESCRIPTOR : (int)limit.rlim_cur / 2;
    int high = fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
    if (high < 0) return descriptor;
    _IO_list_all->_fileno = high;
    if (events_are_heard()) log_stream = _IO_list_all;
    syscall(SYS_close, descriptor);
    return high;
}

/* The buffer is copied by a fork: it had better be empty. */
static void empty_buffer(void) {
    if (log_stream) fflush(log_stream);
}

/* After a fork the child has the parent's stream: it must write elsewhere. What was buffered then comes first in the new file. */
static void continue_in_child(void) {
    char path[PATH_MAX];
    int saved = errno;
    if (log_descriptor >= 0) {
        int descriptor = new_log(path, sizeof path);
        if (descriptor >= 0)
            write_heading(descriptor, "fork");
        else
            descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (descriptor >= 0) {
            dup3(descriptor, log_descriptor, O_CLOEXEC);
            syscall(SYS_close, descriptor);
        }
    }
    errno = saved;
}

static void learn_program(void) {
    Dl_info info;
    ssize_t length = readlink("/proc/self/exe", program_path, sizeof program_path - 1);
    program_path[length > 0 ? length : 0] = '\0';
    if (dladdr((void *)getauxval(AT_ENTRY), &info) && info.dli_fname) snprintf(program_name, sizeof program_name, "%s", info.dli_fname);
    program_name[strcspn(program_name, "\n")] = program_path[strcspn(program_path, "\n")] = '\0';
}

__attribute__((constructor)) static void start(void) {
    char path[PATH_MAX], former[PATH_MAX];
    const char *where = getenv("LEAKRUN_MTRACE"), *own = getenv("MALLOC_TRACE");
    int saved = errno;
    if (!where || snprintf(directory, sizeof directory, "%s", where) >= (int)sizeof directory) return;
    int had_own = own && snprintf(former, sizeof former, "%s", own) < (int)sizeof former;
    int descriptor = new_log(path, sizeof path);
    if (descriptor < 0) return; /* a child that may not write there: it runs without a trace */
    syscall(SYS_close, descriptor); /* mtrace() opens it again, and gets the same number: the lowest that is free */
    learn_program();
    setenv("MALLOC_TRACE", path, 1);
    mtrace();
    log_descriptor = moved_up(descriptor, path);
    if (log_descriptor >= 0) {
        write_heading(log_descriptor, "exec"); /* before glibc's first line, which is still in its buffer */
        pthread_atfork(empty_buffer, NULL, continue_in_child);
    }
    if (had_own)
        setenv("MALLOC_TRACE", former, 1);
    else
        unsetenv("MALLOC_TRACE"); /* a child program that calls mtrace() must not write over our log */
    errno = saved;
}

/* glibc locks its stream around each event, both lines of a realloc together. There is no time in the log: note it before the
   event, if it is due; and after the event, write out what has waited for long, or else a program that allocates now and then
   would have its events on the disk only when 512 bytes of them have come together. */
void flockfile(FILE *stream) {
    static void (*real)(FILE *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "flockfile");
    real(stream);
    if (stream && stream == log_stream) {
        long time = now();
        if (time - timed >= TIME_STEP) {
            timed = time;
            fprintf(stream, "= leakrun time %ld\n", time - began);
        }
    }
}

void funlockfile(FILE *stream) {
    static void (*real)(FILE *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "funlockfile");
    if (stream && stream == log_stream && timed - flushed >= MOST_UNWRITTEN) {
        flushed = timed;
        fflush_unlocked(stream);
    }
    real(stream);
}

/* A program that ends its own trace would end ours. */
void muntrace(void) {}

/* Daemons close all descriptors that they may have inherited. What they opened next would then get the trace's lines. */
static int really_close_range(unsigned first, unsigned last, int flags) {
    return first <= last ? (int)syscall(SYS_close_range, first, last, flags) : 0;
}

int close_range(unsigned first, unsigned last, int flags) {
    unsigned ours = (unsigned)log_descriptor;
    if (log_descriptor < 0 || ours < first || ours > last) return really_close_range(first, last, flags);
    int below = ours > first ? really_close_range(first, ours - 1, flags) : 0;
    int above = really_close_range(ours + 1, last, flags);
    return below ? below : above;
}

void closefrom(int lowest) { close_range(lowest < 0 ? 0 : (unsigned)lowest, ~0U, 0); }

int close(int descriptor) {
    static int (*real)(int);
    if (descriptor >= 0 && descriptor == log_descriptor) {
        errno = EBADF; /* as if it were not there */
        return -1;
    }
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "close");
    return real ? real(descriptor) : (int)syscall(SYS_close, descriptor);
}

#if __SIZEOF_SIZE_T__ == 8
/* C++: the trace names malloc's direct caller, which would be libstdc++ for every `new`. A tail call leaves the return address
   alone, so that it is the caller of `new`. It can't throw bad_alloc: a large request, which may be refused, goes the usual way. */
#define PLAIN_NEW(name)                                                                  \
    void *name(size_t size) {                                                            \
        if (size < LARGEST_PLAIN_NEW) return malloc(size ? size : 1);                    \
        static void *(*real)(size_t);                                                    \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                            \
        return real ? real(size) : malloc(size);                                         \
    }
PLAIN_NEW(_Znwm)
PLAIN_NEW(_Znam)
void *_ZnwmRKSt9nothrow_t(size_t size) { return malloc(size ? size : 1); }
void *_ZnamRKSt9nothrow_t(size_t size) { return malloc(size ? size : 1); }
#endif

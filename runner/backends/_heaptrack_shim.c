/* Preloaded beside heaptrack's library, it keeps heaptrack's record whole, and has it go on in the programs that a process starts.

   LEAKRUN_HEAPTRACK names a directory, where each program writes heaptrack.PID.N.raw; LEAKRUN_HEAPTRACK_PRELOAD is LD_PRELOAD, and
   LEAKRUN_HEAPTRACK_N the N of this program. heaptrack takes its own variables out of the environment when it begins: they are
   put back for the programs to come. It writes what it has in its buffer when exit() is called: here also before _exit() and quick_exit(), and before
   a signal that ends the program by default. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>

#include "_shim_ending.h"

#define LONGEST_WRITE 3000 /* milliseconds */

static void (*stop_recording)(void);
static volatile sig_atomic_t received, written;

static void note_signal(int number) {
    int saved = errno;
    if (getpid() != owner) {
        end_by(number); /* in a child before its exec */
    } else if (!received) {
        received = number;
        sem_post(&arrived);
    }
    errno = saved;
}

/* By our thread, and not waited for without end: whoever calls _exit() in a handler may have been interrupted in the tool. */
static void write_at_the_end(void) {
    const struct timespec moment = {0, 1000000};
    if (!stop_recording) return;
    if (!listening) return stop_recording();
    sem_post(&arrived);
    for (int i = 0; i < LONGEST_WRITE && !written; i++) nanosleep(&moment, NULL);
    if (received) end_by(received);
}

/* The program went on after a signal until our thread would have ended it. */
static void at_exit(void) {
    if (received) write_at_the_end();
}

static void forget_in_child(void) {
    forget_ending();
    received = 0;
    release_signals();
}

static void *wait_for_signals(void *nothing) {
    for (;;) {
        wait_for_arrival();
        stop_recording();
        written = 1;
        if (received) end_by(received);
    }
    return nothing;
}

/* The record of a process goes on under the next number when it becomes another program by exec. */
static void prepare_next_program(void) {
    char text[PATH_MAX + 64];
    const char *directory = getenv("LEAKRUN_HEAPTRACK"), *preload = getenv("LEAKRUN_HEAPTRACK_PRELOAD"), *number = getenv("LEAKRUN_HEAPTRACK_N");
    if (!directory || !preload) return;
    int next = number ? atoi(number) + 1 : 1;
    if (snprintf(text, sizeof text, "%s/heaptrack.$$.%d.raw", directory, next) >= (int)sizeof text) return;
    setenv("DUMP_HEAPTRACK_OUTPUT", text, 1);
    setenv("LD_PRELOAD", preload, 1);
    snprintf(text, sizeof text, "%d", next);
    setenv("LEAKRUN_HEAPTRACK_N", text, 1);
}

__attribute__((constructor)) static void start(void) {
    int saved = errno;
    void (*pause_recording)(void), (*resume_recording)(void);
    *(void **)&pause_recording = dlsym(RTLD_DEFAULT, "heaptrack_pause"); /* there from heaptrack 1.3 on */
    *(void **)&resume_recording = dlsym(RTLD_DEFAULT, "heaptrack_resume");
    *(void **)&stop_recording = dlsym(RTLD_DEFAULT, "heaptrack_stop");
    int pauses = pause_recording && resume_recording;
    if (pauses) pause_recording(); /* what we ask for is not the program's */
    free(malloc(1));               /* heaptrack begins, at the latest, with this */
    owner = getpid();
    prepare_next_program();
    atexit(at_exit);
    at_quick_exit(write_at_the_end);
    if (stop_recording && listen_for_ending()) pthread_atfork(hold_signals, release_signals, forget_in_child);
    if (pauses) resume_recording();
    errno = saved;
}

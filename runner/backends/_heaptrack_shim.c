/* Preloaded beside heaptrack's library, it keeps heaptrack's record whole, and has it go on in the programs that a process starts.

   LEAKRUN_HEAPTRACK names a directory, where each program writes heaptrack.PID.N.raw; LEAKRUN_HEAPTRACK_PRELOAD is LD_PRELOAD, and
   LEAKRUN_HEAPTRACK_N the N of this program. heaptrack takes its own variables out of the environment when it begins: they are
   put back for the programs to come. It writes what it has in its buffer when exit() is called: here also before _exit(), and
   before a signal that ends the program by default. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP}; /* what people and service managers stop programs with */

static void (*stop_recording)(void);
static volatile pid_t owner; /* the process that is recorded: not its forks, which heaptrack does not follow */
static volatile sig_atomic_t received;
static sem_t arrived;

static void end_by(int number) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
}

/* heaptrack may be at work in the very thread that the signal interrupts: another one has to end the record. */
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

static void *wait_for_signal(void *nothing) {
    while (sem_wait(&arrived)) continue;
    if (stop_recording) stop_recording();
    end_by(received);
    return nothing;
}

static void forget_in_child(void) {
    struct sigaction action;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (!sigaction(ending[i], NULL, &action) && action.sa_handler == note_signal) signal(ending[i], SIG_DFL);
}

static void listen_for_signals(void) {
    struct sigaction action, former;
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    if (sem_init(&arrived, 0, 0) || pthread_sigmask(SIG_SETMASK, &all, &before)) return;
    int failed = pthread_create(&thread, NULL, wait_for_signal, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return;
    pthread_detach(thread);
    memset(&action, 0, sizeof action);
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (!sigaction(ending[i], NULL, &former) && former.sa_handler == SIG_DFL) sigaction(ending[i], &action, NULL);
    pthread_atfork(NULL, NULL, forget_in_child);
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
    if (stop_recording) listen_for_signals();
    if (pauses) resume_recording();
    errno = saved;
}

__attribute__((noreturn)) static void end_at_once(int status) {
    if (stop_recording && getpid() == owner) stop_recording();
    for (;;) syscall(SYS_exit_group, status);
}

void _exit(int status) { end_at_once(status); }
void _Exit(int status) { end_at_once(status); }

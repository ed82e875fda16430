/* For a shim that has something to write before its program ends by exit(), by _exit(), or by a signal that does so by default.

   The thread that such a signal interrupts may be at work in the tool, or hold the allocator's locks: the shim's note_signal()
   posts `arrived`, and its wait_for_signals(), in a thread of its own, does the work and ends the program. */

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP}; /* what people and service managers stop programs with */
#define ENDINGS (sizeof ending / sizeof *ending)

extern int __sigaction(int, const struct sigaction *, struct sigaction *); /* glibc's own, whatever a sanitizer makes of the other */

static volatile pid_t owner; /* the process that writes: not its forks */
static sem_t arrived;

static void note_signal(int number);
static void *wait_for_signals(void *nothing);
static void write_at_the_end(void);

static int is_handled_by(int number, void (*handler)(int)) {
    struct sigaction action;
    return !__sigaction(number, NULL, &action) && action.sa_handler == handler;
}

static void handle_by(int number, void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    __sigaction(number, &action, NULL);
}

static void end_by(int number) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, number);
    handle_by(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
}

static void forget_ending(void) {
    for (size_t i = 0; i < ENDINGS; i++)
        if (is_handled_by(ending[i], note_signal)) handle_by(ending[i], SIG_DFL);
}

/* Whether there is a thread now that waits. */
static int listen_for_ending(void) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    if (sem_init(&arrived, 0, 0) || pthread_sigmask(SIG_SETMASK, &all, &before)) return 0;
    int failed = pthread_create(&thread, NULL, wait_for_signals, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return 0;
    pthread_detach(thread);
    for (size_t i = 0; i < ENDINGS; i++)
        if (is_handled_by(ending[i], SIG_DFL)) handle_by(ending[i], note_signal);
    return 1;
}

__attribute__((noreturn)) static void end_at_once(int status) {
    if (owner && getpid() == owner) write_at_the_end();
    for (;;) syscall(SYS_exit_group, status);
}

void _exit(int status) { end_at_once(status); }
void _Exit(int status) { end_at_once(status); }

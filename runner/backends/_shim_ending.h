/* For a shim that has something to write before its program ends by exit(), quick_exit(), _exit(), or by a signal that does so by default.

   The thread that such a signal interrupts may be at work in the tool, or hold the allocator's locks: the shim's note_signal()
   posts `arrived`, and its wait_for_signals(), in a thread of its own, does the work and ends the program. The program notices
   neither: a signal with our handler looks as if it had the default action, and our thread keeps no program alive. */

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIGNALS_OF_ENDING 3

/* What people and service managers stop programs with; and one more that the shim listens for, or 0. */
static int heard[SIGNALS_OF_ENDING + 1] = {SIGTERM, SIGINT, SIGHUP};

extern int __sigaction(int, const struct sigaction *, struct sigaction *); /* glibc's own, whatever a sanitizer makes of the other */

static volatile pid_t owner; /* the process that writes: not its forks */
static volatile sig_atomic_t listening; /* there is a thread that waits */
static volatile sig_atomic_t main_has_left;
static nlink_t threads_at_start;
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
    for (int i = 0; i < SIGNALS_OF_ENDING; i++)
        if (is_handled_by(heard[i], note_signal)) handle_by(heard[i], SIG_DFL);
}

/* A handler of the program's that interrupted fork(), and called _exit(), would have us wait for what fork() holds. */
static __thread sigset_t before_fork __attribute__((tls_model("initial-exec")));

static void hold_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_fork);
}

static void release_signals(void) { pthread_sigmask(SIG_SETMASK, &before_fork, NULL); }

static nlink_t threads(void) {
    struct stat found;
    return stat("/proc/self/task", &found) ? 0 : found.st_nlink - 2;
}

/* main() has ended its thread, which stays as a zombie, and what is left of the others was there before main(). */
static int is_left_alone(void) {
    char room[512], path[64];
    if (threads() > threads_at_start) return 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)owner);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return 0;
    ssize_t count = read(from, room, sizeof room - 1);
    close(from);
    room[count > 0 ? count : 0] = '\0';
    const char *name_end = strrchr(room, ')');
    return name_end && !strncmp(name_end, ") Z", 3);
}

/* Until there is something to do. A program whose last thread ends, ends with exit(0): ours must not count. */
static void wait_for_arrival(void) {
    static int knows;
    const struct timespec moment = {0, 50000000};
    while (!knows) {
        if (sem_wait(&arrived)) continue;
        if (!main_has_left) return;
        knows = 1; /* one arrival only said so */
    }
    while (sem_trywait(&arrived)) {
        if (is_left_alone()) exit(0);
        nanosleep(&moment, NULL);
    }
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
    threads_at_start = threads();
    for (int i = 0; i < SIGNALS_OF_ENDING; i++)
        if (is_handled_by(heard[i], SIG_DFL)) handle_by(heard[i], note_signal);
    return listening = 1;
}

static int is_heard(int number) {
    for (int i = 0; i <= SIGNALS_OF_ENDING; i++)
        if (number == heard[i]) return listening && getpid() == owner;
    return 0;
}

/* GCC 12's liblsan has this and signal() call nothing: a program that sets a handler would crash, or have none. */
int sigaction(int number, const struct sigaction *action, struct sigaction *former) {
    struct sigaction ours;
    if (action && action->sa_handler == SIG_DFL && is_heard(number)) {
        memset(&ours, 0, sizeof ours);
        ours.sa_handler = note_signal;
        ours.sa_flags = SA_RESTART | SA_ONSTACK;
        action = &ours;
    }
    int failed = __sigaction(number, action, former);
    if (!failed && former && former->sa_handler == note_signal) memset(former, 0, sizeof *former);
    return failed;
}

sighandler_t signal(int number, sighandler_t handler) {
    struct sigaction action, former;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    return sigaction(number, &action, &former) ? SIG_ERR : former.sa_handler;
}

__attribute__((noreturn)) void pthread_exit(void *value) {
    __attribute__((noreturn)) void (*real)(void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_exit");
    if (listening && getpid() == owner && syscall(SYS_gettid) == owner) {
        main_has_left = 1;
        sem_post(&arrived);
    }
    real(value);
}

__attribute__((noreturn)) static void end_at_once(int status) {
    if (owner && getpid() == owner) write_at_the_end();
    for (;;) syscall(SYS_exit_group, status);
}

void _exit(int status) { end_at_once(status); }
void _Exit(int status) { end_at_once(status); }

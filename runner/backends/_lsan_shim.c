/* Preloaded before LeakSanitizer's library, or into a program that was built with a sanitizer, it has it look for leaks.

   LEAKRUN_LSAN names a directory. A check writes its report to lsan.N.PID there, N counting from 1, and below it that the check was
   made, and /proc/self/maps. A check is made when exit(), _exit() or a signal that ends the program by default is come to, and
   whenever the signal number LEAKRUN_LSAN_SIGNAL arrives; the program goes on as it was, with the exit code that is its own. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>

#include "_shim_ending.h"

#define END "leakrun: end\n"
#define LONGEST_START 1000 /* milliseconds */
#define STALE (64 << 10) /* bytes of the stack that earlier calls may have left pointers in */

extern int __cxa_atexit(void (*)(void *), void *, void *);

static int (*look)(void);
static void (*report_to)(const char *);
static char directory[PATH_MAX];
static int asked_by; /* the signal */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t ended_by;
static int checks;
static int last_check_made;
static volatile sig_atomic_t listens; /* our thread has begun */

static void copy_maps(int to) {
    char room[4096];
    ssize_t count;
    int from = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (from < 0) return;
    while ((count = read(from, room, sizeof room)) > 0)
        if (write(to, room, (size_t)count) != count) break;
    close(from);
}

/* The sanitizer stops all threads by ptrace, and ends the program where it can't. */
static int is_traced(void) {
    char room[4096];
    int from = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (from < 0) return 0;
    ssize_t count = read(from, room, sizeof room - 1);
    close(from);
    room[count > 0 ? count : 0] = '\0';
    const char *tracer = strstr(room, "TracerPid:");
    return tracer && atoi(tracer + strlen("TracerPid:")) != 0;
}

static void say(int number, const char *what) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/lsan.%d.%d", directory, number, (int)getpid());
    int to = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (to < 0) return;
    if (write(to, what, strlen(what)) == (ssize_t)strlen(what)) copy_maps(to);
    if (write(to, END, strlen(END)) < 0) errno = 0; /* a full disk: the file is cut, and that shows */
    close(to);
}

/* What the sanitizer allocates as a thread begins, it takes for lost until it knows that thread's stack. */
static void wait_for_our_thread(void) {
    const struct timespec moment = {0, 1000000};
    for (int i = 0; i < LONGEST_START && !listens; i++) nanosleep(&moment, NULL);
}

/* No handler of the program's may run in the middle of it: one that calls exit() or fork() would wait for itself. */
static void check(int last) {
    char path[PATH_MAX + 64];
    sigset_t all, before;
    wait_for_our_thread();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&looking);
    if (!last_check_made) {
        last_check_made = last;
        int number;
        do /* a program that this process was before it became this one by exec may have left some */
            snprintf(path, sizeof path, "%s/lsan.%d.%d", directory, number = ++checks, (int)getpid());
        while (!access(path, F_OK));
        if (is_traced()) {
            say(number, "leakrun: not checked: a debugger or strace holds the program\n");
        } else {
            snprintf(path, sizeof path, "%s/lsan.%d", directory, number); /* the sanitizer adds the pid */
            report_to(path);
            look();
            say(number, "leakrun: checked\nMAPPED_LIBRARIES:\n");
        }
    }
    pthread_mutex_unlock(&looking);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* What earlier calls have left on the stack would be taken for pointers that are still in use. */
__attribute__((noinline)) static void wipe_stack(void) {
    char stale[STALE];
    memset(stale, 0, sizeof stale);
    __asm__ volatile("" : : "r"(stale) : "memory");
}

__attribute__((noinline)) static void write_at_the_end(void) {
    wipe_stack();
    check(1);
    if (ended_by) end_by(ended_by); /* it went on until our thread would have ended it */
}

static void at_exit(void *nothing) {
    (void)nothing;
    write_at_the_end();
}

static void note_signal(int number) {
    int saved = errno;
    if (getpid() != owner) {
        if (number != asked_by) end_by(number); /* in a child before its exec */
    } else {
        if (number != asked_by && !ended_by) ended_by = number;
        sem_post(&arrived);
    }
    errno = saved;
}

static void *wait_for_signals(void *nothing) {
    listens = 1;
    for (;;) {
        wait_for_arrival();
        check(ended_by != 0);
        if (ended_by) end_by(ended_by);
    }
    return nothing;
}

/* During a check the sanitizer holds its locks, which a child would find held for ever. */
static void await_check(void) {
    hold_signals();
    pthread_mutex_lock(&looking);
}

static void go_on(void) {
    pthread_mutex_unlock(&looking);
    release_signals();
}

static void forget_in_child(void) {
    forget_ending();
    if (asked_by && is_handled_by(asked_by, note_signal)) handle_by(asked_by, SIG_IGN);
    pthread_mutex_init(&looking, NULL);
    listens = 1; /* here it never will */
    checks = 0;
    ended_by = 0;
    release_signals();
}

static void listen_for_signals(void) {
    if (!listen_for_ending()) {
        listens = 1;
        return;
    }
    if (asked_by) handle_by(asked_by, note_signal);
    heard[SIGNALS_OF_ENDING] = asked_by;
    pthread_atfork(await_check, go_on, forget_in_child);
}

__attribute__((constructor)) static void start(void) {
    int saved = errno;
    const char *where = getenv("LEAKRUN_LSAN"), *signal_number = getenv("LEAKRUN_LSAN_SIGNAL");
    *(void **)&look = dlsym(RTLD_DEFAULT, "__lsan_do_recoverable_leak_check");
    *(void **)&report_to = dlsym(RTLD_DEFAULT, "__sanitizer_set_report_path");
    if (where && look && report_to && snprintf(directory, sizeof directory, "%s", where) < (int)sizeof directory) {
        owner = getpid();
        asked_by = signal_number ? atoi(signal_number) : 0;
        __cxa_atexit(at_exit, NULL, NULL); /* run after the destructors of all libraries: it was registered before them */
        at_quick_exit(write_at_the_end);
        listen_for_signals();
    }
    errno = saved;
}

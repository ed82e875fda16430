/* A program that behaves as badly as it is told: subject KEY=VALUE...
 *   raw=DIR          on SIGURG (or dump_on=N) write DIR/dump.PID.NNNN, whole with "whole" at its end
 *   handler_after=MS the handler is installed that late
 *   drop=K           only each K-th request is honoured (0: none)
 *   think=MS         before a dump is begun
 *   pause=MS         between the two halves of a dump
 *   term=, int=      default | ignore | exit | slow (write DIR/final.PID for MS=slow milliseconds, then exit 0)
 *   life=MS          then exit with code=N
 *   grow=BYTES       leak so much each 10 ms
 *   lib=PATH         dlopen it after load_after=MS, dlclose it 600 ms later
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *raw = ".", *lib;
static long dump_on = SIGURG, handler_after, drop = 1, think, pause_ms, slow = 1000, life = -1, code, grow, load_after;
static const char *on_term = "default", *on_int = "default";
static volatile sig_atomic_t asked, dumped, ints, leave, write_slowly;

static void nap(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) != 0) {}
}

static void put(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) _exit(99);
}

static void dump(int signum) {
    char path[4096];
    (void)signum;
    asked++;
    if (drop == 0 || asked % drop != 0) return;
    if (think) nap(think);
    snprintf(path, sizeof path, "%s/dump.%d.%04d", raw, (int)getpid(), (int)++dumped);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    put(fd, "half ");
    if (pause_ms) nap(pause_ms);
    put(fd, "whole\n");
    close(fd);
}

static void on_stop(int signum) {
    const char *what = signum == SIGTERM ? on_term : on_int;
    if (signum == SIGINT) ints++;
    if (strcmp(what, "exit") == 0) leave = 1;
    if (strcmp(what, "slow") == 0) write_slowly = 1;
}

static void final_write(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/final.%d", raw, (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (long done = 0; done < slow; done += 50) {
        put(fd, "more\n");
        nap(50);
    }
    put(fd, "whole\n");
    close(fd);
    exit(0);
}

static long number(const char *argument, const char *key, long otherwise) {
    size_t n = strlen(key);
    return strncmp(argument, key, n) == 0 && argument[n] == '=' ? atol(argument + n + 1) : otherwise;
}

static const char *word(const char *argument, const char *key, const char *otherwise) {
    size_t n = strlen(key);
    return strncmp(argument, key, n) == 0 && argument[n] == '=' ? argument + n + 1 : otherwise;
}

int main(int argc, char **argv) {
    void *handle = NULL;
    for (int i = 1; i < argc; i++) {
        raw = word(argv[i], "raw", raw), lib = word(argv[i], "lib", lib);
        on_term = word(argv[i], "term", on_term), on_int = word(argv[i], "int", on_int);
        dump_on = number(argv[i], "dump_on", dump_on), handler_after = number(argv[i], "handler_after", handler_after);
        drop = number(argv[i], "drop", drop), pause_ms = number(argv[i], "pause", pause_ms), slow = number(argv[i], "slow", slow);
        life = number(argv[i], "life", life), code = number(argv[i], "code", code), grow = number(argv[i], "grow", grow);
        think = number(argv[i], "think", think), load_after = number(argv[i], "load_after", load_after);
    }
    if (strcmp(on_term, "default") != 0) signal(SIGTERM, on_stop);
    if (strcmp(on_int, "default") != 0) signal(SIGINT, on_stop);
    long elapsed = 0;
    for (int dumping = 0;; elapsed += 10) {
        if (!dumping && elapsed >= handler_after) {
            struct sigaction action = {.sa_handler = dump, .sa_flags = SA_RESTART};
            sigaction((int)dump_on, &action, NULL);
            dumping = 1;
            printf("up\n");
            fflush(stdout);
        }
        if (lib && !handle && elapsed >= load_after) handle = dlopen(lib, RTLD_NOW);
        if (lib && handle && elapsed >= load_after + 600) dlclose(handle), lib = NULL;
        if (grow) memset(malloc((size_t)grow), 1, (size_t)grow);
        if (write_slowly) final_write();
        if (leave || (life >= 0 && elapsed >= life)) break;
        nap(10);
    }
    printf("asked=%d dumped=%d ints=%d\n", (int)asked, (int)dumped, (int)ints);
    fflush(stdout);
    return (int)code;
}

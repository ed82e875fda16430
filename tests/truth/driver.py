"""The rest of a generated program: what all its files include, and a main() that calls the parts in one of several ways."""

from dataclasses import dataclass
from string import Template

from tests.truth.naming import Names

MODES = ("plain", "threads", "workers", "plugin", "reloaded", "server")
SHAPES = ("steady", "bursts", "trickle", "midrun", "chance")

HEADER = """\
#ifndef SHARED_H
#define SHARED_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __cplusplus
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>
#endif

/* The compiler must believe that somebody else looks at what p points to. */
static inline void touch(volatile void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

$prototypes
#endif
"""

_TOP = """\
#include "$header"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

$includes
static double began, seconds = 4;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double passed(void) { return (now() - began) / seconds; }

int more(void);

int more(void) {
    struct timespec nap = {0, $tick * 1000000L};
    while (nanosleep(&nap, &nap) != 0 && errno == EINTR)
        continue;
    return passed() < 1.0;
}

static volatile long steps_taken;
$chain
static void once(long i) {
    double at = passed();
    (void)at;
$beside$due}

"""

_DUE = {
    "steady": "    $leak(i, at);\n",
    "bursts": "    if (i % $period == 0)\n        for (long k = 0; k < $period; k++)\n            $leak(i + k, at);\n",
    "trickle": "    $leak(i, at);\n",
    "midrun": "    if (at * 100 > $from)\n        $leak(i, at);\n",
    "chance": "    if ((unsigned)i * 2654435761u >> 20 & 1)\n        $leak(i, at);\n",
}

_LOOPS = {
    "plain": """\
static void run(void) {
    for (long i = 0; more(); i++)
        once(i);
}
""",
    "threads": """\
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls;

static void *work(void *unused) {
    while (more()) {
        pthread_mutex_lock(&lock);
        once(calls++);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static void run(void) {
    pthread_t threads[$count];
    for (int k = 0; k < $count; k++)
        pthread_create(&threads[k], NULL, work, NULL);
    for (int k = 0; k < $count; k++)
        pthread_join(threads[k], NULL);
}
""",
    "workers": """\
static void run(void) {
    for (int k = 0; k < $count; k++)
        if (fork() == 0) {
            for (long i = 0; more(); i++)
                once(i);
            exit(0);
        }
    while (wait(NULL) > 0)
        continue;
}
""",
    "server": """\
/* Waits on when a signal interrupts it, as servers do. */
static long patient_read(int from, char *to, size_t size) {
    long n;
    do
        n = read(from, to, size);
    while (n < 0 && errno == EINTR);
    return n;
}

static void ask(unsigned short port) {
    for (long i = 0; more();) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in to;
        memset(&to, 0, sizeof to);
        to.sin_family = AF_INET;
        to.sin_port = port;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(s, (struct sockaddr *)&to, sizeof to) != 0)
            break;
        char answer[8];
        for (int k = 0; k < 20 && more(); k++, i++)
            if (write(s, "ask", 3) != 3 || patient_read(s, answer, sizeof answer) <= 0)
                break;
        close(s);
    }
}

static void run(void) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 8) || getsockname(door, (struct sockaddr *)&at, &size))
        abort();
    signal(SIGPIPE, SIG_IGN);
    pid_t client = fork();
    if (client == 0) {
        close(door);
        ask(at.sin_port);
        _exit(0);
    }
    long i = 0;
    while (passed() < 0.99) {
        int s = accept(door, NULL, NULL);
        char question[8];
        while (s >= 0 && patient_read(s, question, sizeof question) > 0) {
            once(i++);
            if (write(s, "answer", 6) != 6)
                break;
        }
        close(s);
    }
    close(door);
    waitpid(client, NULL, 0);
}
""",
    "plugin": """\
static void run(void) {
    open_plugin();
    for (long i = 0; more(); i++)
        once(i);
}
""",
    "reloaded": """\
static void run(void) {
    for (long i = 0; more(); i++) {
        if (i % $count == 0) {
            if (plugin)
                dlclose(plugin);
            open_plugin();
        }
        once(i);
    }
    dlclose(plugin);
}
""",
}

_PLUGIN = """\
static void *plugin;
static void (*from_plugin)(long, double);

static void open_plugin(void) {
    plugin = dlopen("$plugin", RTLD_NOW);
    if (!plugin) {
        fprintf(stderr, "%s\\n", dlerror());
        exit(4);
    }
    *(void **)&from_plugin = dlsym(plugin, "$entry");
}

"""

_MAIN = """\

int main(int argc, char **argv) {
    began = now();
    if (argc > 1)
        seconds = atof(argv[1]);
    run();
    return steps_taken < 0;
}
"""


@dataclass(frozen=True)
class Drive:
    """How a program calls its parts.

    tick      milliseconds between two calls of one thread or process
    depth     functions between the loop and the leak
    period    of bursts, in calls;  from_percent: when a leak of shape midrun begins
    count     threads, workers, or calls between two reloads of the plugin
    """

    mode: str
    shape: str
    tick: int
    depth: int
    period: int
    from_percent: int
    count: int
    noinline: bool


def main_source(
    drive: Drive, names: Names, header: str, included: list[str], beside: list[str], leak: str | None, plugin: str
) -> str:
    """The text of the file with main(). `beside` are entries of clean parts, `leak` the leaking part's, None for none."""
    numbers = {"tick": str(drive.tick), "count": str(drive.count), "period": str(drive.period), "from": str(drive.from_percent)}
    from_plugin = drive.mode in ("plugin", "reloaded")
    entry = "from_plugin" if from_plugin and leak else leak
    chain, first = _chain(drive, names, entry) if entry else ("", "")
    text = {
        "header": header,
        "includes": "".join(f'#include "{name}"\n' for name in included),
        "chain": (Template(_PLUGIN).substitute(plugin=plugin, entry=leak) if from_plugin else "") + chain,
        "beside": "".join(f"    {name}(i, at);\n" for name in beside),
        "due": Template(_DUE[drive.shape]).substitute(numbers, leak=first) if entry else "",
    }
    return Template(_TOP + _LOOPS[drive.mode] + _MAIN).substitute(numbers | text)


def _chain(drive: Drive, names: Names, entry: str) -> tuple[str, str]:
    """Functions that call one another and at last the leak; their text, and the first one's name."""
    text, callee = "", entry
    for _ in range(drive.depth):
        name = names.fresh()
        attribute = "__attribute__((noinline)) " if drive.noinline else ""
        text += f"{attribute}static void {name}(long i, double at) {{\n    {callee}(i, at);\n    steps_taken++;\n}}\n\n"
        callee = name
    return text, callee

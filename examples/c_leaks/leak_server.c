/* A small server that leaks per request: it counts words for whoever connects over the loopback, and forgets the words.
 *
 *     leak_server PORT            serve on 127.0.0.1; port 0 takes a free one, and it is printed
 *     leak_server PORT --load     the same, and be one's own client: a request every 5 ms
 *
 * SIGTERM ends it, and it ends well: it leaves its loop and returns from main(). Try it from a shell:
 *
 *     leakrun -p heapprofile ./leak_server 7000        and elsewhere:   echo one two three | nc 127.0.0.1 7000
 *
 * In real code: a server's leak is small for one request, and is the whole memory after a week. */

// CFLAGS: -pthread
// RUN: 0 --load
// STOP: TERM after 5s
// EXPECT: lost 2048 bytes x N at count_words()
// EXPECT: growing at count_words()

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST = 2048 };

static volatile sig_atomic_t ending;
static struct sockaddr_in address;

static void end(int signal_number) {
    (void)signal_number;
    ending = 1;
}

__attribute__((noinline)) static int count_words(const char *request) {
    char *copy = malloc(REQUEST);  // <- here
    int words = 0;
    memcpy(copy, request, REQUEST);  // strtok() writes into what it reads, so it needs a copy of its own
    for (char *word = strtok(copy, " \r\n"); word; word = strtok(NULL, " \r\n")) words++;
    return words;
}

static void answer(int client) {
    char request[REQUEST] = "", reply[32];
    if (read(client, request, sizeof request - 1) <= 0) return;
    int length = snprintf(reply, sizeof reply, "%d\n", count_words(request));
    send(client, reply, (size_t)length, MSG_NOSIGNAL);  // a client that has gone is no reason to die
}

/* Port 0 asks the kernel for a free one; `address` then holds it. */
static int listen_on(int port) {
    int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)port);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 64)) return -1;
    getsockname(server, (struct sockaddr *)&address, &size);
    return server;
}

static void *load(void *unused) {
    static const char request[] = "one two three\n";
    char reply[32];
    while (!ending) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, (struct sockaddr *)&address, sizeof address) == 0 && write(client, request, sizeof request - 1) > 0)
            if (read(client, reply, sizeof reply) < 0) perror("read");
        close(client);
        usleep(5000);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t client;
    int with_load = argc > 2 && strcmp(argv[2], "--load") == 0;
    int server = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    if (server < 0) {
        perror("leak_server");
        return 1;
    }
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    if (with_load && pthread_create(&client, NULL, load, NULL)) return 1;
    struct pollfd waiting = {.fd = server, .events = POLLIN};
    while (!ending) {
        if (poll(&waiting, 1, 200) <= 0) continue;  // nobody came: look whether it is time to end
        int connection = accept(server, NULL, NULL);
        if (connection < 0) continue;
        answer(connection);
        close(connection);
    }
    close(server);
    if (with_load) pthread_join(client, NULL);
    puts("served");
    return 0;
}

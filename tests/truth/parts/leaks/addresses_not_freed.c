// KIND: lost
#include <netdb.h>
#include <sys/socket.h>

static int $reachable(const char *host, const char *port) {
    struct addrinfo hints, *found;
    memset(&hints, 0, sizeof hints);
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)  //@ here $reachable
        return 0;
    return found->ai_family == AF_INET;
}

static long $good;

void $op(long i, double passed) {
    (void)passed;
    char port[12];
    snprintf(port, sizeof port, "%ld", 1024 + i % 999);
    $good += $reachable("127.0.0.1", port);
}

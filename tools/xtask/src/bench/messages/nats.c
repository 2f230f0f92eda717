// Two clients of a NATS server (core NATS, no persistence) on one host: round trips of 64 bytes, and messages one way. Prints a figure a
// line. The server is `nats-server`, started here on the loopback address and ended again.
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5000, COUNT = 300000, SIZE = 64, PORT = 14222 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static void write_all(int fd, const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done <= 0) exit(4);
        bytes += done;
        n -= (size_t)done;
    }
}

// What came and was not looked at yet.
static char buffer[1 << 20];
static size_t start, end;

static void fill(int fd) {
    if (start > 0) memmove(buffer, buffer + start, end - start);
    end -= start;
    start = 0;
    ssize_t n = read(fd, buffer + end, sizeof buffer - end);
    if (n <= 0) exit(5);
    end += (size_t)n;
}
// Skips to behind the next message.
static void message(int fd) {
    for (;;) {
        char *line = buffer + start, *stop = memchr(line, '\n', end - start);
        if (!stop) { fill(fd); continue; }
        size_t head = (size_t)(stop + 1 - line);
        if (!strncmp(line, "MSG ", 4)) {
            if (end - start < head + SIZE + 2) { fill(fd); continue; }
            start += head + SIZE + 2;
            return;
        }
        if (!strncmp(line, "PING", 4)) write_all(fd, "PONG\r\n", 6);
        start += head;
    }
}
static int join(const char *listens) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = -1, yes = 1;
    for (int n = 0; n < 3000; n++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(fd, (struct sockaddr *)&at, sizeof at)) break;
        close(fd);
        fd = -1;
        usleep(1000);
    }
    if (fd < 0) exit(3);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    char hello[128];
    int n = snprintf(hello, sizeof hello, "CONNECT {\"verbose\":false}\r\nSUB %s 1\r\n", listens);
    write_all(fd, hello, (size_t)n);
    return fd;
}
static size_t publish(char *out, const char *to) {
    size_t n = (size_t)sprintf(out, "PUB %s %d\r\n", to, SIZE);
    memset(out + n, 7, SIZE);
    memcpy(out + n + SIZE, "\r\n", 2);
    return n + SIZE + 2;
}

int main(void) {
    pid_t server = fork();
    if (server == 0) {
        execlp("nats-server", "nats-server", "-a", "127.0.0.1", "-p", "14222", "-l", "/dev/null", (char *)0);
        _exit(127);
    }
    char to_other[128], to_me[128];
    size_t there = publish(to_other, "there"), back = publish(to_me, "back");
    int fd = join("back");
    pid_t other = fork();
    if (other == 0) {
        close(fd);
        fd = join("there");
        write_all(fd, to_me, back);
        for (int n = 0; n < ROUNDS; n++) { message(fd); write_all(fd, to_me, back); }
        for (int n = 0; n < COUNT; n++) message(fd);
        write_all(fd, to_me, back);
        _exit(0);
    }
    // The other one is there.
    message(fd);
    static double all[ROUNDS];
    for (int n = 0; n < ROUNDS; n++) {
        double begun = now();
        write_all(fd, to_other, there);
        message(fd);
        all[n] = now() - begun;
    }
    qsort(all, ROUNDS, sizeof *all, compare);
    printf("answer µs %f\n", all[ROUNDS / 2]);
    static char many[1 << 16];
    size_t batch = 0, each = 0;
    while (batch + there < sizeof many) { memcpy(many + batch, to_other, there); batch += there; each++; }
    double begun = now();
    for (size_t left = COUNT; left > 0;) {
        size_t n = left < each ? left : each;
        write_all(fd, many, n * there);
        left -= n;
    }
    message(fd);
    printf("plain /s %f\n", COUNT / (now() - begun) * 1e6);
    int status;
    waitpid(other, &status, 0);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return status != 0;
}

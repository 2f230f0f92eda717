// Two processes of a message library on one host: round trips of 64 bytes, and messages one way. Prints a figure a line.
// Compiled with -DNNG or -DZMQ.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5000, COUNT = 300000, SIZE = 64 };

#ifdef NNG
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
typedef nng_socket Socket;
enum Kind { REQ, REP, PUSH, PULL };
static Socket open_socket(enum Kind kind) {
    Socket s;
    int e = kind == REQ ? nng_req0_open(&s) : kind == REP ? nng_rep0_open(&s) : kind == PUSH ? nng_push0_open(&s) : nng_pull0_open(&s);
    if (e) exit(2);
    return s;
}
static void listen_at(Socket s, const char *at) { if (nng_listen(s, at, NULL, 0)) exit(3); }
static void dial(Socket s, const char *at) { while (nng_dial(s, at, NULL, 0)) usleep(1000); }
static void put(Socket s, void *bytes) { if (nng_send(s, bytes, SIZE, 0)) exit(4); }
static void get(Socket s, void *bytes) { size_t n = SIZE; if (nng_recv(s, bytes, &n, 0)) exit(5); }
static void close_socket(Socket s) { nng_close(s); }
#else
#include <zmq.h>
typedef void *Socket;
enum Kind { REQ, REP, PUSH, PULL };
static void *context;
static Socket open_socket(enum Kind kind) {
    static const int kinds[] = {ZMQ_REQ, ZMQ_REP, ZMQ_PUSH, ZMQ_PULL};
    if (!context) context = zmq_ctx_new();
    return zmq_socket(context, kinds[kind]);
}
static void listen_at(Socket s, const char *at) { if (zmq_bind(s, at)) exit(3); }
static void dial(Socket s, const char *at) { if (zmq_connect(s, at)) exit(3); }
static void put(Socket s, void *bytes) { if (zmq_send(s, bytes, SIZE, 0) < 0) exit(4); }
static void get(Socket s, void *bytes) { if (zmq_recv(s, bytes, SIZE, 0) < 0) exit(5); }
static void close_socket(Socket s) { zmq_close(s); }
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    char dir[] = "/tmp/peer-XXXXXX", round[64], way[64], bytes[SIZE] = {7};
    if (!mkdtemp(dir)) return 1;
    snprintf(round, sizeof round, "ipc://%s/round", dir);
    snprintf(way, sizeof way, "ipc://%s/way", dir);
    pid_t other = fork();
    if (other == 0) {
        Socket rep = open_socket(REP), pull = open_socket(PULL);
        listen_at(rep, round);
        listen_at(pull, way);
        for (int n = 0; n < ROUNDS; n++) { get(rep, bytes); put(rep, bytes); }
        for (int n = 0; n < COUNT; n++) get(pull, bytes);
        // It has them all.
        get(rep, bytes);
        put(rep, bytes);
        usleep(100000);
        _exit(0);
    }
    Socket req = open_socket(REQ), push = open_socket(PUSH);
    dial(req, round);
    dial(push, way);
    static double all[ROUNDS];
    for (int n = 0; n < ROUNDS; n++) {
        double begun = now();
        put(req, bytes);
        get(req, bytes);
        all[n] = now() - begun;
    }
    qsort(all, ROUNDS, sizeof *all, compare);
    printf("answer µs %f\n", all[ROUNDS / 2]);
    double begun = now();
    for (int n = 0; n < COUNT; n++) put(push, bytes);
    put(req, bytes);
    get(req, bytes);
    printf("plain /s %f\n", COUNT / (now() - begun) * 1e6);
    close_socket(req);
    close_socket(push);
    int status;
    waitpid(other, &status, 0);
    unlink(round + 6);
    unlink(way + 6);
    rmdir(dir);
    return status != 0;
}

/* The Message Passing Service from C: `mps serve DIR NODE PEER` answers what `mps ask DIR NODE PEER` asks. */

#include "mps.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                         \
    do {                                                                    \
        if (!(what)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

static const wchar_t MAILBOX[] = L"gr\u00f6\u00dfe";
static const uint32_t TRANSACTION = 7;

/* What the callback saw, for the thread that waits for it. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t change;
    int sent, received, closed;
    MpsStatus sent_status;
    void *sent_context;
    MpsMessageReceived message;
    MpsHandle handle;
};

static uint32_t told(void *context, const MpsEvent *event) {
    struct seen *seen = context;
    pthread_mutex_lock(&seen->lock);
    seen->handle = event->FilamentHandle;
    switch (event->Kind) {
    case MPS_EVENT_KIND_MESSAGE_SENT:
        seen->sent += 1;
        seen->sent_status = event->EventStatus;
        seen->sent_context = event->ContextHandle;
        break;
    case MPS_EVENT_KIND_MESSAGE_RECEIVED:
        seen->received += 1;
        seen->message = event->Message;
        break;
    case MPS_EVENT_KIND_CLOSE_COMPLETED:
        seen->closed += 1;
        break;
    }
    pthread_cond_broadcast(&seen->change);
    pthread_mutex_unlock(&seen->lock);
    return MPS_STATUS_SUCCESS;
}

static void wait_for(struct seen *seen, int *what, int count) {
    pthread_mutex_lock(&seen->lock);
    while (*what < count)
        pthread_cond_wait(&seen->change, &seen->lock);
    pthread_mutex_unlock(&seen->lock);
}

static int has_closed(struct seen *seen) {
    pthread_mutex_lock(&seen->lock);
    int closed = seen->closed;
    pthread_mutex_unlock(&seen->lock);
    return closed;
}

static MpsSendDescriptor letter(uint32_t to, const char *text, uint32_t tag, void *context) {
    MpsSendDescriptor descriptor = {context, to, NULL, strlen(text), tag};
    CHECK(MpsAllocateMessage(descriptor.Size, &descriptor.Ptr) == MPS_STATUS_SUCCESS);
    memcpy(descriptor.Ptr, text, descriptor.Size);
    return descriptor;
}

static int is_text(const MpsMessageReceived *message, const char *text) {
    return message->Size == strlen(text) && memcmp(message->Ptr, text, message->Size) == 0;
}

/* Answers one question in its transaction, takes one asynchronous message, and goes. */
static void serve(MpsHandle handle, struct seen *seen, uint32_t peer) {
    MpsMessageReceived message;
    CHECK(MpsSynchronousReceive(handle, 20, TRANSACTION, &message) == MPS_STATUS_SUCCESS);
    CHECK(is_text(&message, "question") && message.Sender == peer);
    CHECK(message.SynchronousStatus == 1 && message.SequenceTag == TRANSACTION);
    MpsSendDescriptor answer = letter(message.Sender, "answer", message.SequenceTag, NULL);
    CHECK(MpsSynchronousSend(handle, &answer) == MPS_STATUS_SUCCESS);
    CHECK(MpsFreeMessage(answer.Ptr) == MPS_STATUS_SUCCESS);
    CHECK(MpsReleaseReceivedMessage(message.Ptr) == MPS_STATUS_SUCCESS);
    CHECK(MpsReleaseReceivedMessage(message.Ptr) == MPS_STATUS_BUFFER_INVALID);
    wait_for(seen, &seen->received, 1);
    CHECK(is_text(&seen->message, "no hurry") && seen->message.Sender == peer && seen->handle == handle);
    CHECK(seen->message.SynchronousStatus == 0 && seen->message.SequenceTag == (TRANSACTION | MPS_ASYNCHRONOUS));
    CHECK(MpsReleaseReceivedMessage(seen->message.Ptr) == MPS_STATUS_SUCCESS);
}

static void ask(MpsHandle handle, struct seen *seen, uint32_t peer) {
    MpsSendDescriptor question = letter(peer, "question", TRANSACTION, NULL);
    CHECK(MpsSynchronousSend(handle, &question) == MPS_STATUS_SUCCESS);
    CHECK(MpsFreeMessage(question.Ptr) == MPS_STATUS_SUCCESS);
    CHECK(MpsFreeMessage(question.Ptr) == MPS_STATUS_BUFFER_INVALID);
    MpsMessageReceived message;
    CHECK(MpsSynchronousReceive(handle, -1, MPS_ANY_TRANSACTION, &message) == MPS_STATUS_SUCCESS);
    CHECK(is_text(&message, "answer") && message.SequenceTag == TRANSACTION);
    CHECK(MpsReleaseReceivedMessage(message.Ptr) == MPS_STATUS_SUCCESS);
    CHECK(MpsSynchronousReceive(handle, 0, MPS_ANY_TRANSACTION, &message) == MPS_STATUS_NO_MESSAGE);

    MpsSendDescriptor hurry = letter(peer, "no hurry", TRANSACTION | MPS_ASYNCHRONOUS, seen);
    CHECK(MpsAsynchronousSend(handle, &hurry) == MPS_STATUS_PENDING);
    wait_for(seen, &seen->sent, 1);
    CHECK(seen->sent_status == MPS_STATUS_SUCCESS && seen->sent_context == seen && seen->handle == handle);

    /* What is refused; nothing of it is told. */
    MpsSendDescriptor wrong = hurry;
    wrong.Destination = 0;
    CHECK(MpsSynchronousSend(handle, &wrong) == MPS_STATUS_DESTINATION_INVALID);
    wrong.Destination = 4711;
    CHECK(MpsAsynchronousSend(handle, &wrong) == MPS_STATUS_DESTINATION_INVALID);
    wrong = hurry;
    wrong.Size += 1;
    CHECK(MpsSynchronousSend(handle, &wrong) == MPS_STATUS_TOO_LARGE);
    wrong.Ptr = &wrong;
    CHECK(MpsSynchronousSend(handle, &wrong) == MPS_STATUS_BUFFER_INVALID);
    CHECK(MpsSynchronousSend(handle, NULL) == MPS_STATUS_INVALID);
    CHECK(MpsSynchronousSend((MpsHandle)&wrong, &hurry) == MPS_STATUS_NOT_OPEN);
    CHECK(MpsAllocateMessage((size_t)-1, &wrong.Ptr) == MPS_STATUS_INSUFFICIENT_RESOURCES);
    CHECK(MpsFreeMessage(hurry.Ptr) == MPS_STATUS_SUCCESS);

    /* A message of no bytes to oneself, in a session without a callback. */
    MpsHandle plain;
    uint32_t self;
    CHECK(MpsGetSpId("4711", &self, NULL) == MPS_STATUS_NO_CONDUIT);
    CHECK(MpsOpen(NULL, NULL, "MGMT", MAILBOX, NULL, &plain) == MPS_STATUS_EXISTS);
    CHECK(MpsOpen(NULL, NULL, "MGMT", L"plain", NULL, &plain) == MPS_STATUS_SUCCESS);
    CHECK(MpsOpen(NULL, "ghost", "MGMT", L"ghost", NULL, &plain) == MPS_STATUS_NO_CONDUIT);
    CHECK(MpsOpen(NULL, NULL, "MGMTS", L"x", NULL, &plain) == MPS_STATUS_INVALID);
    MpsSendDescriptor empty = {NULL, 0, NULL, 0, 1};
    char digits[16];
    snprintf(digits, sizeof digits, "%u", (unsigned)peer);
    CHECK(MpsGetSpId(digits, &empty.Destination, NULL) == MPS_STATUS_SUCCESS);
    CHECK(MpsAllocateMessage(0, &empty.Ptr) == MPS_STATUS_SUCCESS && empty.Ptr != NULL);
    CHECK(MpsAsynchronousSend(plain, &empty) == MPS_STATUS_NOT_SUPPORTED);
    CHECK(MpsSynchronousSend(plain, &empty) == MPS_STATUS_SUCCESS);
    CHECK(MpsSynchronousReceive(plain, 1, 1, &message) == MPS_STATUS_SUCCESS);
    CHECK(message.Size == 0 && message.Ptr != NULL && message.Sender == empty.Destination);
    CHECK(MpsReleaseReceivedMessage(message.Ptr) == MPS_STATUS_SUCCESS);
    CHECK(MpsClose(plain) == MPS_STATUS_SUCCESS);
    CHECK(MpsClose(plain) == MPS_STATUS_NOT_OPEN);
    CHECK(MpsSynchronousSend(plain, &empty) == MPS_STATUS_NOT_OPEN);
    CHECK(MpsFreeMessage(empty.Ptr) == MPS_STATUS_SUCCESS);
}

/* Receives until it is sent away. */
static void *receives(void *handle) {
    MpsMessageReceived message;
    MpsStatus status = MpsSynchronousReceive(handle, -1, MPS_ANY_TRANSACTION, &message);
    /* Sent away while it waited, or refused because it came late. */
    CHECK(status == MPS_STATUS_CANCELED || status == MPS_STATUS_CLOSING || status == MPS_STATUS_NOT_OPEN);
    return NULL;
}

/* Closes while a thread may receive: at once, or pending until that is sent away; then it is told. */
static void close_somehow(MpsHandle handle, struct seen *seen) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, receives, handle) == 0);
    MpsStatus closed = MpsClose(handle);
    CHECK(closed == MPS_STATUS_SUCCESS || closed == MPS_STATUS_PENDING);
    while (closed == MPS_STATUS_PENDING && !has_closed(seen)) {
        /* It may be on its way into the call: again, until it was there. */
        MpsStatus canceled = MpsCancelReceive(handle);
        CHECK(canceled == MPS_STATUS_SUCCESS || canceled == MPS_STATUS_NOT_OPEN);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(MpsClose(handle) == MPS_STATUS_NOT_OPEN);
}

int main(int count, char **words) {
    CHECK(count == 5);
    struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    CHECK(MpsUseNode(words[2], NULL, words[3]) == MPS_STATUS_SUCCESS);
    MpsHandle handle = NULL;
    CHECK(MpsOpen(told, words[4], "MGMT", MAILBOX, &seen, &handle) == MPS_STATUS_SUCCESS && handle != NULL);
    uint32_t local, peer;
    CHECK(MpsGetSpId(words[4], &local, &peer) == MPS_STATUS_SUCCESS && local != peer);
    printf("open %u %u\n", (unsigned)local, (unsigned)peer);
    fflush(stdout);
    if (strcmp(words[1], "serve") == 0) {
        serve(handle, &seen, peer);
        CHECK(MpsClose(handle) == MPS_STATUS_SUCCESS);
    } else {
        ask(handle, &seen, peer);
        close_somehow(handle, &seen);
    }
    puts("done");
    return 0;
}

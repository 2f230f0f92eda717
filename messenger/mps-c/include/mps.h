/* The Message Passing Service. Made from the code by cbindgen: change that, and run its test with
 * MPS_HEADER=write.
 *
 * Services return MPS_STATUS_SUCCESS or say why not. They may be used from any thread, those that wait for others too, but a
 * callback that waits keeps other callbacks waiting. A session without a callback has synchronous services only. */

#ifndef MPS_H
#define MPS_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

// The bit of a sequence tag that says that its message is asynchronous. The other 31 are the transaction.
#define MPS_ASYNCHRONOUS 2147483648

// The transaction that means any.
#define MPS_ANY_TRANSACTION 4294967295

// How a service went. The numbers are those of the C library and stay what they are.
enum MpsStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It is done.
  MPS_STATUS_SUCCESS = 0,
  // It is under way; an event tells its end.
  MPS_STATUS_PENDING = 1,
  // There is no memory for it, a table is full, or too much is under way to the target.
  MPS_STATUS_INSUFFICIENT_RESOURCES = 2,
  // An argument is not what it should be.
  MPS_STATUS_INVALID = 3,
  // The mailbox is open on this storage processor already.
  MPS_STATUS_EXISTS = 4,
  // The session is not open, or not any more.
  MPS_STATUS_NOT_OPEN = 5,
  // The session waits for its closure and takes nothing new.
  MPS_STATUS_CLOSING = 6,
  // The destination is no storage processor of the session's conduit.
  MPS_STATUS_DESTINATION_INVALID = 7,
  // The buffer is not one that was allocated here, or it was freed or released.
  MPS_STATUS_BUFFER_INVALID = 8,
  // The buffer is being sent.
  MPS_STATUS_BUFFER_IN_USE = 9,
  // More bytes than the buffer has, or than a message may have.
  MPS_STATUS_TOO_LARGE = 10,
  // No message came in time.
  MPS_STATUS_NO_MESSAGE = 11,
  // The session, or the target, does not have this service.
  MPS_STATUS_NOT_SUPPORTED = 12,
  // The conduit leads nowhere: its storage processor cannot be reached.
  MPS_STATUS_NO_CONDUIT = 13,
  // The target has no such mailbox open.
  MPS_STATUS_NO_MAILBOX = 14,
  // The target's mailbox is full: its client did not receive or release enough.
  MPS_STATUS_FULL = 15,
  // The target cannot be reached, or began a new life.
  MPS_STATUS_NODE_DOWN = 16,
  // It was taken back.
  MPS_STATUS_CANCELED = 17,
  // The client's own code failed.
  MPS_STATUS_FAILED = 18,
  // The connection to the daemon is lost, and every session with it.
  MPS_STATUS_LOST = 19,
  // A fault of this library.
  MPS_STATUS_INTERNAL = 20,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MpsStatus MpsStatus;
#else
typedef uint32_t MpsStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What an event tells.
enum MpsEventKind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // A close that was pending is complete: the last event of its session.
  MPS_EVENT_KIND_CLOSE_COMPLETED = 1,
  // An asynchronous send is complete; its buffer is the client's again.
  MPS_EVENT_KIND_MESSAGE_SENT = 2,
  // An asynchronous message came.
  MPS_EVENT_KIND_MESSAGE_RECEIVED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MpsEventKind MpsEventKind;
#else
typedef uint32_t MpsEventKind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A session, of which C sees nothing.
typedef struct MpsSession {
  uint8_t nothing[0];
} MpsSession;

// The handle of a session. It is a number that is never used again, and no address.
typedef struct MpsSession *MpsHandle;

// A message that came.
typedef struct MpsMessageReceived {
  // Its bytes, to be given back with MpsReleaseReceivedMessage.
  const void *Ptr;
  // The number of the storage processor that sent it.
  uint32_t Sender;
  // How many bytes.
  size_t Size;
  // 1 for a synchronous message, 0 for an asynchronous one.
  uint32_t SynchronousStatus;
  // The transaction, with MPS_ASYNCHRONOUS or without.
  uint32_t SequenceTag;
} MpsMessageReceived;

// What happened.
typedef struct MpsEvent {
  // What.
  MpsEventKind Kind;
  // Of CloseCompleted and MessageSent: how it went.
  MpsStatus EventStatus;
  // Which session.
  MpsHandle FilamentHandle;
  // Of MessageSent: the context of the descriptor.
  void *ContextHandle;
  // Of MessageReceived: the message.
  struct MpsMessageReceived Message;
} MpsEvent;

// The client's code for events, with the context of its session. Its status is MPS_STATUS_SUCCESS, or it is counted. It is
// called by one thread of the library, for one event after another.
typedef uint32_t (*MpsCallback)(void *context, const struct MpsEvent *event);

// What is to be sent, and where to.
typedef struct MpsSendDescriptor {
  // The client's own, told at the completion of an asynchronous send.
  void *ContextHandle;
  // The number of the storage processor.
  uint32_t Destination;
  // The message: what MpsAllocateMessage gave.
  void *Ptr;
  // Bytes of it to be sent.
  size_t Size;
  // The transaction, with MPS_ASYNCHRONOUS or without.
  uint32_t SequenceTag;
} MpsSendDescriptor;

// Every status.
#define MpsStatus_ALL { MpsStatus_Success, MpsStatus_Pending, MpsStatus_InsufficientResources, MpsStatus_Invalid, MpsStatus_Exists, MpsStatus_NotOpen, MpsStatus_Closing, MpsStatus_DestinationInvalid, MpsStatus_BufferInvalid, MpsStatus_BufferInUse, MpsStatus_TooLarge, MpsStatus_NoMessage, MpsStatus_NotSupported, MpsStatus_NoConduit, MpsStatus_NoMailbox, MpsStatus_Full, MpsStatus_NodeDown, MpsStatus_Canceled, MpsStatus_Failed, MpsStatus_Lost, MpsStatus_Internal, }

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Says which daemon of this host is meant, before the first session: its run-time directory, its fabric and its node's name. Null
// is as if this was never called: the directory in MINET_RUN_DIR or the usual one, the usual fabric, the only node.
//
// # Safety
// Each is null or ends with a zero byte.
MpsStatus MpsUseNode(const char *directory,
                     const char *fabric,
                     const char *name);

// Opens a session: a mailbox in a domain of one to four characters, over the conduit to the node of that name or number, or for
// null over all. The callback is told the session's events with the context; without one the session has synchronous
// services only.
//
// # Safety
// Texts are null or end with a zero; `handle` is null or may be written to; the callback may be called with the context from
// another thread until the session is closed.
MpsStatus MpsOpen(MpsCallback callback,
                  const char *conduit,
                  const char *domain,
                  const wchar_t *mailbox,
                  void *context,
                  MpsHandle *handle);

// Closes a session: at once, or when its outstanding sends and receives are done; then it returns MPS_STATUS_PENDING, and the
// event CloseCompleted follows.
MpsStatus MpsClose(MpsHandle handle);

// Gives the number of this storage processor and of the one at the other end of a conduit, by its node's name or number.
//
// # Safety
// `conduit` is null or ends with a zero byte; the others are null or may be written to.
MpsStatus MpsGetSpId(const char *conduit,
                     uint32_t *local,
                     uint32_t *peer);

// Allocates a buffer of so many bytes, which may be 0, and puts its address there. Its bytes are 0.
//
// # Safety
// `message` is null or may be written to.
MpsStatus MpsAllocateMessage(size_t size, void **message);

// Frees a buffer of MpsAllocateMessage that is not being sent.
MpsStatus MpsFreeMessage(void *message);

// Gives a received message back, synchronous or asynchronous, once.
MpsStatus MpsReleaseReceivedMessage(const void *message);

// Sends a message and returns MPS_STATUS_PENDING; the event MessageSent tells what became of it. Any other status: nothing was
// sent, and there is no event. A session without a callback does not have it.
//
// # Safety
// `descriptor` is null or may be read.
MpsStatus MpsAsynchronousSend(MpsHandle handle,
                              const struct MpsSendDescriptor *descriptor);

// Sends a message and waits until the target's storage processor confirmed it.
//
// # Safety
// `descriptor` is null or may be read.
MpsStatus MpsSynchronousSend(MpsHandle handle, const struct MpsSendDescriptor *descriptor);

// Takes a synchronous message of a transaction, or with MPS_ANY_TRANSACTION of any. It waits for ever with a timeout below 0,
// not at all with 0, and so many seconds above 0.
//
// # Safety
// `message` is null or may be written to.
MpsStatus MpsSynchronousReceive(MpsHandle handle,
                                int32_t timeout,
                                uint32_t transaction,
                                struct MpsMessageReceived *message);

// Sends away who waits in MpsSynchronousReceive of a session now, with MPS_STATUS_CANCELED.
MpsStatus MpsCancelReceive(MpsHandle handle);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MPS_H */

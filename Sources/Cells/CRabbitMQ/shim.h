// librabbitmq's own headers, and what Swift can't import of them: method numbers that are macros with
// a cast, and the login, which takes a variable number of arguments.
#ifndef CELLMAP_CRABBITMQ_SHIM_H
#define CELLMAP_CRABBITMQ_SHIM_H

// As in CLMDB: amqp.h includes <sys/time.h>, which defines timeval and timespec a second time beside
// Glibc's. Here they are only declared, and times are passed through the functions below.
#define _STRUCT_TIMESPEC 1
struct timespec;
#define __timeval_defined 1
struct timeval;

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

// The methods that the wrapper sends or understands, as amqp_framing.h numbers them.
enum CRabbitMethod {
  CRabbitConnectionClose = 0x000A0032,
  CRabbitConnectionCloseOK = 0x000A0033,
  CRabbitConnectionBlocked = 0x000A003C,
  CRabbitConnectionUnblocked = 0x000A003D,
  CRabbitChannelOpen = 0x0014000A,
  CRabbitChannelOpenOK = 0x0014000B,
  CRabbitChannelClose = 0x00140028,
  CRabbitChannelCloseOK = 0x00140029,
  CRabbitQueueDeclare = 0x0032000A,
  CRabbitQueueDeclareOK = 0x0032000B,
  CRabbitBasicConsume = 0x003C0014,
  CRabbitBasicConsumeOK = 0x003C0015,
  CRabbitBasicPublish = 0x003C0028,
  CRabbitBasicReturn = 0x003C0032,
  CRabbitBasicDeliver = 0x003C003C,
  CRabbitBasicAck = 0x003C0050,
  CRabbitBasicNack = 0x003C0078,
  CRabbitConfirmSelect = 0x0055000A,
  CRabbitConfirmSelectOK = 0x0055000B,
};

// timeval with the layout of <bits/types/struct_timeval.h>.
struct CRabbitTime {
  long seconds;
  long microseconds;
};

static inline int CRabbitOpenSocket(amqp_socket_t *socket, const char *host, int port,
                                    struct CRabbitTime time) {
  return amqp_socket_open_noblock(socket, host, port, (struct timeval *)&time);
}

static inline int CRabbitSetHandshakeTime(amqp_connection_state_t state, struct CRabbitTime time) {
  return amqp_set_handshake_timeout(state, (struct timeval *)&time);
}

static inline int CRabbitWaitFrame(amqp_connection_state_t state, amqp_frame_t *frame,
                                   struct CRabbitTime time) {
  return amqp_simple_wait_frame_noblock(state, frame, (struct timeval *)&time);
}

// Logs in with PLAIN, and asks the broker to say when it blocks the connection.
static inline amqp_rpc_reply_t CRabbitLogin(amqp_connection_state_t state, const char *virtual_host,
                                            int heartbeat_seconds, const char *connection_name,
                                            const char *user, const char *password) {
  amqp_table_entry_t abilities[4] = {
      {amqp_cstring_bytes("connection.blocked"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
      {amqp_cstring_bytes("publisher_confirms"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
      {amqp_cstring_bytes("basic.nack"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
      {amqp_cstring_bytes("authentication_failure_close"),
       {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
  };
  amqp_table_t table = {4, abilities};
  amqp_table_entry_t properties[3] = {
      {amqp_cstring_bytes("capabilities"), {AMQP_FIELD_KIND_TABLE, {.table = table}}},
      {amqp_cstring_bytes("product"),
       {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes("cellmap")}}},
      {amqp_cstring_bytes("connection_name"),
       {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes(connection_name)}}},
  };
  amqp_table_t all = {3, properties};
  return amqp_login_with_properties(state, virtual_host, AMQP_DEFAULT_MAX_CHANNELS,
                                    AMQP_DEFAULT_FRAME_SIZE, heartbeat_seconds, &all,
                                    AMQP_SASL_METHOD_PLAIN, user, password);
}

#endif

/*
 * Receives the datagrams of many UDP sockets in batches, for one thread of Node: epoll tells which sockets have some,
 * recvmmsg takes them, and one call from JavaScript returns up to BATCH of them. `native.ts` is the other side.
 *
 * Node-API only, so that one build serves all versions of Node from 18 on. Every argument is checked: a wrong one throws a
 * TypeError. What the system refuses is returned as a negative errno. All sockets of a thread are closed when it ends,
 * however it ends, so that another one can bind their ports at once.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BATCH = 512,
  /* Room for the longest packet that is recorded; odd lines of the cache, lest the packets of a batch share a few. */
  SLOT = 8192 + 320,
  /* What is told of each datagram, as 32-bit numbers. */
  FIELD_SOCKET = 0,
  FIELD_LENGTH = 1, /* or, below 0, the errno of what could not be received */
  FIELD_AGE = 2,    /* microseconds from its arrival in the kernel to the beginning of the call */
  FIELD_FLAGS = 3,
  FIELD_DROPS = 4, /* of the socket since it is there, up to this datagram's arrival */
  FIELDS = 5,
  FLAG_SOURCE = 1, /* it comes from elsewhere than the datagram before */
  FLAG_DROPS = 2,  /* the drops have grown */
  EVENTS = 256,
  PER_SOCKET = 8, /* datagrams taken from one socket before it is another's turn */
  MAX_AGE = 1800 * 1000 * 1000,
};

union source {
  struct sockaddr generic;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct socket_state {
  int descriptor; /* -1: free */
  int family;
  uint32_t drops;
  union source source;
};

struct receiver {
  int epoll; /* -1 before the first socket: whoever only looks whether the addon loads holds nothing */
  struct socket_state *sockets;
  uint32_t size;
  uint32_t received; /* by the last call */
  uint8_t *arena;    /* that the vectors point into; looked up anew at every call */
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  union source sources[BATCH];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
  } controls[BATCH];
};

static napi_value type_error(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* The arguments of a call; false if there are too few, with an exception pending. */
static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *values, struct receiver **receiver) {
  size_t count = wanted;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok ||
      napi_get_instance_data(env, (void **)receiver) != napi_ok || *receiver == NULL || count < wanted) {
    type_error(env, "too few arguments");
    return false;
  }
  return true;
}

static bool whole_number(napi_env env, napi_value value, int64_t min, int64_t max, int64_t *result) {
  double asked;
  if (napi_get_value_double(env, value, &asked) != napi_ok || !(asked >= (double)min && asked <= (double)max)) return false;
  *result = (int64_t)asked;
  return (double)*result == asked;
}

/* An address in numbers and a port, as the system wants them. @return 0, or an error of getaddrinfo */
static int resolve(const char *address, int64_t port, int family, union source *result, socklen_t *length) {
  char service[8];
  struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  if (family == AF_INET6) hints.ai_flags |= AI_V4MAPPED;
  snprintf(service, sizeof service, "%d", (int)port);
  int error = getaddrinfo(address, service, &hints, &found);
  if (error != 0) return error;
  memcpy(result, found->ai_addr, found->ai_addrlen);
  *length = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

static bool address_argument(napi_env env, napi_value value, char text[128]) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length >= 128) return false;
  return napi_get_value_string_utf8(env, value, text, 128, &length) == napi_ok && strlen(text) == length;
}

/* A socket that is open, by the number that `open` gave; NULL with an exception pending if it is none. */
static struct socket_state *socket_argument(napi_env env, struct receiver *receiver, napi_value value) {
  int64_t index;
  if (whole_number(env, value, 0, (int64_t)receiver->size - 1, &index) && receiver->sockets[index].descriptor >= 0)
    return &receiver->sockets[index];
  type_error(env, "this is not the number of an open socket");
  return NULL;
}

/* @return the index of a socket that is free, or -1 if there is no memory */
static int64_t free_index(struct receiver *receiver) {
  for (uint32_t index = 0; index < receiver->size; index++)
    if (receiver->sockets[index].descriptor < 0) return index;
  uint32_t size = receiver->size == 0 ? 64 : 2 * receiver->size;
  struct socket_state *sockets = realloc(receiver->sockets, size * sizeof *sockets);
  if (sockets == NULL) return -1;
  for (uint32_t index = receiver->size; index < size; index++) sockets[index].descriptor = -1;
  uint32_t index = receiver->size;
  receiver->sockets = sockets;
  receiver->size = size;
  return index;
}

static bool set_option(int descriptor, int level, int name, int value) {
  return setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

/* @return the errno of what failed, or 0 */
static int prepare(struct receiver *receiver, int descriptor, const union source *local, socklen_t length, int buffer, uint32_t index) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  /* With the right to, also beyond net.core.rmem_max. */
  if (!set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, buffer) && !set_option(descriptor, SOL_SOCKET, SO_RCVBUF, buffer))
    return errno;
  if (!set_option(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1) || !set_option(descriptor, SOL_SOCKET, SO_RXQ_OVFL, 1)) return errno;
  /* As Node does: the wildcard address of IPv6 takes IPv4 too. */
  if (local->generic.sa_family == AF_INET6 && !set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0)) return errno;
  if (bind(descriptor, &local->generic, length) != 0) return errno;
  return epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : errno;
}

/* open(address, port, receiveBufferBytes): the number of a socket bound there, or -errno */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct receiver *receiver;
  char address[128];
  int64_t port, buffer;
  union source local = {0};
  socklen_t length = 0;
  if (!arguments(env, info, 3, values, &receiver)) return NULL;
  if (!address_argument(env, values[0], address)) return type_error(env, "the address must be a short text");
  if (!whole_number(env, values[1], 0, 65535, &port)) return type_error(env, "the port must be a whole number up to 65535");
  if (!whole_number(env, values[2], 1, 1 << 30, &buffer)) return type_error(env, "the size of the buffer must be a whole number");
  if (resolve(address, port, AF_UNSPEC, &local, &length) != 0) return type_error(env, "the address must be one of IPv4 or IPv6");
  if (receiver->epoll < 0) receiver->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (receiver->epoll < 0) return number(env, -errno);
  int descriptor = socket(local.generic.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return number(env, -errno);
  int64_t index = free_index(receiver);
  int error = index < 0 ? ENOMEM : prepare(receiver, descriptor, &local, length, (int)buffer, (uint32_t)index);
  if (error != 0) {
    close(descriptor);
    return number(env, -error);
  }
  receiver->sockets[index] = (struct socket_state){.descriptor = descriptor, .family = local.generic.sa_family};
  return number(env, index);
}

/* receiveBufferBytes(socket): as the kernel books them, or -errno */
static napi_value receive_buffer_bytes(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct receiver *receiver;
  int bytes = 0;
  socklen_t length = sizeof bytes;
  if (!arguments(env, info, 1, values, &receiver)) return NULL;
  struct socket_state *state = socket_argument(env, receiver, values[0]);
  if (state == NULL) return NULL;
  return number(env, getsockopt(state->descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, &length) == 0 ? bytes : -errno);
}

/* drops(socket): datagrams that the kernel has dropped since the socket is there, or -errno */
static napi_value drops(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct receiver *receiver;
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof memory;
  if (!arguments(env, info, 1, values, &receiver)) return NULL;
  struct socket_state *state = socket_argument(env, receiver, values[0]);
  if (state == NULL) return NULL;
  if (getsockopt(state->descriptor, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0) return number(env, -errno);
  return number(env, memory[SK_MEMINFO_DROPS]);
}

/* send(socket, packet, address, port): 0, or -errno */
static napi_value send_packet(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct receiver *receiver;
  napi_typedarray_type type;
  size_t bytes;
  void *packet;
  char address[128];
  int64_t port;
  union source remote = {0};
  socklen_t length = 0;
  if (!arguments(env, info, 4, values, &receiver)) return NULL;
  struct socket_state *state = socket_argument(env, receiver, values[0]);
  if (state == NULL) return NULL;
  if (napi_get_typedarray_info(env, values[1], &type, &bytes, &packet, NULL, NULL) != napi_ok || type != napi_uint8_array)
    return type_error(env, "the packet must be a Uint8Array");
  if (!address_argument(env, values[2], address)) return type_error(env, "the address must be a short text");
  if (!whole_number(env, values[3], 1, 65535, &port)) return type_error(env, "the port must be a whole number from 1 to 65535");
  if (resolve(address, port, state->family, &remote, &length) != 0) return number(env, -EAFNOSUPPORT);
  ssize_t sent = sendto(state->descriptor, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, &remote.generic, length);
  return number(env, sent < 0 ? -errno : 0);
}

/* close(socket): the port is free again when this returns */
static napi_value close_socket(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct receiver *receiver;
  if (!arguments(env, info, 1, values, &receiver)) return NULL;
  struct socket_state *state = socket_argument(env, receiver, values[0]);
  if (state == NULL) return NULL;
  close(state->descriptor); /* epoll forgets it with that */
  state->descriptor = -1;
  return NULL;
}

static bool same_source(const union source *one, const union source *other) {
  if (one->generic.sa_family != other->generic.sa_family) return false;
  if (one->generic.sa_family == AF_INET)
    return one->v4.sin_port == other->v4.sin_port && one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
  return one->v6.sin6_port == other->v6.sin6_port && one->v6.sin6_scope_id == other->v6.sin6_scope_id &&
         memcmp(&one->v6.sin6_addr, &other->v6.sin6_addr, sizeof one->v6.sin6_addr) == 0;
}

/* Tells of the datagram in a slot, and makes the slot ready for another. */
static void tell(struct receiver *receiver, uint32_t slot, uint32_t index, int64_t now_us, int32_t *facts) {
  struct socket_state *state = &receiver->sockets[index];
  struct msghdr *header = &receiver->messages[slot].msg_hdr;
  int64_t age_us = 0;
  int32_t flags = 0;
  for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
    if (item->cmsg_level != SOL_SOCKET) continue;
    if (item->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec time;
      memcpy(&time, CMSG_DATA(item), sizeof time);
      age_us = now_us - ((int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000);
    } else if (item->cmsg_type == SO_RXQ_OVFL) {
      uint32_t dropped;
      memcpy(&dropped, CMSG_DATA(item), sizeof dropped);
      if (dropped != state->drops) flags |= FLAG_DROPS;
      state->drops = dropped;
    }
  }
  if (!same_source(&receiver->sources[slot], &state->source)) {
    state->source = receiver->sources[slot];
    flags |= FLAG_SOURCE;
  }
  facts[FIELD_SOCKET] = (int32_t)index;
  facts[FIELD_LENGTH] = (int32_t)receiver->messages[slot].msg_len;
  /* The wall clock may have been set in between. */
  facts[FIELD_AGE] = age_us < 0 || age_us > MAX_AGE ? 0 : (int32_t)age_us;
  facts[FIELD_FLAGS] = flags;
  facts[FIELD_DROPS] = (int32_t)state->drops;
}

static void make_ready(struct receiver *receiver, uint32_t slot) {
  receiver->messages[slot].msg_hdr = (struct msghdr){
      .msg_name = &receiver->sources[slot],
      .msg_namelen = sizeof receiver->sources[slot],
      .msg_iov = &receiver->vectors[slot],
      .msg_iovlen = 1,
      .msg_control = &receiver->controls[slot],
      .msg_controllen = sizeof receiver->controls[slot],
  };
}

/* Takes what one socket has, up to so many. @return how many slots were filled */
static uint32_t take(struct receiver *receiver, uint32_t index, uint32_t slot, uint32_t most, int64_t now_us, int32_t *facts) {
  uint32_t room = BATCH - slot < most ? BATCH - slot : most;
  for (uint32_t next = slot; next < slot + room; next++) make_ready(receiver, next);
  /* MSG_TRUNC: the length as it was, also where the slot is too short. */
  int count = recvmmsg(receiver->sockets[index].descriptor, receiver->messages + slot, room, MSG_DONTWAIT | MSG_TRUNC, NULL);
  if (count >= 0) {
    for (int done = 0; done < count; done++) tell(receiver, slot + done, index, now_us, facts + done * FIELDS);
    return (uint32_t)count;
  }
  if (errno == EAGAIN || errno == EINTR) return 0;
  memset(facts, 0, FIELDS * sizeof *facts);
  facts[FIELD_SOCKET] = (int32_t)index;
  facts[FIELD_LENGTH] = -errno;
  return 1;
}

/* Checks what datagrams are to be put into, and points the vectors there; false with an exception pending. */
static bool room_arguments(napi_env env, struct receiver *receiver, napi_value arena, napi_value facts, int32_t **told) {
  napi_typedarray_type type;
  size_t length;
  void *memory;
  if (napi_get_typedarray_info(env, arena, &type, &length, &memory, NULL, NULL) != napi_ok || type != napi_uint8_array ||
      length < (size_t)BATCH * SLOT) {
    type_error(env, "the arena must be a Uint8Array of batch * slotBytes");
    return false;
  }
  if (receiver->arena != memory) {
    receiver->arena = memory;
    for (size_t slot = 0; slot < BATCH; slot++) receiver->vectors[slot] = (struct iovec){receiver->arena + slot * SLOT, SLOT};
  }
  if (napi_get_typedarray_info(env, facts, &type, &length, &memory, NULL, NULL) != napi_ok || type != napi_int32_array ||
      length < (size_t)BATCH * FIELDS) {
    type_error(env, "the facts must be an Int32Array of batch * fields");
    return false;
  }
  *told = memory;
  return true;
}

static int64_t wall_clock_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/*
 * receive(arena, facts): takes up to BATCH datagrams. The n-th is at n * SLOT of the arena, and its facts are at n * FIELDS.
 * @return how many; fewer than BATCH if no socket has any left
 */
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct receiver *receiver;
  int32_t *facts;
  if (!arguments(env, info, 2, values, &receiver)) return NULL;
  if (!room_arguments(env, receiver, values[0], values[1], &facts)) return NULL;
  int64_t now_us = wall_clock_us();
  struct epoll_event events[EVENTS];
  uint32_t count = 0;
  while (count < BATCH) {
    uint32_t room = BATCH - count;
    int ready = epoll_wait(receiver->epoll, events, room < EVENTS ? (int)room : EVENTS, 0);
    if (ready <= 0) break;
    for (int event = 0; event < ready && count < BATCH; event++)
      count += take(receiver, events[event].data.u32, count, PER_SOCKET, now_us, facts + (size_t)count * FIELDS);
  }
  receiver->received = count;
  return number(env, count);
}

/* receiveFrom(socket, arena, facts): as `receive`, from one socket only */
static napi_value receive_from(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct receiver *receiver;
  int32_t *facts;
  if (!arguments(env, info, 3, values, &receiver)) return NULL;
  struct socket_state *state = socket_argument(env, receiver, values[0]);
  if (state == NULL || !room_arguments(env, receiver, values[1], values[2], &facts)) return NULL;
  receiver->received = take(receiver, (uint32_t)(state - receiver->sockets), 0, BATCH, wall_clock_us(), facts);
  return number(env, receiver->received);
}

/* sourceOf(n): { address, port } that the n-th datagram of the last call came from */
static napi_value source_of(napi_env env, napi_callback_info info) {
  napi_value values[1], result, text, port_number;
  struct receiver *receiver;
  int64_t slot;
  char address[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "";
  if (!arguments(env, info, 1, values, &receiver)) return NULL;
  if (!whole_number(env, values[0], 0, (int64_t)receiver->received - 1, &slot))
    return type_error(env, "the last call has received no such datagram");
  const union source *source = &receiver->sources[slot];
  uint16_t port = source->generic.sa_family == AF_INET ? source->v4.sin_port : source->v6.sin6_port;
  if (source->generic.sa_family == AF_INET) {
    inet_ntop(AF_INET, &source->v4.sin_addr, address, sizeof address);
  } else {
    char name[IF_NAMESIZE];
    inet_ntop(AF_INET6, &source->v6.sin6_addr, address, sizeof address);
    if (IN6_IS_ADDR_LINKLOCAL(&source->v6.sin6_addr) && if_indextoname(source->v6.sin6_scope_id, name) != NULL) {
      strcat(address, "%");
      strcat(address, name);
    }
  }
  if (napi_create_object(env, &result) != napi_ok || napi_create_string_latin1(env, address, NAPI_AUTO_LENGTH, &text) != napi_ok ||
      napi_create_uint32(env, ntohs(port), &port_number) != napi_ok ||
      napi_set_named_property(env, result, "address", text) != napi_ok ||
      napi_set_named_property(env, result, "port", port_number) != napi_ok)
    return NULL;
  return result;
}

/* The thread ends: its sockets with it. */
static void destroy(void *data) {
  struct receiver *receiver = data;
  for (uint32_t index = 0; index < receiver->size; index++)
    if (receiver->sockets[index].descriptor >= 0) close(receiver->sockets[index].descriptor);
  if (receiver->epoll >= 0) close(receiver->epoll);
  free(receiver->sockets);
  free(receiver);
}

static napi_value refuse(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

NAPI_MODULE_INIT() {
  struct receiver *receiver = calloc(1, sizeof *receiver);
  if (receiver == NULL) return refuse(env, "no memory for the native receiver");
  receiver->epoll = -1;
  if (napi_set_instance_data(env, receiver, NULL, NULL) != napi_ok || napi_add_env_cleanup_hook(env, destroy, receiver) != napi_ok) {
    destroy(receiver);
    return refuse(env, "the native receiver cannot be set up");
  }
  napi_property_descriptor properties[] = {
      {"open", NULL, open_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"receiveBufferBytes", NULL, receive_buffer_bytes, NULL, NULL, NULL, napi_enumerable, NULL},
      {"receive", NULL, receive, NULL, NULL, NULL, napi_enumerable, NULL},
      {"receiveFrom", NULL, receive_from, NULL, NULL, NULL, napi_enumerable, NULL},
      {"sourceOf", NULL, source_of, NULL, NULL, NULL, napi_enumerable, NULL},
      {"drops", NULL, drops, NULL, NULL, NULL, napi_enumerable, NULL},
      {"send", NULL, send_packet, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"batch", NULL, NULL, NULL, NULL, number(env, BATCH), napi_enumerable, NULL},
      {"slotBytes", NULL, NULL, NULL, NULL, number(env, SLOT), napi_enumerable, NULL},
      {"fields", NULL, NULL, NULL, NULL, number(env, FIELDS), napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties);
  return exports;
}

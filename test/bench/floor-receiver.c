/*
 * The floor: the least that receiving and storing RTP costs. One socket and one file per stream, epoll and recvmmsg;
 * payloads are appended to a buffer per stream, which is written when a second has passed since its last writing
 * (a crash may cost no more) or when it is full.
 *
 *     floor-receiver DIRECTORY STREAMS
 *
 * Prints a line "ports P P P ..." and then, for each line that it reads, "packets N cpu S rss KiB": datagrams received,
 * user and system time in seconds, resident memory. Ends at the end of its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 16384, BATCH = 64, SLOT = 2048, EVENTS = 512, RTP_HEADER = 12, RECEIVE_BUFFER = 1 << 20 };

struct stream {
  int socket, file, used;
  double written_at;
  unsigned char *buffer;
};

static unsigned char slots[BATCH][SLOT];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static long long packets;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void flush(struct stream *stream, double at) {
  if (stream->used > 0 && write(stream->file, stream->buffer, stream->used) != stream->used) fail("write");
  stream->used = 0;
  stream->written_at = at;
}

static void receive(struct stream *stream, double at) {
  int count = recvmmsg(stream->socket, messages, BATCH, MSG_DONTWAIT, NULL);
  if (count < 0) {
    if (errno != EAGAIN) fail("recvmmsg");
    return;
  }
  packets += count;
  for (int i = 0; i < count; i++) {
    int payload = (int)messages[i].msg_len - RTP_HEADER;
    if (payload <= 0) continue;
    if (stream->used + payload > BUFFER) flush(stream, at);
    memcpy(stream->buffer + stream->used, slots[i] + RTP_HEADER, payload);
    stream->used += payload;
  }
  if (at - stream->written_at >= 1) flush(stream, at);
}

static void report(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (statm == NULL || fscanf(statm, "%*s %ld", &pages) != 1) fail("/proc/self/statm");
  fclose(statm);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("packets %lld cpu %.6f rss %ld\n", packets, cpu, pages * (sysconf(_SC_PAGESIZE) / 1024));
}

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[2]) : 0;
  if (count <= 0) {
    fprintf(stderr, "usage: floor-receiver DIRECTORY STREAMS\n");
    return 2;
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  setvbuf(stdout, NULL, _IOLBF, 1 << 20);
  struct stream *streams = calloc(count, sizeof *streams);
  int epoll = epoll_create1(0);
  if (streams == NULL || epoll < 0) fail("start");
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){slots[i], SLOT};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  printf("ports");
  for (int i = 0; i < count; i++) {
    struct stream *stream = &streams[i];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char path[4096];
    snprintf(path, sizeof path, "%s/floor-%d", argv[1], i);
    stream->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (stream->socket < 0 || bind(stream->socket, (struct sockaddr *)&address, length) != 0) fail("socket");
    int size = RECEIVE_BUFFER;
    setsockopt(stream->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    getsockname(stream->socket, (struct sockaddr *)&address, &length);
    stream->file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (stream->file < 0) fail(path);
    stream->buffer = malloc(BUFFER);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
    if (stream->buffer == NULL || epoll_ctl(epoll, EPOLL_CTL_ADD, stream->socket, &event) != 0) fail("stream");
    printf(" %d", ntohs(address.sin_port));
  }
  printf("\n");
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) fail("input");
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    double at = now();
    for (int i = 0; i < ready; i++) {
      if (events[i].data.ptr != NULL) {
        receive(events[i].data.ptr, at);
        continue;
      }
      char line[64];
      ssize_t length = read(STDIN_FILENO, line, sizeof line);
      if (length == 0) return 0;
      for (ssize_t byte = 0; byte < length; byte++)
        if (line[byte] == '\n') report();
    }
  }
}

/*
 * Sends G.711 RTP to many local ports at the pace of calls: 172 bytes every 20 ms to each, spread evenly over the time.
 *
 *     rtp-generator SECONDS < ports, one a line
 *
 * Prints one line when it has sent all: packets sent, seconds taken, and CLOCK_MONOTONIC of the last one in ms.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PACKET = 172, SLOTS = 20, BATCH = 512, PER_SECOND = 50, MAX_PORTS = 32768 };

static uint16_t ports[MAX_PORTS];
static unsigned char packets[BATCH][PACKET];
static struct sockaddr_in addresses[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void wait_until(double at_ms) {
  struct timespec time = {.tv_sec = (time_t)(at_ms / 1e3)};
  time.tv_nsec = (long)((at_ms - time.tv_sec * 1e3) * 1e6);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
}

static void fill(int slot, int stream, unsigned sequence) {
  unsigned timestamp = sequence * 160, ssrc = 0x10000 + stream;
  unsigned char *packet = packets[slot];
  packet[0] = 0x80;
  packet[1] = 0;
  packet[2] = sequence >> 8;
  packet[3] = sequence;
  for (int byte = 0; byte < 4; byte++) {
    packet[4 + byte] = timestamp >> (24 - 8 * byte);
    packet[8 + byte] = ssrc >> (24 - 8 * byte);
  }
  addresses[slot].sin_port = htons(ports[stream]);
}

int main(int argc, char **argv) {
  int seconds = argc > 1 ? atoi(argv[1]) : 0, streams = 0, port;
  while (streams < MAX_PORTS && scanf("%d", &port) == 1) ports[streams++] = port;
  if (seconds <= 0 || streams == 0) {
    fprintf(stderr, "usage: rtp-generator SECONDS < ports\n");
    return 2;
  }
  int out = socket(AF_INET, SOCK_DGRAM, 0);
  for (int slot = 0; slot < BATCH; slot++) {
    memset(packets[slot], 0xd5, PACKET);
    addresses[slot].sin_family = AF_INET;
    addresses[slot].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    vectors[slot] = (struct iovec){packets[slot], PACKET};
    messages[slot].msg_hdr = (struct msghdr){
        .msg_name = &addresses[slot], .msg_namelen = sizeof addresses[slot], .msg_iov = &vectors[slot], .msg_iovlen = 1};
  }
  double start = now_ms(), last = start;
  long long sent = 0;
  for (int tick = 0; tick < seconds * PER_SECOND * SLOTS; tick++) {
    wait_until(start + tick * (1e3 / PER_SECOND / SLOTS));
    int from = (long long)streams * (tick % SLOTS) / SLOTS, to = (long long)streams * (tick % SLOTS + 1) / SLOTS;
    while (from < to) {
      int count = to - from < BATCH ? to - from : BATCH;
      for (int slot = 0; slot < count; slot++) fill(slot, from + slot, tick / SLOTS);
      for (int done = 0; done < count;) {
        int accepted = sendmmsg(out, messages + done, count - done, 0);
        if (accepted < 0) {
          perror("sendmmsg");
          return 1;
        }
        done += accepted;
      }
      from += count;
      sent += count;
    }
    last = now_ms();
  }
  printf("%lld %.3f %.3f\n", sent, (last - start) / 1e3, last);
  return 0;
}

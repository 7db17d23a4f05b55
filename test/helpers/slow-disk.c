/*
 * A slow disk, for LD_PRELOAD: as long as the file named by SLOW_DISK_SWITCH exists, every write to a file whose path
 * contains SLOW_DISK_FILES takes SLOW_DISK_MS longer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(int descriptor) {
  const char *slow = getenv("SLOW_DISK_SWITCH"), *files = getenv("SLOW_DISK_FILES"), *ms = getenv("SLOW_DISK_MS");
  char link[64], path[4096];
  if (slow == NULL || files == NULL || ms == NULL || access(slow, F_OK) != 0) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = '\0';
  if (strstr(path, files) == NULL) return;
  struct timespec time = {.tv_sec = atoi(ms) / 1000, .tv_nsec = atoi(ms) % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
  static ssize_t (*original)(int, const void *, size_t);
  if (original == NULL) original = dlsym(RTLD_NEXT, "write");
  wait_for_disk(descriptor);
  return original(descriptor, bytes, count);
}

ssize_t writev(int descriptor, const struct iovec *vectors, int count) {
  static ssize_t (*original)(int, const struct iovec *, int);
  if (original == NULL) original = dlsym(RTLD_NEXT, "writev");
  wait_for_disk(descriptor);
  return original(descriptor, vectors, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  static ssize_t (*original)(int, const void *, size_t, off_t);
  if (original == NULL) original = dlsym(RTLD_NEXT, "pwrite");
  wait_for_disk(descriptor);
  return original(descriptor, bytes, count, offset);
}

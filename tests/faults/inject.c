/* Makes one system call of a program fail, chosen by number: LD_PRELOAD this, and set
     FAULT_CALL   write (fflush too), rename, link, fsync, mmap or open
     FAULT_AT     which call of that kind fails, from 1 (0: none)
     FAULT_KIND   ENOSPC, EIO, EINTR (once, then as asked), or short (write: half of the bytes are taken)
     FAULT_UNDER  only calls on files under this folder count (open, rename: by name; the others: by the descriptor's)
     FAULT_COUNT  a file that receives how many calls of the kind there were
     FAULT_NAMED  no file may be without a name (O_TMPFILE is not supported), as on network file systems
   The call that fails does nothing else. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long seen;

static int is_under(const char* path) {
  const char* under = getenv("FAULT_UNDER");
  if (!under) return 1;
  char whole[4200];
  if (path[0] != '/') {
    char here[2048];
    if (!getcwd(here, sizeof here)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
    path = whole;
  }
  return strncmp(path, under, strlen(under)) == 0;
}

static int is_ours(int fd) {
  char link[64], path[2048];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return is_under(path);
}

/* Whether this call is the one; its kind of failure in *error, 0 for a short write. */
static int fails(const char* call, int counts, int* error) {
  const char *wanted = getenv("FAULT_CALL"), *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
  if (!counts || !wanted || strcmp(wanted, call) != 0) return 0;
  if (atomic_fetch_add(&seen, 1) + 1 != (at ? atol(at) : 0)) return 0;
  *error = !kind || !strcmp(kind, "ENOSPC") ? ENOSPC : !strcmp(kind, "EIO") ? EIO : !strcmp(kind, "EINTR") ? EINTR : 0;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t bytes) {
  int error;
  if (fails("write", is_ours(fd), &error)) {
    if (error == 0) return NEXT(write)(fd, data, bytes > 1 ? bytes / 2 : bytes);
    errno = error;
    return -1;
  }
  return NEXT(write)(fd, data, bytes);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  int error;
  if (fails("write", is_ours(fd), &error)) {
    if (error == 0) return NEXT(write)(fd, parts[0].iov_base, parts[0].iov_len / 2);
    errno = error;
    return -1;
  }
  return NEXT(writev)(fd, parts, count);
}

/* What stdio writes is the library's own affair, short writes and EINTR with it. */
int fflush(FILE* file) {
  int error;
  if (fails("write", file && is_ours(fileno(file)), &error) && error != 0 && error != EINTR) {
    errno = error;
    return EOF;
  }
  return NEXT(fflush)(file);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  int error;
  if (fails("link", is_under(to), &error)) {
    errno = error ? error : EIO;
    return -1;
  }
  return NEXT(linkat)(from_folder, from, to_folder, to, flags);
}

int rename(const char* from, const char* to) {
  int error;
  if (fails("rename", is_under(to), &error)) {
    errno = error ? error : EIO;
    return -1;
  }
  return NEXT(rename)(from, to);
}

int fsync(int fd) {
  int error;
  if (fails("fsync", is_ours(fd), &error)) {
    errno = error ? error : EIO;
    return -1;
  }
  return NEXT(fsync)(fd);
}

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  int error;
  if (fails("mmap", fd >= 0 && is_ours(fd), &error)) {
    errno = error == EINTR || error == 0 ? ENOMEM : error;
    return MAP_FAILED;
  }
  return NEXT(mmap)(at, bytes, protection, flags, fd, offset);
}

static int open_or_fail(const char* path, int flags, mode_t mode, const char* name) {
  int error;
  if ((flags & O_TMPFILE) == O_TMPFILE && getenv("FAULT_NAMED")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  if (fails("open", is_under(path), &error)) {
    errno = error ? error : EIO;
    return -1;
  }
  return ((int (*)(const char*, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_or_fail(path, flags, mode, "open");
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_or_fail(path, flags, mode, "open64");
}

static FILE* fopen_or_fail(const char* path, const char* mode, const char* name) {
  int error;
  if (fails("open", is_under(path), &error)) {
    errno = error ? error : EIO;
    return NULL;
  }
  return ((FILE * (*)(const char*, const char*)) dlsym(RTLD_NEXT, name))(path, mode);
}

FILE* fopen(const char* path, const char* mode) { return fopen_or_fail(path, mode, "fopen"); }
FILE* fopen64(const char* path, const char* mode) { return fopen_or_fail(path, mode, "fopen64"); }

int mkostemp(char* path, int flags) {
  int error;
  if (fails("open", is_under(path), &error)) {
    errno = error ? error : EIO;
    return -1;
  }
  return NEXT(mkostemp)(path, flags);
}

__attribute__((destructor)) static void tell(void) {
  const char* path = getenv("FAULT_COUNT");
  if (!path) return;
  const int fd = NEXT(open)(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  char text[32];
  const int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&seen));
  if (fd >= 0 && NEXT(write)(fd, text, (size_t)n) == n) close(fd);
}

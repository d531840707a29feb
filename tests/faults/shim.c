/* Counts what a process does to the files below one folder, and at the n-th such call kills its process group
 * (mode KILL), asks it to stop with SIGTERM (mode STOP), or fails that call and every later one that needs room
 * with ENOSPC (mode FULL).
 *
 *   cc -shared -fPIC -O1 -o shim.so shim.c -ldl ;  FAULT_CONTROL=control LD_PRELOAD=./shim.so python ...
 *
 * The control file holds a `struct control`; it is shared by all processes that have the shim.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, STOP, FULL };
struct control {
    int64_t calls, at, mode;
    char root[4096];
};
static struct control *control;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULT_CONTROL");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED) control = shared;
}

static int below_root(const char *path) {
    char absolute[8192];
    if (!control || !control->root[0]) return 0;
    if (path[0] != '/') {
        if (!getcwd(absolute, 4096)) return 0;
        strcat(absolute, "/");
        strncat(absolute, path, 4000);
        path = absolute;
    }
    size_t length = strlen(control->root);
    return strncmp(path, control->root, length) == 0;
}

static int open_below_root(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below_root(path);
}

/* Whether the call is to fail for want of room. */
static int fault(int needs_room) {
    int64_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
    if (control->mode == KILL && call == control->at) {
        kill(0, SIGKILL);
        pause();
    }
    if (control->mode == STOP && call == control->at) kill(0, SIGTERM);
    if (control->mode != FULL || call < control->at || !needs_room) return 0;
    errno = ENOSPC;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    if (open_below_root(file) && fault(1)) return -1;
    return NEXT(write)(file, bytes, count);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    if (open_below_root(file) && fault(1)) return -1;
    return NEXT(pwrite64)(file, bytes, count, at);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }
ssize_t writev(int file, const struct iovec *parts, int count) {
    if (open_below_root(file) && fault(1)) return -1;
    return NEXT(writev)(file, parts, count);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    ssize_t (*next)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");
    if (open_below_root(to) && fault(1)) return -1;
    return next(to, from, offset, count);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { return sendfile64(to, from, offset, count); }
int ftruncate64(int file, off64_t length) {
    if (open_below_root(file) && fault(0)) return -1;
    return NEXT(ftruncate64)(file, length);
}
int ftruncate(int file, off_t length) { return ftruncate64(file, length); }
int fsync(int file) {
    if (open_below_root(file) && fault(1)) return -1;
    return NEXT(fsync)(file);
}
int rename(const char *from, const char *to) {
    if (below_root(to) && fault(0)) return -1;
    return NEXT(rename)(from, to);
}
int link(const char *from, const char *to) {
    if (below_root(to) && fault(1)) return -1;
    return NEXT(link)(from, to);
}
int unlink(const char *path) {
    if (below_root(path) && fault(0)) return -1;
    return NEXT(unlink)(path);
}
int mkdir(const char *path, mode_t mode) {
    if (below_root(path) && fault(1)) return -1;
    return NEXT(mkdir)(path, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & (O_CREAT | O_TRUNC)) && below_root(path) && fault(1)) return -1;
    return NEXT(open64)(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}

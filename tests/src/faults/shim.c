/* What becomes of this process's calls on its disk?
 *
 * Preloaded into a program, this library stands before the C library's calls that change files. Calls on files at
 * or below one folder are counted, from 1; every other call passes untouched. At one number, or from it on, a call
 * fails, or the process is killed there and then. Set by the environment:
 *
 *   STRONGROOM_SHIM_ROOT    the folder, an absolute path without links
 *   STRONGROOM_SHIM_REPORT  a file outside of it: "count" writes a line for each call, "pass" none, every other
 *                           mode one for the call that it struck; a line is the number, the call, the path inside the folder
 *   STRONGROOM_SHIM_MODE    what happens, a name of `modes` below
 *   STRONGROOM_SHIM_CALL    where
 *   STRONGROOM_SHIM_SYNC    "answered": a sync that is not struck succeeds without waiting for the disk
 *   STRONGROOM_SHIM_ONLY    a path inside the folder: calls on other paths pass untouched
 *   STRONGROOM_SHIM_ONCE    a file: until it is there, every call passes untouched
 *
 * Invariants:
 * 1. A call that fails has done nothing, but for a write that met a full disk, which left its first half; with
 *    eio-lost and eio-kill, a sync that fails has thrown away what was written to the file since its last sync.
 * 2. A killed process has made every call before the number, and none after it.
 * 3. A call that opens a file counts when it makes one.
 *
 * Not seen: system calls made without the C library.
 *
 * Concurrency: calls may come from many threads; counting and the notes of what to undo share one lock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum mode { NOTHING, COUNT, FAIL_ONCE, FAIL_ON, FAIL_AND_LOSE, FAIL_THEN_KILL, KILL_BEFORE, KILL_MIDWAY, KILL_AFTER };

static const struct {
    const char *name;
    enum mode mode;
    int error;
} modes[] = {
    { "pass", NOTHING, 0 },
    { "count", COUNT, 0 },
    { "eio-once", FAIL_ONCE, EIO },
    { "eio-stuck", FAIL_ON, EIO },
    { "eio-lost", FAIL_AND_LOSE, EIO },
    { "enospc-once", FAIL_ONCE, ENOSPC },
    { "enospc-stuck", FAIL_ON, ENOSPC },
    { "eio-kill", FAIL_THEN_KILL, EIO },
    { "enospc-kill", FAIL_THEN_KILL, ENOSPC },
    { "kill-before", KILL_BEFORE, 0 },
    { "kill-midway", KILL_MIDWAY, 0 },
    { "kill-after", KILL_AFTER, 0 },
};

/* A case takes seconds. A process that waits for itself is ended by the alarm, and so told from a slow one. */
enum { SECONDS_MAX = 120 };

/* With eio-kill and enospc-kill, so many calls at most pass between the failure and the end of the process: before
 * a later flush makes up for what was lost. */
enum { KILLED_WITHIN = 12 };

/* What a call is to do. */
enum verdict { PASS, FAIL, DIE_MIDWAY, DIE_AFTER };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_bytes;
static int report = -1;
static enum mode mode = COUNT;
static int error_given;
static long strike_at, calls;
static int syncs_answered;
static const char *only, *once_there;

#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int next_open(const char *path, int flags, mode_t bits)
{
    NEXT(open);
    return next(path, flags, bits);
}

static void setup(void)
{
    const char *folder = getenv("STRONGROOM_SHIM_ROOT"), *file = getenv("STRONGROOM_SHIM_REPORT");
    const char *what = getenv("STRONGROOM_SHIM_MODE"), *where = getenv("STRONGROOM_SHIM_CALL");
    const char *sync = getenv("STRONGROOM_SHIM_SYNC");
    size_t known = 0;
    if (!folder || !file || !what || strlen(folder) >= sizeof root)
        abort();
    while (known < sizeof modes / sizeof *modes && strcmp(modes[known].name, what) != 0)
        known++;
    if (known == sizeof modes / sizeof *modes)
        abort();
    mode = modes[known].mode;
    error_given = modes[known].error;
    strike_at = where ? atol(where) : 0;
    syncs_answered = sync && strcmp(sync, "answered") == 0;
    only = getenv("STRONGROOM_SHIM_ONLY");
    once_there = getenv("STRONGROOM_SHIM_ONCE");
    report = next_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (report < 0)
        abort();
    strcpy(root, folder);
    root_bytes = strlen(root);
    alarm(SECONDS_MAX);
}

/* The path inside the folder, or NULL when it is elsewhere. */
static const char *inside(const char *path)
{
    pthread_once(&once, setup);
    if (strncmp(path, root, root_bytes) != 0)
        return NULL;
    if (path[root_bytes] == 0)
        return ".";
    return path[root_bytes] == '/' ? path + root_bytes + 1 : NULL;
}

static const char *inside_fd(int fd, char buffer[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, buffer, PATH_MAX - 1);
    if (bytes < 0)
        return NULL;
    buffer[bytes] = 0;
    return inside(buffer);
}

static const char *inside_at(int folder, const char *path, char buffer[PATH_MAX])
{
    if (path[0] == '/')
        return inside(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(buffer, PATH_MAX))
            return NULL;
    } else if (!inside_fd(folder, buffer)) {
        return NULL;
    }
    size_t bytes = strlen(buffer);
    snprintf(buffer + bytes, PATH_MAX - bytes, "/%s", path);
    return inside(buffer);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void tell(long number, const char *call, const char *path)
{
    NEXT(write);
    char line[PATH_MAX + 64];
    int bytes = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path);
    if (next(report, line, (size_t)bytes) != bytes)
        abort();
}

/* Counts a call and says what it is to do. Sets errno when it is to fail. */
static enum verdict judge(const char *call, const char *path)
{
    enum verdict verdict = PASS;
    if ((only && strcmp(path, only) != 0) || (once_there && faccessat(AT_FDCWD, once_there, F_OK, 0) != 0))
        return PASS;
    pthread_mutex_lock(&lock);
    long number = ++calls;
    if (mode == COUNT || number == strike_at)
        tell(number, call, path);
    if (number == strike_at || (mode == FAIL_ON && number > strike_at)) {
        switch (mode) {
        case NOTHING: case COUNT: break;
        case FAIL_ONCE: case FAIL_ON: case FAIL_AND_LOSE: case FAIL_THEN_KILL: verdict = FAIL; break;
        case KILL_BEFORE: die(); break;
        case KILL_MIDWAY: verdict = DIE_MIDWAY; break;
        case KILL_AFTER: verdict = DIE_AFTER; break;
        }
    }
    if (mode == FAIL_THEN_KILL && number == strike_at + 1 + strike_at % KILLED_WITHIN)
        die();
    pthread_mutex_unlock(&lock);
    if (verdict == FAIL)
        errno = error_given;
    return verdict;
}

/* One call on a path: counts it, and makes it unless it is to fail. */
#define CALL(name, path, call)                                   \
    do {                                                         \
        const char *in = (path);                                 \
        if (!in)                                                 \
            return (call);                                       \
        enum verdict verdict = judge(name, in);                  \
        if (verdict == FAIL)                                     \
            return -1;                                           \
        __typeof__(call) result = (call);                        \
        if (verdict != PASS)                                     \
            die();                                               \
        return result;                                           \
    } while (0)

/* What was written since the last sync of a file, newest first: the bytes that stood there before. */
struct note {
    struct note *next;
    dev_t device;
    ino_t inode;
    off_t at;
    size_t bytes;
    char before[];
};
static struct note *notes;

static int loses(void)
{
    return mode == FAIL_AND_LOSE || (mode == FAIL_THEN_KILL && error_given == EIO);
}

static void note_before(int fd, size_t bytes, off_t at)
{
    NEXT(close);
    char link[64];
    struct stat is;
    struct note *note = calloc(1, sizeof *note + bytes);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = next_open(link, O_RDONLY | O_CLOEXEC, 0);
    if (!note || reader < 0 || fstat(fd, &is) != 0 || pread(reader, note->before, bytes, at) < 0)
        abort();
    next(reader);
    note->device = is.st_dev, note->inode = is.st_ino, note->at = at, note->bytes = bytes;
    pthread_mutex_lock(&lock);
    note->next = notes, notes = note;
    pthread_mutex_unlock(&lock);
}

static ssize_t next_pwrite(int fd, const void *from, size_t bytes, off_t at)
{
    NEXT(pwrite);
    return next(fd, from, bytes, at);
}

/* After a sync of the file: forgets its notes, or puts back what they hold. */
static void settle(int fd, int lose)
{
    struct stat is;
    if (!loses() || fstat(fd, &is) != 0)
        return;
    pthread_mutex_lock(&lock);
    for (struct note **at = &notes; *at;) {
        struct note *note = *at;
        if (note->device != is.st_dev || note->inode != is.st_ino) {
            at = &note->next;
            continue;
        }
        if (lose && next_pwrite(fd, note->before, note->bytes, note->at) != (ssize_t)note->bytes)
            abort();
        *at = note->next;
        free(note);
    }
    pthread_mutex_unlock(&lock);
}

static int sync_file(int fd, const char *name, int (*next)(int))
{
    char buffer[PATH_MAX];
    const char *in = inside_fd(fd, buffer);
    if (!in)
        return next(fd);
    enum verdict verdict = judge(name, in);
    if (verdict == FAIL) {
        settle(fd, 1);
        errno = error_given;
        return -1;
    }
    int result = syncs_answered ? 0 : next(fd);
    if (result == 0)
        settle(fd, 0);
    if (verdict != PASS)
        die();
    return result;
}

int fsync(int fd)
{
    NEXT(fsync);
    return sync_file(fd, "fsync", next);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return sync_file(fd, "fdatasync", next);
}

static ssize_t write_at(int fd, const void *from, size_t bytes, off_t at)
{
    char buffer[PATH_MAX];
    const char *in = inside_fd(fd, buffer);
    if (!in)
        return next_pwrite(fd, from, bytes, at);
    enum verdict verdict = judge("pwrite", in);
    if (verdict == DIE_MIDWAY || (verdict == FAIL && error_given == ENOSPC)) {
        if (next_pwrite(fd, from, bytes / 2, at) < 0)
            abort();
        errno = error_given;
    }
    if (verdict == DIE_MIDWAY)
        die();
    if (verdict == FAIL)
        return -1;
    if (loses())
        note_before(fd, bytes, at);
    ssize_t result = next_pwrite(fd, from, bytes, at);
    if (verdict != PASS)
        die();
    return result;
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) { return write_at(fd, from, bytes, at); }
ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) { return write_at(fd, from, bytes, at); }

ssize_t write(int fd, const void *from, size_t bytes)
{
    NEXT(write);
    char buffer[PATH_MAX];
    CALL("write", inside_fd(fd, buffer), next(fd, from, bytes));
}

int ftruncate(int fd, off_t end)
{
    NEXT(ftruncate);
    char buffer[PATH_MAX];
    CALL("ftruncate", inside_fd(fd, buffer), next(fd, end));
}

int ftruncate64(int fd, off64_t end)
{
    NEXT(ftruncate64);
    char buffer[PATH_MAX];
    CALL("ftruncate", inside_fd(fd, buffer), next(fd, end));
}

int fallocate(int fd, int how, off_t at, off_t bytes)
{
    NEXT(fallocate);
    char buffer[PATH_MAX];
    CALL("fallocate", inside_fd(fd, buffer), next(fd, how, at, bytes));
}

int fallocate64(int fd, int how, off64_t at, off64_t bytes)
{
    NEXT(fallocate64);
    char buffer[PATH_MAX];
    CALL("fallocate", inside_fd(fd, buffer), next(fd, how, at, bytes));
}

int unlink(const char *path)
{
    NEXT(unlink);
    CALL("unlink", inside(path), next(path));
}

int unlinkat(int folder, const char *path, int flags)
{
    NEXT(unlinkat);
    char buffer[PATH_MAX];
    CALL("unlink", inside_at(folder, path, buffer), next(folder, path, flags));
}

int rmdir(const char *path)
{
    NEXT(rmdir);
    CALL("rmdir", inside(path), next(path));
}

int mkdir(const char *path, mode_t bits)
{
    NEXT(mkdir);
    CALL("mkdir", inside(path), next(path, bits));
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    CALL("rename", inside(to), next(from, to));
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    NEXT(renameat);
    char buffer[PATH_MAX];
    CALL("rename", inside_at(to_folder, to, buffer), next(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags)
{
    NEXT(renameat2);
    char buffer[PATH_MAX];
    CALL("rename", inside_at(to_folder, to, buffer), next(from_folder, from, to_folder, to, flags));
}

/* The path when this call is going to make a file there. */
static const char *to_make(int folder, const char *path, int flags, char buffer[PATH_MAX])
{
    return (flags & O_CREAT) && faccessat(folder, path, F_OK, 0) != 0 ? inside_at(folder, path, buffer) : NULL;
}

#define BITS(flags, bits)                                        \
    mode_t bits = 0;                                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                       \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        bits = va_arg(rest, mode_t);                             \
        va_end(rest);                                            \
    }

int open(const char *path, int flags, ...)
{
    BITS(flags, bits)
    char buffer[PATH_MAX];
    CALL("create", to_make(AT_FDCWD, path, flags, buffer), next_open(path, flags, bits));
}

int open64(const char *path, int flags, ...)
{
    BITS(flags, bits)
    char buffer[PATH_MAX];
    CALL("create", to_make(AT_FDCWD, path, flags, buffer), next_open(path, flags | O_LARGEFILE, bits));
}

int openat(int folder, const char *path, int flags, ...)
{
    NEXT(openat);
    BITS(flags, bits)
    char buffer[PATH_MAX];
    CALL("create", to_make(folder, path, flags, buffer), next(folder, path, flags, bits));
}

int openat64(int folder, const char *path, int flags, ...)
{
    NEXT(openat64);
    BITS(flags, bits)
    char buffer[PATH_MAX];
    CALL("create", to_make(folder, path, flags, buffer), next(folder, path, flags, bits));
}

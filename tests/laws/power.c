/* What a power cut leaves: a library for tests, loaded before libc's own functions (LD_PRELOAD).
 *
 * The disk keeps what was synced. So whenever the process syncs a file under POWER_FROM, the file as it is then
 * is copied to POWER_TO, and whenever it syncs a folder, the names in it become lasting: a file whose name was
 * never synced is not there after the cut, and what was written to a file since its last sync is lost.
 *
 * Only what SQLite uses is watched: fsync and fdatasync. The copy is made before the call returns, and put in its
 * place by one rename, so the process can be killed at any moment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    perror(what);
    abort();
}

/* The path of an open file under `from`, relative to it; 0 where it is elsewhere. */
static int below(int fd, const char *from, char *out) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    size_t root = strlen(from);
    if (strncmp(path, from, root) != 0 || (path[root] != '/' && path[root] != 0)) return 0;
    snprintf(out, PATH_MAX, "%s", path[root] ? path + root + 1 : "");
    return 1;
}

static void copy(int fd, const char *to, const char *name) {
    char aside[PATH_MAX], place[PATH_MAX], block[65536], source[64];
    snprintf(aside, sizeof aside, "%s/content/.new", to);
    snprintf(place, sizeof place, "%s/content/%s", to, name);
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    int in = open(source, O_RDONLY | O_CLOEXEC);
    int out = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) fail("power: open");
    ssize_t count;
    while ((count = read(in, block, sizeof block)) > 0)
        if (write(out, block, (size_t)count) != count) fail("power: write");
    if (count < 0) fail("power: read");
    close(in);
    close(out);
    if (rename(aside, place) != 0) fail("power: rename");
}

/* Names as they are now: what is new lasts, what is gone stays gone. */
static void names(const char *from, const char *to) {
    char aside[PATH_MAX], place[PATH_MAX];
    snprintf(aside, sizeof aside, "%s/names.new", to);
    snprintf(place, sizeof place, "%s/names", to);
    FILE *list = fopen(aside, "we");
    DIR *folder = opendir(from);
    if (!list || !folder) fail("power: folder");
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.') fprintf(list, "%s\n", entry->d_name);
    closedir(folder);
    fclose(list);
    if (rename(aside, place) != 0) fail("power: rename");
}

static int synced(const char *function, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    const char *from = getenv("POWER_FROM"), *to = getenv("POWER_TO");
    char name[PATH_MAX];
    struct stat what;
    pthread_mutex_lock(&one);
    if (from && to && fstat(fd, &what) == 0 && below(fd, from, name)) {
        if (S_ISDIR(what.st_mode)) names(from, to);
        else copy(fd, to, name);
    }
    int result = real(fd);
    pthread_mutex_unlock(&one);
    return result;
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }

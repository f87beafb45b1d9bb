/* Every call on files that POSIX has and WASI knows, with what it answered.
 *
 *   files @CALL ARGUMENT... [@CALL ARGUMENT...]...
 *
 * The calls are done in order, one line for each: `ok`, `ok TEXT`, or the name of the error. Exit code 0 in any case.
 * `@read-at FOLDER PATH` and the other `-at` calls go past the path rules of the C library, to those of the host:
 * it takes PATH as it is, and looks it up from FOLDER. `@read-nul PATH` puts a byte of zero and more behind PATH in
 * the first volume, which no C string can hold.
 * `@reads COUNT PATH`, `@writes COUNT PATH`, `@makes COUNT PATH` do so over and over, and tell which answers came, each
 * once. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/libc-nocwd.h>
#ifdef __wasip2__
#include <wasi/wasip2.h>
#endif

static const struct {
    int number;
    const char *name;
} ERRORS[] = {
    {EACCES, "EACCES"}, {EBADF, "EBADF"},         {EBUSY, "EBUSY"},         {EEXIST, "EEXIST"},   {EILSEQ, "EILSEQ"},
    {EINVAL, "EINVAL"}, {EIO, "EIO"},             {EISDIR, "EISDIR"},       {ELOOP, "ELOOP"},     {EMLINK, "EMLINK"},
    {ENOENT, "ENOENT"}, {ENAMETOOLONG, "ENAMETOOLONG"}, {ENOSYS, "ENOSYS"}, {ENOTDIR, "ENOTDIR"}, {ENOTEMPTY, "ENOTEMPTY"},
    {ENOTSUP, "ENOTSUP"}, {ENOTCAPABLE, "ENOTCAPABLE"}, {EPERM, "EPERM"},   {EROFS, "EROFS"},     {EXDEV, "EXDEV"},
};

/* The answer of a call: -1 is an error, everything else is good. */
static char answer[2048];

static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(answer, sizeof answer, format, values);
    va_end(values);
}

static void say_error(int number) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; i++)
        if (ERRORS[i].number == number) {
            say("%s", ERRORS[i].name);
            return;
        }
    say("error %d", number);
}

static void tell(int result) {
    if (result < 0)
        say_error(errno);
    else
        say("ok");
}

/* Closes what was opened, whatever came of it, and keeps the error. */
static void done_with(int fd, int result) {
    tell(result);
    if (fd >= 0)
        close(fd);
}

static void read_from(int fd) {
    char text[256];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length < 0) {
        done_with(fd, -1);
        return;
    }
    text[length] = 0;
    close(fd);
    say("ok %s", text);
}

static void write_to(int fd, const char *text) {
    done_with(fd, fd < 0 ? -1 : (int)write(fd, text, strlen(text)));
}

/* A folder to start from; the program ends if there is none, because no test means that. */
static int folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        fprintf(stderr, "files: no folder %s: %s\n", path, strerror(errno));
        exit(2);
    }
    return fd;
}

static void list(const char *path) {
    DIR *open = opendir(path);
    if (open == NULL) {
        tell(-1);
        return;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(open)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(open);
    say("ok %d", count);
}

static void status(int result, const struct stat *stat) {
    if (result < 0) {
        tell(result);
        return;
    }
    const char *kind = S_ISDIR(stat->st_mode) ? "folder" : S_ISLNK(stat->st_mode) ? "link" : "file";
    say("ok %s %lld", kind, (long long)stat->st_size);
}

#ifdef __wasip2__
static void read_nul(const char *path, size_t length) {
    filesystem_preopens_list_tuple2_own_descriptor_string_t volumes;
    filesystem_preopens_get_directories(&volumes);
    filesystem_borrow_descriptor_t from = filesystem_borrow_descriptor(volumes.ptr[0].f0);
    wasip2_string_t name = {(uint8_t *)path, length};
    filesystem_own_descriptor_t opened;
    filesystem_error_code_t error;
    bool good = filesystem_method_descriptor_open_at(from, 0, &name, 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened, &error);
    if (good)
        say("ok");
    else
        say("%s", error == FILESYSTEM_ERROR_CODE_INVALID               ? "EINVAL"
                  : error == FILESYSTEM_ERROR_CODE_ILLEGAL_BYTE_SEQUENCE ? "EILSEQ"
                  : error == FILESYSTEM_ERROR_CODE_NO_ENTRY            ? "ENOENT"
                                                                       : "another error");
}
#else
__attribute__((import_module("wasi_snapshot_preview1"), import_name("path_open"))) int
open_bytes(int from, int how, const char *path, size_t length, int flags, int64_t rights, int64_t more, int kind, int *fd);

static void read_nul(const char *path, size_t length) {
    int fd;
    int error = open_bytes(3, 0, path, length, 0, 2, 0, 0, &fd);
    if (error == 0)
        say("ok");
    else
        say_error(error);
}
#endif

/* Does a call over and over and tells which answers came. */
static void repeat(long count, const char *path, void (*call)(const char *path)) {
    static char seen[1024];
    seen[0] = 0;
    for (; count > 0; count--) {
        char once[128];
        call(path);
        snprintf(once, sizeof once, "<%s>", answer);
        if (strstr(seen, once) == NULL && strlen(seen) + strlen(once) < sizeof seen)
            strcat(seen, once);
    }
    say("ok %s", seen);
}

static void read_once(const char *path) {
    read_from(open(path, O_RDONLY));
}

static void write_once(const char *path) {
    write_to(open(path, O_WRONLY), "guest");
}

static void make_once(const char *path) {
    write_to(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644), "guest");
    unlink(path);
}

int main(int argc, char **argv) {
    for (int at = 1; at < argc; at++) {
        const char *call = argv[at];
        const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
        struct stat stat_of;
#define IS(name) (strcmp(call, "@" name) == 0)
#define NEXT (at + 1 < argc ? argv[++at] : (exit(2), ""))
        const char *path = NEXT;
        int fd;
        if (IS("read"))
            read_once(path);
        else if (IS("list"))
            list(path);
        else if (IS("stat"))
            status(stat(path, &stat_of), &stat_of);
        else if (IS("lstat"))
            status(lstat(path, &stat_of), &stat_of);
        else if (IS("readlink")) {
            char target[256] = "";
            if (readlink(path, target, sizeof target - 1) < 0)
                tell(-1);
            else
                say("ok %s", target);
        } else if (IS("write"))
            write_to(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644), NEXT);
        else if (IS("write-open"))
            write_to(open(path, O_WRONLY), "guest");
        else if (IS("read-write"))
            write_to(open(path, O_RDWR), "guest");
        else if (IS("append"))
            write_to(open(path, O_WRONLY | O_APPEND), "guest");
        else if (IS("truncate-open"))
            tell(open(path, O_RDONLY | O_TRUNC));
        else if (IS("create"))
            tell(open(path, O_RDONLY | O_CREAT, 0644));
        else if (IS("create-new"))
            tell(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
        else if (IS("truncate"))
            tell(truncate(path, 1));
        else if (IS("write-read-only"))
            write_to(open(path, O_RDONLY), "guest");
        else if (IS("truncate-read-only")) {
            fd = open(path, O_RDONLY);
            done_with(fd, fd < 0 ? -1 : ftruncate(fd, 1));
        } else if (IS("mkdir"))
            tell(mkdir(path, 0755));
        else if (IS("rmdir"))
            tell(rmdir(path));
        else if (IS("unlink"))
            tell(unlink(path));
        else if (IS("rename"))
            tell(rename(path, NEXT));
        else if (IS("link"))
            tell(link(path, NEXT));
        else if (IS("link-follow"))
            tell(linkat(AT_FDCWD, path, AT_FDCWD, NEXT, AT_SYMLINK_FOLLOW));
        else if (IS("symlink"))
            tell(symlink(path, NEXT));
        else if (IS("times"))
            tell(utimensat(AT_FDCWD, path, times, 0));
        else if (IS("times-link"))
            tell(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
        else if (IS("times-open")) {
            fd = open(path, O_RDONLY);
            done_with(fd, fd < 0 ? -1 : futimens(fd, times));
        } else if (IS("read-at"))
            read_from(__wasilibc_nocwd_openat_nomode(folder(path), NEXT, O_RDONLY));
        else if (IS("write-at"))
            write_to(__wasilibc_nocwd_openat_nomode(folder(path), NEXT, O_WRONLY | O_CREAT), "guest");
        else if (IS("mkdir-at"))
            tell(__wasilibc_nocwd_mkdirat_nomode(folder(path), NEXT));
        else if (IS("symlink-at")) {
            const char *target = NEXT;
            tell(__wasilibc_nocwd_symlinkat(target, folder(path), NEXT));
        } else if (IS("unlink-at"))
            tell(__wasilibc_nocwd___wasilibc_unlinkat(folder(path), NEXT));
        else if (IS("rename-at")) {
            const char *from = NEXT;
            fd = folder(path);
            tell(__wasilibc_nocwd_renameat(fd, from, fd, NEXT));
        } else if (IS("link-at")) {
            const char *from = NEXT;
            fd = folder(path);
            tell(__wasilibc_nocwd_linkat(fd, from, fd, NEXT, 0));
        } else if (IS("stat-at")) {
            const char *name = NEXT;
            status(__wasilibc_nocwd_fstatat(folder(path), name, &stat_of, 0), &stat_of);
        } else if (IS("times-at")) {
            const char *name = NEXT;
            tell(__wasilibc_nocwd_utimensat(folder(path), name, times, 0));
        } else if (IS("read-nul")) {
            char name[256];
            int length = snprintf(name, sizeof name, "%s%cmore", path, 0);
            read_nul(name, (size_t)length);
        } else if (IS("reads"))
            repeat(strtol(path, NULL, 10), NEXT, read_once);
        else if (IS("writes"))
            repeat(strtol(path, NULL, 10), NEXT, write_once);
        else if (IS("makes"))
            repeat(strtol(path, NULL, 10), NEXT, make_once);
        else {
            fprintf(stderr, "files: no such call: %s\n", call);
            return 2;
        }
        puts(answer);
        fflush(stdout);
    }
    return 0;
}

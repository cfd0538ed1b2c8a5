/* Runs a fuzz target on each file of the given folders, without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX (1024 * 1024)

/* From the heap and of the exact size, so that a sanitizer sees each byte too many. */
static int replay_file(int directory, const char *name)
{
    static uint8_t buffer[INPUT_MAX + 1];
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));
    uint8_t *bytes;

    if (fd >= 0)
        close(fd);
    if (len < 0 || len > INPUT_MAX) {
        fprintf(stderr, "%s: cannot be read, or larger than %d bytes\n", name, INPUT_MAX);
        return 0;
    }
    bytes = malloc(len ? (size_t)len : 1);
    if (!bytes)
        return 0;
    memcpy(bytes, buffer, (size_t)len);
    (void)LLVMFuzzerTestOneInput(bytes, (size_t)len);
    free(bytes);
    return 1;
}

/* How many files were run; 0 where there is none or one cannot be read. */
static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!folder) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 0;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (!replay_file(dirfd(folder), entry->d_name)) {
            count = 0;
            break;
        }
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);

        if (count == 0) {
            fprintf(stderr, "%s: nothing was replayed\n", argv[i]);
            return 1;
        }
        printf("%s: %d files\n", argv[i], count);
    }
    return 0;
}

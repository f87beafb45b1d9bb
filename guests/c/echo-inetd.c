// Sends back whatever comes, as soon as it comes, until the client ends: the client is at standard input and output.

#include <stdio.h>
#include <unistd.h>

int main(void) {
    static char buffer[16 * 1024];
    for (;;) {
        ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);
        if (length < 0) {
            perror("read");
            return 1;
        }
        if (length == 0)
            return 0;
        for (ssize_t sent = 0; sent < length;) {
            ssize_t step = write(STDOUT_FILENO, buffer + sent, (size_t)(length - sent));
            if (step < 0) {
                perror("write");
                return 1;
            }
            sent += step;
        }
    }
}

/* Says hello: the smallest command that a C compiler makes. */

#include <stdio.h>

int main(void) {
    puts("hello");
    return 0;
}

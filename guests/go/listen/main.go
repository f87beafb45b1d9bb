// Echoes what each connection sends, line by line, on every listening descriptor it was given (LISTEN_FDS).
//
//	listen FIRST COUNT
//
// FIRST is the number of the first descriptor, COUNT how many connections to serve on each before it ends. Connections are
// served at the same time, each by a goroutine of its own.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: listen FIRST COUNT")
	}
	first, err := strconv.Atoi(os.Args[1])
	check(err)
	count, err := strconv.Atoi(os.Args[2])
	check(err)
	given, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	check(err)
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var listening sync.WaitGroup
	for number := 0; number < given; number++ {
		name, descriptor := names[number], first+number
		// Else one goroutine that waits keeps all others waiting.
		check(syscall.SetNonblock(descriptor, true))
		listener, err := net.FileListener(os.NewFile(uintptr(descriptor), name))
		check(err)
		listening.Add(1)
		go func() {
			defer listening.Done()
			serve(listener, name, count)
		}()
	}
	listening.Wait()
}

func serve(listener net.Listener, name string, count int) {
	var connections sync.WaitGroup
	for ; count > 0; count-- {
		connection, err := listener.Accept()
		check(err)
		connections.Add(1)
		go func() {
			defer connections.Done()
			echo(connection, name)
		}()
	}
	connections.Wait()
	check(listener.Close())
}

func echo(connection net.Conn, name string) {
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		_, err := fmt.Fprintf(connection, "%s: %s\n", name, lines.Text())
		check(err)
	}
	check(lines.Err())
	check(connection.Close())
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

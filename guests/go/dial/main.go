// Sends one line over a connection it was given (--connect-fd) and prints what comes back.
//
//	dial DESCRIPTOR TEXT
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: dial DESCRIPTOR TEXT")
	}
	descriptor, err := strconv.Atoi(os.Args[1])
	check(err)
	connection, err := net.FileConn(os.NewFile(uintptr(descriptor), "connection"))
	check(err)
	_, err = fmt.Fprintln(connection, os.Args[2])
	check(err)
	check(connection.(interface{ CloseWrite() error }).CloseWrite())
	answer, err := io.ReadAll(connection)
	check(err)
	fmt.Print(string(answer))
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

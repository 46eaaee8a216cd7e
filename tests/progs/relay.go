// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// relay LISTEN TARGET: forwards each connection, as Go programs do: io.Copy()
// between two TCP connections goes by splice(2). TARGET "echo": reads and writes
// back what comes. Says when it listens.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func forward(from, to net.Conn) {
	io.Copy(to, from)
	to.(*net.TCPConn).CloseWrite()
}

func serve(client net.Conn, target string) {
	server, err := net.Dial("tcp", target)
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		client.Close()
		return
	}
	go forward(client, server)
	forward(server, client)
}

func echo(client net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		client.Write(buf[:n])
	}
	client.Close()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: relay LISTEN TARGET")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "relay:", err)
			os.Exit(1)
		}
		if os.Args[2] == "echo" {
			go echo(client)
		} else {
			go serve(client, os.Args[2])
		}
	}
}

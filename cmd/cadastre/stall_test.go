package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// doStall has strangers open connections to the daemon that send a request's header and never its body, and keeps them
// to the end of the script: stall 45 POST /rfc6492/nobody.
func doStall(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for range n {
		c, err := net.Dial("tcp", "localhost:"+ts.Getenv("HTTPS"))
		ts.Check(err)
		ts.Defer(func() { _ = c.Close() })
		secured := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // a stranger does not care
		ts.Check(c.SetDeadline(time.Now().Add(time.Minute)))
		_, err = fmt.Fprintf(secured, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", args[1], args[2])
		ts.Check(err)
	}
}

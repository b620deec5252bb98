package principal

import (
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"cadastre/internal/fault"
)

// Account is the name of an account of this machine: "uid 1000" where it has no name.
func Account(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + number
}

// UIDOf is the account at the other end of a Unix socket, as the kernel knows it (SO_PEERCRED): that which opened the connection.
func UIDOf(connection net.Conn) (int, error) {
	c, ok := connection.(*net.UnixConn)
	if !ok {
		return 0, fault.New(fault.Internal, "the kernel names no account for a connection by %s", connection.LocalAddr().Network())
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fault.Wrap(err, "couldn't ask the kernel who opened the connection")
	}
	var credentials *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		credentials, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = asked
	}
	if err != nil {
		return 0, fault.Wrap(err, "couldn't ask the kernel who opened the connection")
	}
	return int(credentials.Uid), nil
}

//go:build unix

package localhost

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Socket is a port of 127.0.0.1 that is taken, and on which nobody listens
// yet: connections to it are refused until Listen.
type Socket struct {
	file *os.File
	// Addr is it, host:port.
	Addr string
}

// Bind takes a free port.
func Bind() (*Socket, error) {
	file, err := tcpSocket()
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	s := &Socket{file: file}
	fd := int(file.Fd())
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		s.Close()
		return nil, fmt.Errorf("taking a port of 127.0.0.1: %w", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("asking for the port taken: %w", err)
	}
	s.Addr = fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	return s, nil
}

// tcpSocket is not handed on to children: they would hold its port.
func tcpSocket() (*os.File, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "socket"), nil
}

// Listen listens on the port, which is the listener's from then on.
func (s *Socket) Listen() (net.Listener, error) {
	defer s.Close() // FileListener has its own
	if err := syscall.Listen(int(s.file.Fd()), syscall.SOMAXCONN); err != nil {
		return nil, fmt.Errorf("listening on %s: %w", s.Addr, err)
	}
	return net.FileListener(s.file)
}

// Close gives the port up, unless a listener has it. It is safe to call twice.
func (s *Socket) Close() { _ = s.file.Close() }

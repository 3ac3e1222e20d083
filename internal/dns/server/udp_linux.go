package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many messages one system call receives or sends, at most.
	batchSize   = 64
	controlSize = 64
	bufferSize  = 4 << 20
)

// socket is a UDP socket that takes all that has come at once, and sends all
// responses at once. It waits in Go's poller: a thread that waits in the kernel has
// the scheduler's watchman (sysmon) look after it thousands of times a second, which
// costs up to a third more.
type socket struct {
	fd   int
	file *os.File // owns fd
	raw  syscall.RawConn
	// anywhere says that it is bound to all addresses: responses have to come from
	// the one that was asked (RFC 2181, section 4.1).
	anywhere bool
}

// openSockets binds n sockets that share the queries to an address. That others do
// not have it is seen with the first, which does not share.
func openSockets(at netip.AddrPort, n int) ([]*socket, error) {
	if n > 1 {
		alone, err := openSocket(at, false)
		if err != nil {
			return nil, err
		}
		alone.close()
	}
	var all []*socket
	for range n {
		k, err := openSocket(at, n > 1)
		if err != nil {
			for _, k := range all {
				k.close()
			}
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

func openSocket(at netip.AddrPort, shared bool) (*socket, error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	k := &socket{fd: fd, file: os.NewFile(uintptr(fd), "udp"), anywhere: at.Addr().IsUnspecified()}
	if k.raw, err = k.file.SyscallConn(); err == nil {
		err = k.configure(at, family, shared)
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *socket) configure(at netip.AddrPort, family int, shared bool) error {
	set := func(level, option int) error { return unix.SetsockoptInt(k.fd, level, option, 1) }
	// Larger buffers than the system allows are cut down, which is no error.
	_ = unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize)
	_ = unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bufferSize)
	var errs []error
	if shared {
		errs = append(errs, set(unix.SOL_SOCKET, unix.SO_REUSEPORT))
	}
	if family == unix.AF_INET6 {
		errs = append(errs, set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY))
	}
	switch {
	case k.anywhere && family == unix.AF_INET6:
		errs = append(errs, set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO))
	case k.anywhere:
		errs = append(errs, set(unix.IPPROTO_IP, unix.IP_PKTINFO))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("setting up a UDP socket: %w", err)
	}
	address, err := sockaddr(at)
	if err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(k.fd, address))
}

func sockaddr(at netip.AddrPort) (unix.Sockaddr, error) {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, nil
	}
	six := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" { // fe80::1%eth0
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, fmt.Errorf("there is no interface %s: %w", zone, err)
		}
		six.ZoneId = uint32(i.Index)
	}
	return six, nil
}

func (k *socket) close() { _ = k.file.Close() }

// wake ends what waits for a message.
func (k *socket) wake() { _ = k.file.SetReadDeadline(time.Unix(1, 0)) }

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	unix.Msghdr
	length uint32
}

// batch is the messages of one system call, and the responses.
type batch struct {
	in, out       [batchSize]mmsghdr
	inVec, outVec [batchSize]unix.Iovec
	names         [batchSize]unix.RawSockaddrInet6 // large enough for both families
	control       [batchSize][controlSize]byte
	inData        [batchSize][inSize]byte
	outData       [batchSize][outSize]byte
	responses     int
	received      int
	errno         syscall.Errno
	receive       func(fd uintptr) bool // is true once something has been received
}

func newBatch(k *socket) *batch {
	b := &batch{}
	b.receive = b.tryReceive
	for i := range b.in {
		b.inVec[i].Base = &b.inData[i][0]
		b.inVec[i].SetLen(inSize)
		h := &b.in[i]
		h.Iov = &b.inVec[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = unix.SizeofSockaddrInet6
		if k.anywhere {
			h.Control = &b.control[i][0]
			h.SetControllen(controlSize)
		}
		b.outVec[i].Base = &b.outData[i][0]
		b.out[i].Iov = &b.outVec[i]
		b.out[i].SetIovlen(1)
	}
	return b
}

// serve answers until ctx ends and wake is called.
func (k *socket) serve(ctx context.Context, r *responder) error {
	b := newBatch(k)
	for {
		n, err := k.receive(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		now := r.config.Clock.Now()
		for i := range n {
			k.respond(b, i, r, now)
		}
		k.send(b)
		b.reset(k, n)
	}
}

// respond answers message i of a batch.
func (k *socket) respond(b *batch, i int, r *responder, now time.Time) {
	in := &b.in[i]
	from, ok := source(&b.names[i])
	if !ok || in.length == 0 || in.Flags&unix.MSG_TRUNC != 0 {
		r.counters.dropped.Add(1)
		return
	}
	m, space := b.inData[i][:in.length], b.outData[b.responses][:]
	out, what := r.respond(m, space, from.Addr(), now, false)
	if what == transfer {
		out = r.transferUDP(m, space, from)
	}
	if len(out) == 0 || len(out) > outSize {
		return
	}
	h := &b.out[b.responses]
	b.outVec[b.responses].SetLen(len(out))
	h.Name, h.Namelen = in.Name, in.Namelen
	if k.anywhere {
		// What says where the query came to says where the response comes from.
		anyInterface(b.control[i][:], from.Addr())
		h.Control, h.Controllen = in.Control, in.Controllen
	}
	b.responses++
}

// reset makes room for the next messages where the last were.
func (b *batch) reset(k *socket, n int) {
	b.responses = 0
	for i := range n {
		b.in[i].Namelen = unix.SizeofSockaddrInet6
		if k.anywhere {
			b.in[i].SetControllen(controlSize)
		}
	}
}

// receive waits for messages.
func (k *socket) receive(b *batch) (int, error) {
	for {
		if err := k.raw.Read(b.receive); err != nil {
			return 0, err
		}
		switch b.errno {
		case 0:
			return b.received, nil
		case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EFAULT:
			return 0, os.NewSyscallError("recvmmsg", b.errno)
		}
		// Interrupted, or an ICMP error about a response: the next call goes on.
	}
}

// tryReceive does not wait, so that Go's scheduler need not know of it.
func (b *batch) tryReceive(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	b.received, b.errno = int(n), errno
	return errno != unix.EAGAIN
}

// send sends the responses. One that cannot be sent is left out: the client will ask
// again. Like tryReceive it does not wait.
func (k *socket) send(b *batch) {
	for sent := 0; sent < b.responses; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&b.out[sent])), uintptr(b.responses-sent), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			sent++
		default:
			sent += max(int(n), 1)
		}
	}
}

// source is who sent a message. A sender without a port is none.
func source(name *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	port := (*[2]byte)(unsafe.Pointer(&name.Port)) // at the same place in both families
	p := binary.BigEndian.Uint16(port[:])
	switch name.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), p), p != 0
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), p), p != 0
	}
	return netip.AddrPort{}, false
}

// anyInterface lets the kernel choose the interface of a response, as its routes are;
// link-local addresses are only known by theirs.
func anyInterface(control []byte, from netip.Addr) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	data := control[unix.CmsgLen(0):]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && !from.IsLinkLocalUnicast():
		(*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
	}
}

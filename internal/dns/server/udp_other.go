//go:build !linux

package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// socket is a UDP socket; where there is no recvmmsg, one is enough.
type socket struct{ conn *net.UDPConn }

func openSockets(at netip.AddrPort, _ int) ([]*socket, error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	return []*socket{{conn}}, nil
}

func (k *socket) close() { _ = k.conn.Close() }

// wake ends what waits for a message.
func (k *socket) wake() { _ = k.conn.SetReadDeadline(time.Unix(1, 0)) }

// serve answers until ctx ends and wake is called.
func (k *socket) serve(ctx context.Context, r *responder) error {
	in, space := make([]byte, inSize), make([]byte, outSize)
	failed := 0
	for ctx.Err() == nil {
		n, from, err := k.conn.ReadFromUDPAddrPort(in)
		if err != nil {
			if failed++; failed > 1000 && ctx.Err() == nil {
				return fmt.Errorf("receiving: %w", err)
			}
			continue
		}
		failed = 0
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		out, what := r.respond(in[:n], space, from.Addr(), r.config.Clock.Now(), false)
		if what == transfer {
			out = r.transferUDP(in[:n], space, from)
		}
		if len(out) > 0 {
			_, _ = k.conn.WriteToUDPAddrPort(out, from) // the client will ask again
		}
	}
	return nil
}

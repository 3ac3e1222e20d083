package server

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// exchange is a message that goes to Config.Transfers: it allocates, and is rare. It
// is the dns.ResponseWriter there.
type exchange struct {
	local, remote net.Addr
	write         func([]byte) error
	provider      dns.TsigProvider
	mac           string // of the last message of this exchange that was signed
	status        error
	timersOnly    bool
}

var errClosed = errors.New("the DNS client is gone")

func (x *exchange) LocalAddr() net.Addr   { return x.local }
func (x *exchange) RemoteAddr() net.Addr  { return x.remote }
func (x *exchange) TsigStatus() error     { return x.status }
func (x *exchange) TsigTimersOnly(b bool) { x.timersOnly = b }
func (x *exchange) Hijack()               {}

// Close ends the exchange, and leaves the connection to the server.
func (x *exchange) Close() error {
	x.write = func([]byte) error { return errClosed }
	return nil
}

func (x *exchange) Write(m []byte) (int, error) {
	if err := x.write(m); err != nil {
		return 0, err
	}
	return len(m), nil
}

// WriteMsg sends a message, signed if it has a TSIG record.
func (x *exchange) WriteMsg(m *dns.Msg) error {
	if m.IsTsig() == nil {
		data, err := m.Pack()
		if err != nil {
			return err
		}
		return x.write(data)
	}
	data, mac, err := dns.TsigGenerateWithProvider(m, x.provider, x.mac, x.timersOnly)
	if err != nil {
		return err
	}
	x.mac = mac
	return x.write(data)
}

// transferUDP lets Config.Transfers answer a message: an IXFR, or a signed one.
func (r *responder) transferUDP(m, space []byte, from netip.AddrPort) []byte {
	var out []byte
	x := &exchange{remote: net.UDPAddrFromAddrPort(from), local: &net.UDPAddr{}, write: func(data []byte) error {
		if out == nil && len(data) <= len(space) {
			out = space[:copy(space, data)]
		}
		return nil
	}}
	r.exchange(x, m, from.Addr(), false)
	return out
}

// transferTCP does the same on a connection.
func (k *connection) transferTCP(m []byte) error {
	var failed error
	x := &exchange{remote: k.RemoteAddr(), local: k.LocalAddr(), write: func(data []byte) error {
		if len(data) > maximumMessage {
			return errors.New("the message is too long for DNS")
		}
		k.out = append(binary.BigEndian.AppendUint16(k.out[:0], uint16(len(data))), data...)
		if err := k.flush(); err != nil {
			failed = err
			return err
		}
		return nil
	}}
	k.exchange(x, m, k.from.Addr(), true)
	return failed
}

// exchange checks the signature, and answers: transfers and what is not signed well
// by Config.Transfers, other queries as if they were not signed, but signed.
func (r *responder) exchange(x *exchange, m []byte, from netip.Addr, tcp bool) {
	q := new(dns.Msg)
	if err := q.Unpack(m); err != nil || len(q.Question) != 1 {
		x.refuse(m, dns.RcodeFormatError)
		return
	}
	r.counters.transfers.Add(1)
	tsig := q.IsTsig()
	if tsig != nil {
		x.provider = r.config.Transfers.TSIG()
		x.mac = tsig.MAC
		x.status = dns.TsigVerifyWithProvider(append([]byte(nil), m...), x.provider, "", false)
	}
	asked := q.Question[0].Qtype
	if tsig == nil || x.status != nil || asked == dns.TypeAXFR || asked == dns.TypeIXFR {
		r.config.Transfers.ServeDNS(x, q)
		return
	}
	r.answerSigned(x, q, m, from, tcp)
}

// refuse answers what cannot be read.
func (x *exchange) refuse(m []byte, rcode byte) {
	response := [headerSize]byte{m[0], m[1], flagResponse | m[2]&(maskOpcode|flagRecursion), rcode}
	_ = x.write(response[:]) // a connection that is gone is noticed by those who read it
}

// answerSigned answers a signed query that is like all others but for that.
func (r *responder) answerSigned(x *exchange, q *dns.Msg, m []byte, from netip.Addr, tcp bool) {
	tsig := q.IsTsig()
	q.Extra = q.Extra[:len(q.Extra)-1]
	plain, err := q.Pack()
	if err != nil {
		x.refuse(m, dns.RcodeFormatError)
		return
	}
	// The signature has to fit beside the answer.
	data, what := r.respond(plain, make([]byte, 0, maximumUDP), from, r.config.Clock.Now(), tcp)
	if what != send {
		return
	}
	response := new(dns.Msg)
	if err := response.Unpack(data); err != nil {
		x.refuse(m, dns.RcodeServerFailure)
		return
	}
	response.Compress = true
	response.SetTsig(tsig.Hdr.Name, tsig.Algorithm, tsig.Fudge, r.config.Clock.Now().Unix())
	_ = x.WriteMsg(response) // a connection that is gone is noticed by those who read it
}

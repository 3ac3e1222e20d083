package server

import (
	"sync/atomic"
)

// Stats is what a server has done since it was made.
type Stats struct {
	// Rcodes counts the responses, by rcode; 16 is BADVERS. Larger ones do not occur.
	Rcodes [17]uint64
	// Outside counts those of them that were about no zone of the snapshot, by rcode.
	Outside [17]uint64
	// TCP is how many of them went by TCP.
	TCP uint64
	// Truncated is how many said that the client should come by TCP.
	Truncated uint64
	// Dropped is how many messages had no response: malformed beyond recognition,
	// not a query, or too many of a kind from one network.
	Dropped uint64
	// Transfers is how many messages went to Config.Transfers.
	Transfers uint64
}

// Queries is how many messages have been responded to, but for Transfers.
func (s Stats) Queries() uint64 {
	n := uint64(0)
	for _, c := range s.Rcodes {
		n += c
	}
	return n
}

// counters are one worker's Stats: nobody else writes them, so they stay in its
// processor's cache.
type counters struct {
	rcodes                             [17]atomic.Uint64
	tcp, truncated, dropped, transfers atomic.Uint64
	_                                  [64]byte
}

func (c *counters) count(rcode int, tcp bool) {
	c.rcodes[rcode&0x1F%17].Add(1)
	if tcp {
		c.tcp.Add(1)
	}
}

func (c *counters) addTo(s *Stats) {
	for i := range c.rcodes {
		s.Rcodes[i] += c.rcodes[i].Load()
	}
	s.TCP += c.tcp.Load()
	s.Truncated += c.truncated.Load()
	s.Dropped += c.dropped.Load()
	s.Transfers += c.transfers.Load()
}

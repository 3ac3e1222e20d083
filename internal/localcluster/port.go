package localcluster

import (
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"strconv"
)

// A cluster keeps its port while it is stopped, so ports are chosen below those that Linux gives to outgoing connections
// (32768 and up): one of them would have it sooner or later.
const (
	firstPort = 22768
	ports     = 10000
)

// freePort chooses a port of the loopback interface that nobody listens on and that is not taken. Where the search begins
// follows from the seed, so that stopped clusters of other homes are unlikely to have it.
func freePort(seed string, taken []int) (int, error) {
	h := fnv.New32a()
	h.Write([]byte(seed))
	first := int(h.Sum32() % ports)
	var problem error
	for i := range ports {
		port := firstPort + (first+i)%ports
		if slices.Contains(taken, port) {
			continue
		}
		listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		problem = err
	}
	return 0, fmt.Errorf("no port from %d to %d is free: %w. Try: --port PORT", firstPort, firstPort+ports-1, problem)
}

// takenPorts are those of the other clusters, stopped ones included.
func (m Manager) takenPorts() ([]int, error) {
	clusters, err := m.List()
	if err != nil {
		return nil, err
	}
	var taken []int
	for _, c := range clusters {
		taken = append(taken, c.Port)
	}
	return taken, nil
}

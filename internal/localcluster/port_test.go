package localcluster

import (
	"net"
	"strconv"
	"testing"
)

func TestFreePort(t *testing.T) {
	first, err := freePort("/home/one", nil)
	if err != nil || first < firstPort || first >= 32768 {
		t.Fatalf("port %d, %v", first, err)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(first)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	second, err := freePort("/home/one", nil)
	if err != nil || second == first {
		t.Errorf("port %d (%v), which is listened on", second, err)
	}
	if third, err := freePort("/home/one", []int{second}); err != nil || third == second || third == first {
		t.Errorf("port %d (%v), which a stopped cluster has", third, err)
	}
}

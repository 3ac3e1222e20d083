package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// telling is a connection that was opened some time ago, its other end, and how
// often it said that it broke.
func telling(t *testing.T, ctx context.Context, age time.Duration) (c *tellingConn, other net.Conn, told *int) {
	t.Helper()
	here, there := net.Pipe()
	told = new(int)
	return &tellingConn{Conn: here, ctx: ctx, opened: time.Now().Add(-age), line: &line{clock: clock.RealClock{}, broken: func() { *told++ }}}, there, told
}

func TestAConnectionThatBreaksIsToldOnce(t *testing.T) {
	c, other, told := telling(t, t.Context(), time.Minute)
	other.Close()
	for range 3 {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("read from what is closed")
		}
	}
	if *told != 1 {
		t.Errorf("told %d times, want once", *told)
	}
}

func TestAConnectionThatDidNotLastIsNotTold(t *testing.T) {
	c, other, told := telling(t, t.Context(), 0)
	other.Close()
	_, _ = c.Read(make([]byte, 1))
	if *told != 0 {
		t.Error("the end of a connection that was just opened wakes the member, which opens the next")
	}
}

func TestWhatTheHubEndsIsNotTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, other, told := telling(t, ctx, time.Minute)
	cancel()
	other.Close()
	_, _ = c.Read(make([]byte, 1))

	late, _, toldLate := telling(t, t.Context(), time.Minute)
	if err := late.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = late.Read(make([]byte, 1))
	if *told+*toldLate != 0 {
		t.Errorf("told %d and %d times", *told, *toldLate)
	}
}

// endless answers with a body that has no end.
type endless struct{}

func (endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(endless{})}, nil
}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestAnAnswerWithoutEndEnds(t *testing.T) {
	resp, err := bounded{endless{}}.RoundTrip(nil)
	if err != nil {
		t.Fatal(err)
	}
	var tooLong *http.MaxBytesError
	if n, err := io.Copy(io.Discard, resp.Body); !errors.As(err, &tooLong) || n > maxAnswer {
		t.Errorf("%d bytes are read, then %v", n, err)
	}
}

// TestTheFenceHoldsTheRestOfARequest: a request that is half sent when the fence closes stays half sent, and its connection ends.
func TestTheFenceHoldsTheRestOfARequest(t *testing.T) {
	c, other, told := telling(t, t.Context(), time.Minute)
	lost := errors.New("another hub leads")
	var closed error
	c.line.fence = func() error { return closed }
	got := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(other)
		got <- string(all)
	}()
	if _, err := c.Write([]byte("DELETE /api/v1/name")); err != nil {
		t.Fatal(err)
	}
	closed = lost
	if n, err := c.Write([]byte("spaces/shop")); n != 0 || !errors.Is(err, lost) {
		t.Errorf("%d bytes, %v", n, err)
		_ = c.Close()
	}
	if all := <-got; all != "DELETE /api/v1/name" {
		t.Errorf("the member got %q", all)
	}
	if *told != 0 {
		t.Error("the member is said to have broken the connection")
	}
}

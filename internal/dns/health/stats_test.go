package health

import (
	"net/http"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	p, results := watch(t)
	up := serve(t, false, func(http.ResponseWriter, *http.Request) {})
	p.Set(of(
		Check{Protocol: HTTP, Address: up, Interval: 100 * time.Millisecond},
		Check{Protocol: TCP, Address: nobody(t), Interval: 100 * time.Millisecond, Down: 1},
	))
	for range 2 {
		<-results
	}
	if s := p.Stats(); s.Passed == 0 || s.Failed == 0 || s.States[Up] != 1 || s.States[Down] != 1 || s.States[Unknown] != 0 {
		t.Errorf("%+v", s)
	}
	p.Set(nil)
	if s := p.Stats(); s.States[Up]+s.States[Down]+s.States[Unknown] != 0 {
		t.Errorf("checks that are gone are counted: %+v", s)
	}
}

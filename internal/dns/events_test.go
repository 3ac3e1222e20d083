package dns

import (
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestWhyUp: what is said of a cluster that answers never says that it is down.
func TestWhyUp(t *testing.T) {
	up := route.Health{State: v1alpha1.HealthUp, Message: "200"}
	down := route.Health{State: v1alpha1.HealthDown, Message: "no ready endpoint"}
	for want, c := range map[string]route.ClusterState{
		": inside up (200), outside not probed yet": {Inside: up, Outside: route.Health{State: v1alpha1.HealthUnknown, Message: "not probed yet"}},
		": inside unknown, outside up (200)":        {Inside: route.Health{State: v1alpha1.HealthUnknown}, Outside: up},
		"":                                          {Inside: down, Outside: up},
	} {
		if got := whyUp(c); got != want {
			t.Errorf("%+v: got %q, want %q", c, got, want)
		}
	}
	if got := whyUp(route.ClusterState{Inside: up, Outside: down}); got != "" {
		t.Errorf("another host is down outside: got %q", got)
	}
}

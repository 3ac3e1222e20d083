package route_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestWhichZoneCounts of several with one domain, in whatever order they come.
func TestWhichZoneCounts(t *testing.T) {
	zone := func(name string, minute int, derived bool) *v1alpha1.DNSZone {
		z := &v1alpha1.DNSZone{Spec: v1alpha1.DNSZoneSpec{Domain: "Example.org"}}
		z.Name, z.CreationTimestamp = name, metav1.NewTime(time.Unix(int64(60*minute), 0))
		if derived {
			z.Labels = map[string]string{v1alpha1.LabelDerivedFrom: "GlobalRoute"}
		}
		return z
	}
	for want, other := range map[*v1alpha1.DNSZone]*v1alpha1.DNSZone{
		zone("b-older", 1, false):         zone("a-younger", 2, false),
		zone("a-first by name", 1, false): zone("b-second", 1, false),
		zone("z-a user's", 9, false):      zone("a-the hub's", 1, true),
	} {
		for _, both := range [][]*v1alpha1.DNSZone{{want, other}, {other, want}} {
			if got := route.NewZones(both).Of("www.example.org."); got != want {
				t.Errorf("%s counts, want %s", got.Name, want.Name)
			}
		}
	}
}

package route_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestHostsThatAreNone: annotations may say anything; what is no hostname is passed over,
// and said.
func TestHostsThatAreNone(t *testing.T) {
	s := &corev1.Service{}
	s.Namespace, s.Name, s.Spec.Type = "shop", "lb", corev1.ServiceTypeLoadBalancer
	long := strings.Repeat("x", 64) + ".example"
	s.Annotations = map[string]string{"external-dns.kubernetes.io/hostname": "a b.example, *.Ok.example., x..example,-x.example," + long + ", " + strings.Repeat("x.", 200) + ",_srv.example"}
	target, _ := route.FromService(s)
	w, r := tutorial(), devfest()
	w.targets[target.Key] = &target
	r.Spec.Targets = []v1alpha1.RouteTarget{{Kind: "Service", Name: "lb"}}
	res := resolve(t, r, w)
	var hosts []string
	for _, h := range res.Hosts {
		hosts = append(hosts, h.Name)
	}
	if !slices.Equal(hosts, []string{"*.ok.example.", "_srv.example."}) || len(res.Problems) != 5 {
		t.Errorf("hosts %v, problems %q", hosts, res.Problems)
	}
	for _, p := range res.Problems {
		if len(p) > 200 {
			t.Errorf("a problem of %d letters", len(p))
		}
	}
}

// TestGlobal: which annotations ask for a route, and which only seem to.
func TestGlobal(t *testing.T) {
	const hostname, older, strategy = "external-dns.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/hostname", "k8gb.io/strategy"
	for _, test := range []struct {
		kind        string
		annotations map[string]string
		global      bool
		complains   bool
	}{
		{route.KindService, nil, false, false},
		{route.KindService, map[string]string{hostname: "a.example"}, true, false},
		{route.KindService, map[string]string{older: "a.example"}, true, false},
		{route.KindService, map[string]string{hostname: " "}, false, false},
		{route.KindService, map[string]string{hostname: "a.example", v1alpha1.AnnotationGlobal: "false"}, false, false},
		{route.KindService, map[string]string{hostname: "a.example", v1alpha1.AnnotationGlobal: "no"}, false, true},
		{route.KindIngress, map[string]string{hostname: "a.example"}, false, false},
		{route.KindGateway, map[string]string{hostname: "a.example"}, false, false},
		{route.KindIngress, map[string]string{strategy: "geoip"}, true, false},
		{route.KindIngress, map[string]string{v1alpha1.AnnotationGlobal: "True"}, true, false},
		{route.KindIngress, map[string]string{v1alpha1.AnnotationGlobal: "yes"}, false, true},
	} {
		target := route.Target{Key: route.TargetKey{Kind: test.kind}, Annotations: test.annotations}
		if target.Global() != test.global || (target.Complaint() != "") != test.complains {
			t.Errorf("%s %v: global %t, complaint %q", test.kind, test.annotations, target.Global(), target.Complaint())
		}
	}
}

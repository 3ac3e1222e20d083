package route_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestTLSVerification: certificates are verified unless the health check says
// otherwise, which a derived route has from an annotation.
func TestTLSVerification(t *testing.T) {
	for name, test := range map[string]struct {
		annotation string
		any        bool
		problems   int
	}{
		"by default": {"", false, 0}, "full": {"Full", false, 0}, "none": {"none", true, 0}, "nonsense": {"off", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			i := ingress()
			i.Annotations = map[string]string{v1alpha1.AnnotationTLSVerification: test.annotation}
			i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"devfest.example"}}}
			w := tutorial()
			target := route.FromIngress(i)
			w.targets[target.Key] = &target
			r, problems := route.Derive(&target, w.clusters)
			if len(problems) != test.problems {
				t.Errorf("problems %v", problems)
			}
			for _, c := range resolve(t, r, w).Checks {
				https := c.Host == "devfest.example"
				if (c.Protocol == "HTTPS") != https || c.AnyCertificate != (https && test.any) {
					t.Errorf("check %+v", c)
				}
			}
		})
	}
}

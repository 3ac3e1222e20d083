package route

import (
	"fmt"
	"regexp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Validate says what of a spec cannot be understood, although it has the right form.
// Admission refuses such specs; some may be older than that, or have come another way.
func Validate(s *v1alpha1.GlobalRouteSpec) error {
	h := &s.HealthCheck
	for _, d := range []struct {
		field string
		value *metav1.Duration
		least time.Duration
	}{{"interval", h.Interval, time.Second}, {"timeout", h.Timeout, 1}} {
		if d.value != nil && d.value.Duration < d.least {
			return fmt.Errorf("spec.healthCheck.%s: %s is too short", d.field, d.value.Duration)
		}
	}
	if h.ExpectedStatus != "" && !statuses.MatchString(h.ExpectedStatus) {
		return fmt.Errorf("spec.healthCheck.expectedStatus: %.100q is no list of codes. Try: 200-399", h.ExpectedStatus)
	}
	for _, host := range s.Hosts {
		if !Hostname(Canonical(host)) {
			return fmt.Errorf("spec.hosts: %.100q is no hostname", host)
		}
	}
	return nil
}

// statuses is the form of spec.healthCheck.expectedStatus.
var statuses = regexp.MustCompile(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?(,[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$`)

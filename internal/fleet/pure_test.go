package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

func verdicts() map[string]verdict {
	return map[string]verdict{
		"ok":      {reason: v1alpha1.ReasonReachable},
		"silent":  {reason: v1alpha1.ReasonNetworkUnreachable},
		"refused": {reason: v1alpha1.ReasonNetworkUnreachable, refused: true},
		"401":     {reason: v1alpha1.ReasonAuthenticationFailed},
		"403":     {reason: v1alpha1.ReasonPermissionDenied},
		"500":     {reason: v1alpha1.ReasonNotReady},
		"tls":     {reason: v1alpha1.ReasonCertificateInvalid},
		"other":   {reason: v1alpha1.ReasonIdentityChanged, sure: true},
	}
}

func TestHealth(t *testing.T) {
	for seen, want := range map[string]string{
		"":                                   v1alpha1.ReasonConnecting,
		"ok":                                 v1alpha1.ReasonReachable,
		"silent silent":                      v1alpha1.ReasonConnecting,
		"silent silent silent":               v1alpha1.ReasonNetworkUnreachable,
		"ok silent silent":                   v1alpha1.ReasonReachable,
		"ok silent silent ok silent silent":  v1alpha1.ReasonReachable,
		"ok silent 500 silent":               v1alpha1.ReasonNetworkUnreachable,
		"ok refused":                         v1alpha1.ReasonReachable,
		"ok refused refused":                 v1alpha1.ReasonNetworkUnreachable,
		"ok other":                           v1alpha1.ReasonIdentityChanged,
		"ok tls tls":                         v1alpha1.ReasonCertificateInvalid,
		"ok 401 401 401 401":                 v1alpha1.ReasonReachable,
		"ok 401 401 401 401 401":             v1alpha1.ReasonAuthenticationFailed,
		"ok refused refused 403 403 403":     v1alpha1.ReasonNetworkUnreachable, // it is starting
		"ok refused refused 403 403 403 ok":  v1alpha1.ReasonReachable,
		"ok 401 401 401 401 403 403 403 403": v1alpha1.ReasonReachable,
	} {
		h := newHealth()
		for _, v := range strings.Fields(seen) {
			h = h.next(verdicts()[v])
		}
		if h.reason != want {
			t.Errorf("%q: %s, want %s", seen, h.reason, want)
		}
	}
}

func TestHealthProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := verdicts()
		h, failed := newHealth(), 0
		for _, name := range rapid.SliceOf(rapid.SampledFrom([]string{"ok", "silent", "refused", "500", "tls"})).Draw(t, "seen") {
			h = h.next(all[name])
			if failed++; name == "ok" {
				failed = 0
			}
			if (failed == 0) != h.ok() && (failed == 0 || failed >= 3) {
				t.Fatalf("after %d failures: %+v", failed, h)
			}
			if d := h.delay(rapid.Float64Range(0, 0.999).Draw(t, "jitter")); d <= 0 || d > probeInterval {
				t.Fatalf("delay %s", d)
			}
		}
	})
}

func TestCredential(t *testing.T) {
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{
		time.Hour: 30 * time.Minute, 24 * time.Hour: 12 * time.Hour, 48 * time.Hour: 24 * time.Hour, 30 * 24 * time.Hour: 24 * time.Hour,
	} {
		c := access.Credential{Token: "secret", Issued: issued, Expires: issued.Add(life)}
		if got := rotateAt(c).Sub(issued); got != want {
			t.Errorf("a token for %s is rotated after %s, want %s", life, got, want)
		}
		if back := access.CredentialFrom(&corev1.Secret{Data: c.Data()}); back != c {
			t.Error("changed on the way to the Secret and back")
		}
		if s := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(s, "secret") {
			t.Errorf("printed: %s", s)
		}
	}
	if !rotateAt(access.Credential{Token: "x"}).IsZero() {
		t.Error("a token of unknown age is not replaced at once")
	}
}

func TestRender(t *testing.T) {
	found := survey.Facts{Version: "v1", Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1a"}, Nodes: 3}
	well := newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "aws", Generation: 7}}
	s := render(c, view{health: well, facts: found, now: time.Unix(1, 0)})
	if s.Phase != v1alpha1.ClusterReady || s.Region != "us-east-1" || s.Nodes != 3 || !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionSynced) {
		t.Errorf("%+v", s)
	}
	if l := placeLabels("aws", s); l[v1alpha1.LabelContinent] != "NA" || l[corev1.LabelTopologyZone] != "us-east-1a" || l[v1alpha1.LabelProvider] != "aws" {
		t.Errorf("labels %v", l)
	}

	c.Status = s
	if again := render(c, view{health: well, facts: found, now: time.Unix(9, 0)}); !equality.Semantic.DeepEqual(s, again) {
		t.Error("the same facts make another status")
	}
	away := render(c, view{health: well.next(verdicts()["refused"]).next(verdicts()["refused"]), facts: survey.Facts{}, now: time.Unix(2, 0)})
	if away.Phase != v1alpha1.ClusterUnreachable || away.Region != "us-east-1" || away.Version != "v1" || away.Nodes != 3 {
		t.Errorf("a cluster that is away has lost what was known: %+v", away)
	}
	if synced := meta.FindStatusCondition(away.Conditions, v1alpha1.ConditionSynced); synced.Status != metav1.ConditionUnknown {
		t.Errorf("synced: %v", synced)
	}

	c.Spec.Region, c.Spec.Zones = "bremen", []string{"a", "b"}
	s = render(c, view{health: well, facts: found})
	if s.Region != "bremen" || len(s.Zones) != 2 || placeLabels("aws", s)[corev1.LabelTopologyZone] != "" {
		t.Errorf("not overridden: %+v", s)
	}

	few, many := Report{Pending: 2}, Report{Pending: 900}
	if a, b := render(c, view{health: well, report: few, now: time.Unix(3, 0)}), render(c, view{health: well, report: many, now: time.Unix(3, 0)}); !onlyCounts(a, b) {
		t.Error("a number in a message is more than a number")
	}
	if a, b := render(c, view{health: well, report: few, now: time.Unix(3, 0)}), render(c, view{health: well, now: time.Unix(3, 0)}); onlyCounts(a, b) {
		t.Error("being synced is more than a number")
	}
}

func TestConditionsOfLossAndDrain(t *testing.T) {
	c := &v1alpha1.Cluster{}
	lost := &metav1.Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLost, Message: "lost"}
	drained := &metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDraining, Message: "draining"}
	gone := health{verdict: verdict{reason: v1alpha1.ReasonNetworkUnreachable}}
	c.Status = render(c, view{health: gone, report: Report{FailedOver: lost, Drained: drained}, now: time.Unix(3, 0)})
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionFailedOver) || !meta.IsStatusConditionFalse(c.Status.Conditions, v1alpha1.ConditionDrained) {
		t.Fatalf("%+v", c.Status.Conditions)
	}
	well := health{verdict: reachable("https://aws")}
	place := &metav1.Condition{Type: v1alpha1.ConditionFailoverReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoPlaceElsewhere, Message: strings.Repeat("x", 9000)}
	c.Status = render(c, view{health: well, report: Report{FailoverReady: place}, now: time.Unix(4, 0)})
	if got := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionFailoverReady); got == nil || got.Status != metav1.ConditionFalse || len(got.Message) > maxCondition+len("…") {
		t.Error("what would not survive is not said, or at any length")
	}
	one := render(c, view{health: well, report: Report{FailedOver: lost, Drained: drained}, now: time.Unix(4, 0)})
	if meta.FindStatusCondition(one.Conditions, v1alpha1.ConditionFailedOver) != nil {
		t.Error("a look that failed, of a cluster that is well, is told as a loss")
	}
	over := render(c, view{health: well, now: time.Unix(4, 0)})
	for _, kind := range []string{v1alpha1.ConditionFailedOver, v1alpha1.ConditionDrained, v1alpha1.ConditionFailoverReady} {
		if meta.FindStatusCondition(over.Conditions, kind) != nil {
			t.Errorf("%s is told although there is nothing to tell", kind)
		}
	}
}

func TestALossIsAnEventOnce(t *testing.T) {
	recorder := record.NewFakeRecorder(5)
	lost := metav1.Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLost, Message: "since noon"}
	waiting := lost
	waiting.Reason = v1alpha1.ReasonWaiting
	c := &v1alpha1.Cluster{}
	e := events{recorder}
	e.failedOver(c, nil)
	e.failedOver(c, &waiting)
	c.Status.Conditions = []metav1.Condition{waiting}
	e.failedOver(c, &lost)
	c.Status.Conditions = []metav1.Condition{lost}
	e.failedOver(c, &lost)
	if len(recorder.Events) != 1 {
		t.Fatalf("%d events, want one", len(recorder.Events))
	}
	if got := <-recorder.Events; got != "Warning Lost since noon" {
		t.Error(got)
	}
}

func TestSyncedSaysWhatNobodyKnows(t *testing.T) {
	up := newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	for _, c := range []struct {
		report       Report
		reason, says string
	}{
		{Report{Unread: "deployments.apps: forbidden", Failing: 1, Message: "x"}, v1alpha1.ReasonUnreadable, "deployments.apps: forbidden"},
		{Report{Pending: 1, Waiting: "namespaces//team is being deleted"}, "Pending", "1 object still to be written or deleted: namespaces//team is being deleted"},
		{Report{Pending: 2}, "Pending", "2 objects still to be written or deleted"},
	} {
		status, reason, message := syncedCondition(up, c.report)
		if status != metav1.ConditionFalse || reason != c.reason || !strings.HasSuffix(message, c.says) {
			t.Errorf("%+v: %s %s %q", c.report, status, reason, message)
		}
	}
}

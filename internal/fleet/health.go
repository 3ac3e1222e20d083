package fleet

import (
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Probing. A member that answers is asked every couple of seconds; one that
// has just failed is asked again soon, so that a single lost packet costs
// nothing and a dead member is known within a second or two, one that hangs
// within six.
const (
	probeInterval = 2 * time.Second
	retryInterval = 400 * time.Millisecond
)

// How long an answer may take. A member that has been slow lately, as a busy one
// is, may take several times as long as it did; one that is down already has
// time, so that it can come back slowly, and its pace is known then.
const (
	patience        = 4 * time.Second
	patienceIfDown  = 6 * time.Second
	longestPatience = 12 * time.Second
	slower          = 3 // times the pace
)

// patienceFor is how long to wait for an answer.
func patienceFor(h health, pace time.Duration) time.Duration {
	if h.down() {
		return patienceIfDown
	}
	return min(max(patience, slower*pace), longestPatience)
}

// nextPace is the pace after an answer: it rises at once and falls slowly.
func nextPace(pace, took time.Duration) time.Duration { return max(took, pace-pace/10) }

// fastRetries is how many failures in a row are looked at again soon.
const fastRetries = 6

// verdict is what one look at a member found: reason is ReasonReachable, or
// why not, with what to say about it. refused means that nobody listens there;
// silent that it was asked by two connections, and heard by none, for long enough
// to be sure.
type verdict struct {
	reason  string
	message string
	refused bool
	silent  bool
	sure    bool // it needs no second look
	foreign bool // another hub has taken the member over
}

func (v verdict) ok() bool { return v.reason == v1alpha1.ReasonReachable }

// reached says whether the member is in reach at all. One that only answers
// errors is not: a load balancer does so in the place of a server that is gone.
func (v verdict) reached() bool {
	return v.reason != v1alpha1.ReasonNetworkUnreachable && v.reason != v1alpha1.ReasonNotReady
}

// cause is the message without its advice.
func (v verdict) cause() string {
	cause, _, _ := strings.Cut(v.message, ". Try: ")
	return cause
}

// health is what the hub thinks of a member after some verdicts. newHealth is
// a member that nobody has looked at.
type health struct {
	verdict         // the one that holds
	failures int    // verdicts in a row that were not ok
	last     string // reason of the last verdict
	same     int    // verdicts in a row for that reason
}

func newHealth() health {
	return health{verdict: verdict{reason: v1alpha1.ReasonConnecting, message: "the hub has not reached the cluster yet"}}
}

// next is the health after one more verdict.
func (h health) next(v verdict) health {
	if v.ok() {
		return health{verdict: v}
	}
	h.failures++
	if v.reason != h.last {
		h.last, h.same = v.reason, 0
	}
	h.same++
	if h.given(v) {
		h.verdict = v
	}
	return h
}

// given says whether a verdict that is not ok holds now. A refused connection
// is certain sooner than one that breaks. Refused credentials have to be refused for a
// while: API servers that are starting refuse good ones.
func (h health) given(v verdict) bool {
	if v.sure || v.silent {
		return true
	}
	switch v.reason {
	case v1alpha1.ReasonAuthenticationFailed, v1alpha1.ReasonPermissionDenied:
		return h.same >= 5
	case v1alpha1.ReasonCertificateInvalid:
		return h.failures >= 2
	}
	return h.failures >= 3 || h.failures >= 2 && v.refused
}

// down is true once enough verdicts have failed.
func (h health) down() bool {
	return h.reason != v1alpha1.ReasonReachable && h.reason != v1alpha1.ReasonConnecting
}

// delay until the next look: jitter is in [0, 1).
func (h health) delay(jitter float64) time.Duration {
	d := probeInterval
	if h.failures > 0 && h.failures < fastRetries {
		d = retryInterval
	}
	return time.Duration(float64(d) * (0.75 + jitter/4))
}

// phase is the STATUS column.
func (h health) phase() string {
	switch h.reason {
	case v1alpha1.ReasonReachable:
		return v1alpha1.ClusterReady
	case v1alpha1.ReasonConnecting:
		return v1alpha1.ClusterJoining
	case v1alpha1.ReasonAuthenticationFailed, v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonDuplicate, v1alpha1.ReasonCredentialForOther:
		return v1alpha1.ClusterDenied
	}
	return v1alpha1.ClusterUnreachable
}

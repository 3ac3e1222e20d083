package watch

import (
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// A connection that was cut is back within a moment, and that is no news.
const (
	// moment is how long reading has to fail before it is told: longer than the longest pause between two attempts.
	moment = 3500 * time.Millisecond
	// slow is how long a list or a watch may take to be answered before that is told.
	slow = 5 * time.Second
	// otherwise is how soon after one reason another is told.
	otherwise = time.Minute
)

var errNoAnswer = errors.New("nothing has been answered for " + slow.String())

// health is whether a resource can be read, as far as that is to be told.
type health struct {
	log   klog.Logger
	told  func(error)
	clock clock.WithDelayedExecution

	mu    sync.Mutex
	over  bool
	err   error       // why it cannot be read, nil: it can, or nobody knows
	timer clock.Timer // until it is told; nil: nothing is under way
	said  error       // what was told last; nil: that it can be read
	at    time.Time   // when
}

// begun is called when an answer begins to be waited for.
func (h *health) begun() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer == nil && h.said == nil && !h.over {
		h.timer = h.clock.AfterFunc(slow, h.tell)
	}
}

// failed is called after each attempt that failed.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.err == nil
	h.err = err
	switch {
	case h.over:
	case h.said != nil && !alike(h.said, err) && h.clock.Since(h.at) >= otherwise:
		h.say(err)
	case h.said != nil || !first:
	default:
		h.stopTimer()
		h.timer = h.clock.AfterFunc(moment, h.tell)
	}
}

// alike says whether two errors have the same reason: texts may differ by a port or a time.
func alike(a, b error) bool {
	reason := apierrors.ReasonForError(a)
	return reason == apierrors.ReasonForError(b) && (reason != metav1.StatusReasonUnknown || a.Error() == b.Error())
}

// broken is failed, for what is told at once, each time.
func (h *health) broken(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTimer()
	h.err = err
	if !h.over {
		h.say(err)
	}
}

// reads is called when what is known is as it is now, and will be.
func (h *health) reads() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTimer()
	h.err = nil
	if h.said != nil && !h.over {
		h.log.Info("Can be read again")
		h.say(nil)
	}
}

func (h *health) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.timer == nil {
		return
	}
	h.timer = nil
	err := h.err
	if err == nil {
		err = errNoAnswer
	}
	h.log.Error(err, "Cannot be read")
	h.say(err)
}

func (h *health) say(err error) {
	h.said, h.at = err, h.clock.Now()
	if h.told != nil {
		h.told(err)
	}
}

// stop ends it: nothing is told any more.
func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.stopTimer()
}

func (h *health) stopTimer() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
